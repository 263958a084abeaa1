#include "mq/simple_consumer.h"

#include "mq/in_flight.h"
#include "mq/own_settings.h"
#include "mq/receiver.h"
#include "wire/rocketmq/rules.h"

namespace hf::mq {
namespace {

constexpr Duration kAssignmentsKept = 5s;  // as the official clients

}  // namespace

SimpleConsumer::SimpleConsumer(sys::World world, const ClientConfig& client, Transport& transport,
                               ConsumerConfig config)
    : config_(std::move(config)),
      clock_(world.clock),
      session_(std::make_unique<Session>(world, client, transport, consumer_settings(config_, pb::SIMPLE_CONSUMER))),
      receiver_(std::make_unique<Receiver>(*session_, config_.group)),
      cancellation_(std::make_unique<Cancellation>()),
      in_flight_(std::make_unique<InFlight>(world.clock)) {}

SimpleConsumer::~SimpleConsumer() = default;

Task<> SimpleConsumer::start(Duration timeout) {
  const InFlight::Guard guard(*in_flight_);
  co_return co_await session_->start(clock_.now() + timeout);
}

Task<> SimpleConsumer::refresh_assignments() {
  if (!assignments_.empty() && clock_.now() < assignments_until_) co_return ok();
  std::vector<Assignment> all;
  for (const Subscription& subscription : config_.subscriptions) {
    HF_CO_TRY(std::vector<Assignment> some,
              co_await receiver_->assignments(subscription, clock_.now() + session_->config().request_timeout));
    all.insert(all.end(), some.begin(), some.end());
  }
  if (all.empty()) co_return Error{Code::unavailable, "no queue is assigned to this consumer"};
  assignments_ = std::move(all);
  assignments_until_ = clock_.now() + kAssignmentsKept;
  co_return ok();
}

Task<std::vector<ReceivedMessage>> SimpleConsumer::receive(int max, Duration invisible) {
  const InFlight::Guard guard(*in_flight_);
  if (max < 1) co_return Error{Code::invalid, "a receive asks for at least one message"};
  if (const wire::rocketmq::Verdict refused = wire::rocketmq::check_receive_invisible(invisible))
    co_return Error{Code::invalid, refused->message};
  if (session_->closing()) co_return Error{Code::unavailable, "the consumer is closed"};
  HF_CO_TRY(co_await refresh_assignments());
  const Assignment assignment = assignments_[turn_++ % assignments_.size()];
  *cancellation_ = Cancellation();
  ReceiveOptions options{
      .batch = std::min(max, wire::rocketmq::kReceiveBatchMax), .invisible = invisible, .polling = config_.polling};
  co_return co_await receiver_->receive(assignment, std::move(options), *cancellation_);
}

Task<> SimpleConsumer::ack(const ReceivedMessage& message) {
  const InFlight::Guard guard(*in_flight_);
  co_return co_await receiver_->ack(message);
}

Task<> SimpleConsumer::change_invisible(ReceivedMessage& message, Duration invisible) {
  const InFlight::Guard guard(*in_flight_);
  co_return co_await receiver_->change_invisible(message, invisible);
}

asio::awaitable<void> SimpleConsumer::close() {
  session_->begin_close();
  cancellation_->cancel();
  co_await in_flight_->drained();
  co_await session_->close();
}

}  // namespace hf::mq
