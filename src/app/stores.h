#pragma once

/// The databases of one process, by the name of the role that keeps them.

#include <future>
#include <map>
#include <memory>
#include <string>

#include "sql/database.h"
#include "sys/world.h"

namespace hf::app {

/// One strand.
class Stores {
 public:
  Stores(sys::World world, std::string folder) : world_(std::move(world)), folder_(std::move(folder)) {}
  Stores(const Stores&) = delete;
  Stores& operator=(const Stores&) = delete;

  /// Begins to open all: a database is made durable in many small steps that wait for the disk, so they are opened side
  /// by side, and beside the broker's log. Once.
  void begin_opening(std::map<std::string, std::string> urls);
  /// Waits until it is open; lives until close(). Errors: those of sql::open.
  Result<sql::Database*> get(const std::string& role);
  /// Finishes what waits, then closes all.
  asio::awaitable<void> close();

 private:
  using Opened = Result<std::unique_ptr<sql::Database>>;
  sys::World world_;
  const std::string folder_;
  std::map<std::string, std::unique_ptr<sql::Database>> open_;
  std::map<std::string, std::future<Opened>> opening_;
  std::unique_ptr<sys::Worker> opener_;  ///< first to go: its threads fill `opening_`
};

/// "sqlite:shop.db", "mode=ro" → "sqlite:shop.db?mode=ro"; "…?a=b" → "…?a=b&mode=ro".
std::string with_option(const std::string& url, const std::string& option);

}  // namespace hf::app
