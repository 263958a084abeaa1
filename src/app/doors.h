#pragma once

/// The listeners of one process: one port per role, open before any role starts, so that a taken port is found before
/// anything is touched and every role knows the others' addresses.

#include <map>
#include <memory>
#include <string>

#include "app/config.h"
#include "net/grpc.h"
#include "net/http.h"
#include "sys/world.h"

namespace hf::net {
class Listener;
}

namespace hf::app {

/// A handler that is set once its role has started; 503 until then.
class LateHandler {
 public:
  void set(net::HttpHandler handler) { *handler_ = std::move(handler); }
  net::HttpHandler handler() const;

 private:
  std::shared_ptr<net::HttpHandler> handler_ = std::make_shared<net::HttpHandler>();
};

/// One strand.
class Doors {
 public:
  explicit Doors(sys::World world);
  ~Doors();
  Doors(const Doors&) = delete;
  Doors& operator=(const Doors&) = delete;

  /// Errors: conflict (the port is taken), denied, invalid.
  Result<void> open(const std::string& role, const ListenConfig& listen);
  /// The role has started: its requests go there.
  void serve(const std::string& role, net::HttpHandler handler);
  /// The broker's.
  net::GrpcService& grpc(const std::string& role);
  /// Accepts nothing more; returns when no handler of the role runs any more. Nothing, for a role without a door.
  asio::awaitable<void> drain(const std::string& role, Monotonic deadline);

  bool has(const std::string& role) const { return addresses_.contains(role); }
  std::string url(const std::string& role) const { return "http://" + addresses_.at(role); }
  const std::map<std::string, std::string>& addresses() const { return addresses_; }  ///< role → host:port

 private:
  struct Door;
  sys::World world_;
  std::map<std::string, std::unique_ptr<Door>> doors_;
  std::map<std::string, std::string> addresses_;
};

}  // namespace hf::app
