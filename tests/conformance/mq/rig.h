#pragma once

/// A real broker and our client of it, in three ways: in one process on virtual time; over gRPC; over gRPC and TLS.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/broker.h"
#include "broker/grpc_binding.h"
#include "mq/client.h"
#include "net/listener.h"
#include "sys/loop.h"
#include "sys/sim.h"

namespace hf::mq::test {

enum class Way { embedded, grpc, grpc_tls };
inline std::string to_string(Way way) {
  constexpr const char* kNames[] = {"embedded", "grpc", "grpc_tls"};
  return kNames[static_cast<std::size_t>(way)];
}

/// Small waits, so that a test on the real clock takes a second and not a minute.
broker::BrokerConfig quick_config();

class Rig {
 public:
  static std::unique_ptr<Rig> make(Way way, broker::BrokerConfig config = quick_config());
  virtual ~Rig() = default;

  virtual sys::World& world() = 0;
  virtual std::unique_ptr<Client> client() = 0;
  virtual broker::Broker& broker() = 0;
  /// The broker ends in an orderly way, and comes back on the same port and the same data. Not when embedded: there the
  /// broker dies with its clients.
  virtual void stop_broker() = 0;
  virtual void start_broker() = 0;

  template <class T>
  T run(asio::awaitable<T> task) {
    if constexpr (std::is_void_v<T>) {
      run_to_end(std::move(task));
    } else {
      std::optional<T> outcome;
      auto keep = [](asio::awaitable<T> inner, std::optional<T>& into) -> asio::awaitable<void> {
        into.emplace(co_await std::move(inner));
      };
      run_to_end(keep(std::move(task), outcome));
      return std::move(*outcome);
    }
  }
  /// Lets things happen until `condition` holds. False if it did not within `limit`.
  bool eventually(Duration limit, std::function<bool()> condition);

 protected:
  virtual void run_to_end(asio::awaitable<void> task) = 0;
};

}  // namespace hf::mq::test
