#include "shop/local_table/steady_consumer.h"

#include "base/log.h"

namespace hf::shop::local_table {
SteadyConsumer::SteadyConsumer(sys::World& world, mq::Client& client, mq::ConsumerConfig config, mq::Listener listener)
    : world_(world),
      config_(std::move(config)),
      consumer_(client.push_consumer(config_, std::move(listener))),
      stop_(world.clock),
      tasks_(world.executor, world.clock) {}

Task<bool> SteadyConsumer::start(Duration broker_wait) {
  const Result<void> started = co_await consumer_->start(broker_wait);
  if (started) co_return true;
  log::warn("shop.local_table.broker_away", {{"group", config_.group}, {"error", started.error().to_string()}});
  tasks_.spawn("local_table.consumer", keep_trying());
  co_return false;
}

asio::awaitable<void> SteadyConsumer::keep_trying() {
  while (!stopping_) {
    const Result<void> started = co_await consumer_->start(5s);
    if (started) {
      log::info("shop.local_table.broker_back", {{"group", config_.group}});
      co_return;
    }
    if (!stopping_) co_await stop_.wait_until(world_.clock.now() + 1s);
  }
}

asio::awaitable<void> SteadyConsumer::close() {
  stopping_ = true;
  stop_.notify_all();
  co_await consumer_->close();
  co_await tasks_.join();
}

}  // namespace hf::shop::local_table
