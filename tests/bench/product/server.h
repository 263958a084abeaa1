#pragma once

/// `holdfast serve` as a child on free ports, from the same build. It dies with us; only its own id is ever signalled.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/child_process.h"

namespace hf::bench {

class Server {
 public:
  struct Setup {
    std::string binary, folder;  ///< folder: of bench.toml, data, ready, server.log; made if absent, data kept
    std::string roles = "broker,shop,router,notifier,phone,console";
    std::string config{};             ///< TOML
    std::vector<std::string> more{};  ///< further arguments of serve
  };
  /// Returns when all roles listen. Blocks. Errors: unavailable (it ended; the message names its log), timeout.
  static Result<Server> start(const Setup& setup);

  /// From the start of the process to the ready file, ms.
  double start_ms() const { return start_ms_; }
  std::string url(const std::string& role) const { return "http://" + addresses_.at(role); }
  std::uint16_t port(const std::string& role) const;
  std::string data() const { return folder_ + "/data"; }
  double resident_mib() const;
  /// SIGTERM, and waits. Error: internal, if it did not end well in time.
  Result<void> stop();

 private:
  Server(app::ChildProcess child, std::string folder) : child_(std::move(child)), folder_(std::move(folder)) {}
  app::ChildProcess child_;
  std::string folder_;
  std::map<std::string, std::string> addresses_{};
  double start_ms_ = 0;
};

}  // namespace hf::bench
