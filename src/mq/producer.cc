#include "mq/producer.h"

#include "mq/in_flight.h"
#include "mq/own_settings.h"
#include "mq/sender.h"

namespace hf::mq {

Producer::Producer(sys::World world, const ClientConfig& client, Transport& transport, ProducerConfig config)
    : config_(std::move(config)),
      clock_(world.clock),
      session_(std::make_unique<Session>(world, client, transport, producer_settings(config_))),
      sender_(std::make_unique<Sender>(*session_, config_)),
      in_flight_(std::make_unique<InFlight>(world.clock)),
      sent_(world.metrics.counter("holdfast_mq_sends_total", "Messages sent, by outcome", {{"outcome", "stored"}})),
      failed_(world.metrics.counter("holdfast_mq_sends_total", "Messages sent, by outcome", {{"outcome", "failed"}})) {}

Producer::~Producer() = default;

Task<> Producer::start(Duration timeout) {
  const InFlight::Guard guard(*in_flight_);
  co_return co_await session_->start(clock_.now() + timeout);
}

Task<SendReceipt> Producer::send(Message message) {
  std::vector<Message> one;
  one.push_back(std::move(message));
  HF_CO_TRY(std::vector<Result<SendReceipt>> receipts, co_await send_batch(std::move(one)));
  co_return std::move(receipts.front());
}

Task<std::vector<Result<SendReceipt>>> Producer::send_batch(std::vector<Message> messages) {
  const InFlight::Guard guard(*in_flight_);
  if (session_->closing()) co_return Error{Code::unavailable, "the producer is closed"};
  for (Message& message : messages)
    if (message.message_id.empty()) message.message_id = session_->next_message_id();
  const auto count = static_cast<double>(messages.size());
  Result<Sender::Sent> sent =
      co_await sender_->send(std::move(messages), SendKind::plain, clock_.now() + config_.send_timeout);
  if (!sent) {
    failed_.add(count);
    co_return sent.error();
  }
  for (const auto& receipt : sent->receipts) (receipt ? sent_ : failed_).add();
  co_return std::move(sent->receipts);
}

asio::awaitable<void> Producer::close() {
  session_->begin_close();
  co_await in_flight_->drained();
  co_await session_->close();
}

}  // namespace hf::mq
