#pragma once

/// The message broker: RocketMQ 5's MessagingService over a log of its own, in this process.
///
///   auto broker = Broker::open(world, config, "data/broker");        // replays; blocks; before the loop runs
///   (*broker)->service();                                            // in process, or over gRPC (grpc_binding.h)
///   (*broker)->admin();                                              // what `holdfast tx`, `dlq`, `show` ask
///   co_await (*broker)->stop();                                      // after listeners and clients were stopped
///
/// Promises: P1–P3, P7, P8 of design.md; what is persisted and what happens at a crash: README.md beside this.
/// Threads: everything on the strand of `world`. Calls of service() may not outlive the broker.

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "broker/admin.h"
#include "broker/config.h"
#include "sys/world.h"
#include "wire/rocketmq/messaging_service.h"

namespace hf::broker {

class Broker {
 public:
  /// Errors: conflict: another process has the folder · corrupt: stored bytes are damaged, the message names where ·
  /// invalid: the configuration is impossible or contradicts what is stored · denied, exhausted: the folder.
  static Result<std::unique_ptr<Broker>> open(sys::World world, BrokerConfig config, std::string dir);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  wire::rocketmq::MessagingService& service();
  Admin& admin();
  /// Called once on the strand when the log died (disk): nothing is accepted any more; the process should end.
  void on_failed(std::function<void(const Error&)> callback);
  /// Long polls end, new requests are refused, what was accepted becomes durable, the log closes.
  Task<> stop();

 private:
  struct Impl;
  explicit Broker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::broker
