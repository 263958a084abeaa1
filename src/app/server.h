#pragma once

/// The roles of one process as objects: listeners open first, so that a taken port is found before anything is touched
/// and every role knows the others' addresses; then the roles start in the order of the flow, and stop in the reverse.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "app/config.h"
#include "sys/world.h"

namespace hf::app {

/// One strand, that of `world`. `config` as settle() left it.
class Server {
 public:
  Server(sys::World world, Config config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Errors: conflict (a port is taken, the data folder is in use), corrupt, denied, exhausted, invalid. Then stop()
  /// what has started.
  Task<> start();
  /// Closes the listeners, finishes what is under way (process.drain), stops the roles.
  asio::awaitable<void> stop();
  /// role → host:port, of this process's listeners.
  const std::map<std::string, std::string>& addresses() const;
  /// Called at most once, when a role dies while it runs (a failed sync): the process must end.
  void on_failed(std::function<void(const Error&)> callback);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::app
