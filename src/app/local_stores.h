#pragma once

/// The MariaDB servers of `--store mariadb`: children of this process under <data>/mariadb/<server>, each watched, and
/// started again with back-off when it dies. Meanwhile its stores are unavailable and the roles say so (503).

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "sql/mysql/local_server.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::app {

/// One server and the stores on it, a schema each. A store whose URL is not "sqlite:…" stays where it is.
struct LocalServerPlan {
  std::string name;                 ///< of its folder below <data>/mariadb
  std::vector<std::string> stores;  ///< roles
  bool operator==(const LocalServerPlan&) const = default;
};
/// What config.store asks for, whatever roles run here. Pure.
std::vector<LocalServerPlan> plan_local_servers(Config& config);

/// One strand. stop() is awaited before it is destroyed.
class LocalStores {
 public:
  explicit LocalStores(sys::World world);
  LocalStores(const LocalStores&) = delete;
  LocalStores& operator=(const LocalStores&) = delete;

  /// Starts those with a store of this process's roles, side by side, and puts their URLs into `config`.
  /// Errors: those of sql::mysql::LocalServer::start.
  Task<> start(Config& config);
  /// For a command beside the process that serves: uses the servers that it runs, and starts those that nobody runs, so
  /// that a data folder at rest can be looked into; who wants to serve from it meanwhile is refused. Error: unavailable
  /// (this folder never had such a server).
  Task<> borrow(Config& config);
  /// SIGTERM to all; returns when they are gone.
  asio::awaitable<void> stop();
  /// Servers that this object started.
  std::size_t running() const { return servers_.size(); }
  /// server → why it is down.
  const std::map<std::string, std::string>& trouble() const { return trouble_; }

 private:
  struct Local {
    LocalServerPlan plan;
    std::unique_ptr<sql::mysql::LocalServer> server;
    std::unique_ptr<sys::Worker> control;  ///< its one thread starts and stops it, one after the other
    std::unique_ptr<sys::Worker> waiting;  ///< its one thread waits for the end
    Result<void> started = ok();
  };
  Task<> start_all(Config& config, std::vector<LocalServerPlan> plans);
  asio::awaitable<void> start_one(Local& local, std::string folder);
  asio::awaitable<void> watch(Local& local);
  asio::awaitable<void> start_again(Local& local);

  sys::World world_;
  std::vector<std::unique_ptr<Local>> servers_;
  std::map<std::string, std::string> trouble_;
  bool stopping_ = false;
  sys::Event stop_asked_;
  sys::TaskGroup tasks_;
};

}  // namespace hf::app
