#pragma once

/// A consumer that is there whenever the broker is: start() tries once and, if the broker is away, goes on trying.

#include <memory>
#include <string>

#include "mq/client.h"
#include "sys/wait.h"

namespace hf::shop::local_table {

/// One strand. close() is awaited before it is destroyed.
class SteadyConsumer {
 public:
  /// `config` was checked. `listener`: as mq::PushConsumer's; what it refers to outlives close().
  SteadyConsumer(sys::World& world, mq::Client& client, mq::ConsumerConfig config, mq::Listener listener);

  /// Waits `broker_wait` for the broker; false: it is away, a task goes on trying. Errors: none.
  Task<bool> start(Duration broker_wait);
  asio::awaitable<void> close();

 private:
  asio::awaitable<void> keep_trying();

  sys::World& world_;
  const mq::ConsumerConfig config_;
  const std::unique_ptr<mq::PushConsumer> consumer_;
  bool stopping_ = false;
  sys::Event stop_;
  sys::TaskGroup tasks_;
};

}  // namespace hf::shop::local_table
