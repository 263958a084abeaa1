#include "mq/sender.h"

#include "wire/rocketmq/rules.h"
#include "wire/rocketmq/status.h"

namespace hf::mq {
namespace {

using wire::rocketmq::is_ok;
using wire::rocketmq::to_error;

Result<SendReceipt> to_receipt(const pb::SendResultEntry& entry) {
  if (!is_ok(entry.status())) return to_error(entry.status());
  return SendReceipt{entry.message_id(), entry.transaction_id(), entry.offset()};
}

/// One verdict per message. Apache's proxy answers a batch with a single entry: it speaks for all.
Result<std::vector<Result<SendReceipt>>> to_receipts(const pb::SendMessageResponse& response,
                                                     const pb::SendMessageRequest& request) {
  const bool mixed = response.status().code() == pb::MULTIPLE_RESULTS;
  if (!is_ok(response.status()) && !mixed) return to_error(response.status());
  std::vector<Result<SendReceipt>> receipts;
  if (response.entries_size() == request.messages_size()) {
    for (const pb::SendResultEntry& entry : response.entries()) receipts.push_back(to_receipt(entry));
    return receipts;
  }
  if (response.entries_size() != 1 || mixed)
    return Error{Code::timeout, "the answer has " + std::to_string(response.entries_size()) + " entries for " +
                                    std::to_string(request.messages_size()) + " messages"};
  for (const pb::Message& message : request.messages()) {
    Result<SendReceipt> receipt = to_receipt(response.entries(0));
    if (receipt) receipt->message_id = message.system_properties().message_id();
    receipts.push_back(std::move(receipt));
  }
  return receipts;
}

/// The first error among them, if all failed with it: then the whole request may be repeated.
const Error* common_error(const std::vector<Result<SendReceipt>>& receipts) {
  for (const auto& receipt : receipts)
    if (receipt) return nullptr;
  return &receipts.front().error();
}

}  // namespace

Sender::Sender(Session& session, const ProducerConfig& config)
    : session_(session), config_(config), turn_(session.world().random.below(1 << 16)) {}

Result<pb::SendMessageRequest> Sender::prepare(std::vector<Message> messages, SendKind kind) const {
  const WallTime now = session_.world().clock.wall();
  pb::SendMessageRequest request;
  for (Message& message : messages) {
    HF_TRY(check_kind(message, kind));
    *request.add_messages() = encode(std::move(message), kind, now, session_.config().name);
  }
  wire::rocketmq::MessageLimits limits;
  limits.body_bytes = session_.server().max_body_size;
  if (const wire::rocketmq::Verdict refused = wire::rocketmq::check_send(request, limits, now))
    return Error{Code::invalid, wire::rocketmq::code_name(refused->code) + ": " + refused->message};
  return request;
}

Task<Sender::Sent> Sender::send(std::vector<Message> messages, SendKind kind, Monotonic deadline) {
  HF_CO_TRY(const pb::SendMessageRequest request, prepare(std::move(messages), kind));
  const Repeatable repeatable = kind == SendKind::half ? Repeatable::if_not_done : Repeatable::same_id;
  const std::uint64_t turn = turn_++;
  for (int attempt_number = 1;; ++attempt_number) {
    // Each attempt takes the next queue, so that with several brokers another one is asked.
    Result<Sent> sent =
        co_await attempt(request, kind, turn + static_cast<std::uint64_t>(attempt_number - 1), deadline);
    const Error* error = sent ? common_error(sent->receipts) : &sent.error();
    if (error == nullptr || !may_repeat(error->code, repeatable)) co_return sent;
    const BackoffPolicy& backoff = session_.server().backoff;
    const int attempts = config_.max_attempts > 0 ? config_.max_attempts : backoff.max_attempts();
    const Monotonic again = session_.world().clock.now() + backoff.delay(attempt_number);
    if (attempt_number >= attempts || again >= deadline || session_.closing()) co_return sent;
    co_await session_.world().clock.sleep_until(again);
  }
}

Task<Sender::Sent> Sender::attempt(const pb::SendMessageRequest& request, SendKind kind, std::uint64_t turn,
                                   Monotonic deadline) {
  const pb::Message& first = request.messages(0);
  HF_CO_TRY(const std::shared_ptr<const Route> route, co_await session_.route(first.topic().name(), deadline));
  HF_CO_TRY(const pb::MessageQueue* queue, route->pick(first.system_properties().message_group(), turn));
  Link& link = session_.link(queue->broker().endpoints());
  // A half message only where the server will know whom to ask; an ordinary one once we know the server's limits.
  if (kind == SendKind::half || !link.known()) HF_CO_TRY(co_await link.settled(deadline));
  if (session_.server().validate_message_type) HF_CO_TRY(route->check_type(first.system_properties().message_type()));
  pb::SendMessageRequest copy = request;
  for (pb::Message& message : *copy.mutable_messages()) message.mutable_system_properties()->set_queue_id(queue->id());
  wire::rocketmq::CallContext call = session_.context(session_.request_deadline(deadline));
  HF_CO_TRY(const pb::SendMessageResponse response,
            co_await link.service().send_message(std::move(call), std::move(copy)));
  HF_CO_TRY(auto receipts, to_receipts(response, request));
  co_return Sent{std::move(receipts), &link};
}

}  // namespace hf::mq
