#pragma once

/// Calls a listener for each message; made by Client::push_consumer().
///
///   auto listener = [&](const mq::ReceivedMessage& received) -> Task<> { return router.route(received.message); };
///   auto consumer = client->push_consumer(config, listener);
///   HF_CO_TRY(co_await consumer->start(10s));

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "mq/config.h"
#include "mq/message.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::mq {

class InFlight;
class Receiver;
class Session;
class Transport;
struct Assignment;

/// Success acknowledges the message. An error or an exception gives it back: it comes again after the group's back-off
/// (Apache: 1 s, 5 s, 10 s, 30 s, 1 … 10 min, …), to whichever consumer of the group, and after the last attempt it
/// becomes a dead letter. A message can come twice: be idempotent. `received` outlives the task.
using Listener = std::function<Task<>(const ReceivedMessage& received)>;

/// One strand; at most `concurrency` listeners at a time. While a listener runs, the broker keeps the message from
/// others (auto renewal). Ordered groups (the server says which): one message after the other, a failed one is repeated
/// here until it succeeds or becomes a dead letter. close() is awaited before it is destroyed.
class PushConsumer {
 public:
  PushConsumer(sys::World world, const ClientConfig& client, Transport& transport, ConsumerConfig config,
               Listener listener);
  ~PushConsumer();
  PushConsumer(const PushConsumer&) = delete;
  PushConsumer& operator=(const PushConsumer&) = delete;

  /// Returns when the broker knows us; listeners are called from then on. A new group gets what is sent after this
  /// returned. After an error nothing runs; it may be called again.
  Task<> start(Duration timeout);
  /// No new listener is called; those that run end, and what they did is acknowledged (drain_timeout is only logged:
  /// a listener refers to its application, so it is waited for). What had not been started goes back to the broker.
  asio::awaitable<void> close();

 private:
  struct Loop;
  struct Counters;
  asio::awaitable<void> scan();
  Task<> assign();
  asio::awaitable<void> poll(std::shared_ptr<Loop> loop);
  asio::awaitable<void> dispatch(std::vector<ReceivedMessage> messages);
  asio::awaitable<void> handle(ReceivedMessage message);
  asio::awaitable<void> handle_in_order(ReceivedMessage message);
  asio::awaitable<void> repeat_in_order(ReceivedMessage& message);
  Task<> call_listener(const ReceivedMessage& message);
  enum class Settle { acknowledge, give_back, dead_letter };
  asio::awaitable<void> settle(ReceivedMessage& message, Settle how);
  Task<> settle_once(ReceivedMessage& message, Settle how);
  asio::awaitable<bool> pause(Duration duration);

  const ConsumerConfig config_;
  sys::World world_;
  const Duration drain_timeout_;
  const Listener listener_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Receiver> receiver_;
  std::map<std::string, std::shared_ptr<Loop>> loops_;  // by Assignment::key()
  int free_slots_;
  bool started_ = false, stopping_ = false;
  Monotonic patience_ = Monotonic::max();  // acks are repeated until then
  sys::Event slot_, stop_;
  std::unique_ptr<InFlight> starting_;
  sys::TaskGroup tasks_;
  std::unique_ptr<Counters> counters_;
};

}  // namespace hf::mq
