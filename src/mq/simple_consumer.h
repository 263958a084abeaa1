#pragma once

/// Receives on demand; made by Client::simple_consumer().
///
///   HF_CO_TRY(auto messages, co_await consumer->receive(16, 30s));
///   for (mq::ReceivedMessage& message : messages) { …; HF_CO_TRY(co_await consumer->ack(message)); }

#include <memory>
#include <vector>

#include "base/task.h"
#include "mq/config.h"
#include "mq/message.h"
#include "sys/world.h"

namespace hf::mq {

class Cancellation;
class InFlight;
class Receiver;
class Session;
class Transport;
struct Assignment;

/// One strand; one receive at a time, acks beside it as wanted. close() is awaited before it is destroyed.
class SimpleConsumer {
 public:
  SimpleConsumer(sys::World world, const ClientConfig& client, Transport& transport, ConsumerConfig config);
  ~SimpleConsumer();
  SimpleConsumer(const SimpleConsumer&) = delete;
  SimpleConsumer& operator=(const SimpleConsumer&) = delete;

  /// A new group gets what is sent after this returned.
  Task<> start(Duration timeout);
  /// Up to `max` (32 at most) messages, each ours for `invisible` (10 s … 12 h). Empty if none came within the
  /// configured polling time. Queues in turn, one a call.
  Task<std::vector<ReceivedMessage>> receive(int max, Duration invisible);
  /// Done with it. Errors: not_found: too late, it comes again · timeout, unavailable, exhausted: repeat.
  Task<> ack(const ReceivedMessage& message);
  /// Ours for this long from now; zero gives it back at once. `message` gets its new receipt handle.
  Task<> change_invisible(ReceivedMessage& message, Duration invisible);
  /// A receive under way ends with `unavailable`; acks under way are waited for.
  asio::awaitable<void> close();

 private:
  Task<> refresh_assignments();

  const ConsumerConfig config_;
  sys::Clock& clock_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Receiver> receiver_;
  std::unique_ptr<Cancellation> cancellation_;
  std::unique_ptr<InFlight> in_flight_;
  std::vector<Assignment> assignments_;
  Monotonic assignments_until_{};
  std::size_t turn_ = 0;
};

}  // namespace hf::mq
