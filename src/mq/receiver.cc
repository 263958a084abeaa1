#include "mq/receiver.h"

#include "mq/message_codec.h"
#include "mq/own_settings.h"
#include "wire/rocketmq/rules.h"
#include "wire/rocketmq/status.h"
#include "wire/rocketmq/times.h"

namespace hf::mq {
namespace {

using wire::rocketmq::is_ok;
using wire::rocketmq::to_error;
using wire::rocketmq::to_proto;

/// A receive may take this much longer than it polls, for the way there and back.
constexpr Duration kPollingMargin = 5s;

/// Collects the frames of one receive.
class Frames final : public StreamWriter<pb::ReceiveMessageResponse> {
 public:
  Task<> write(pb::ReceiveMessageResponse frame) override {
    if (frame.has_status()) status_ = frame.status();
    if (frame.has_message()) messages_.push_back(std::move(*frame.mutable_message()));
    co_return ok();
  }

  Result<std::vector<ReceivedMessage>> finish(const Result<void>& call, const std::string& endpoint) {
    std::vector<ReceivedMessage> out;
    for (pb::Message& message : messages_) out.push_back(decode(std::move(message), endpoint));
    if (!out.empty()) return out;
    if (!call) return call.error();
    if (is_ok(status_) || status_.code() == pb::MESSAGE_NOT_FOUND) return out;
    return to_error(status_);
  }

 private:
  pb::Status status_;
  std::vector<pb::Message> messages_;
};

}  // namespace

std::string Assignment::key() const {
  return subscription.topic + "@" + queue.broker().name() + "#" + std::to_string(queue.id());
}

Task<std::vector<Assignment>> Receiver::assignments(const Subscription& subscription, Monotonic deadline) {
  HF_CO_TRY(const std::shared_ptr<const Route> route, co_await session_.route(subscription.topic, deadline));
  Link& link = session_.link(route->endpoints().front());
  pb::QueryAssignmentRequest request;
  request.mutable_topic()->set_name(subscription.topic);
  request.mutable_group()->set_name(group_);
  *request.mutable_endpoints() = link.endpoints();
  wire::rocketmq::CallContext call = session_.context(session_.request_deadline(deadline));
  HF_CO_TRY(const pb::QueryAssignmentResponse response,
            co_await link.service().query_assignment(std::move(call), std::move(request)));
  if (!is_ok(response.status()))
    co_return to_error(response.status()).with_context("assignment of " + subscription.topic);
  std::vector<Assignment> assignments;
  for (const pb::Assignment& assignment : response.assignments())
    if (!assignment.message_queue().broker().endpoints().addresses().empty())
      assignments.push_back({subscription, assignment.message_queue()});
  co_return assignments;
}

Task<std::vector<ReceivedMessage>> Receiver::receive(const Assignment& assignment, ReceiveOptions options,
                                                     const Cancellation& cancellation) {
  Link& link = session_.link(assignment.queue.broker().endpoints());
  const Monotonic deadline = session_.world().clock.now() + options.polling + kPollingMargin;
  HF_CO_TRY(co_await link.settled(deadline));
  pb::ReceiveMessageRequest request;
  request.mutable_group()->set_name(group_);
  *request.mutable_message_queue() = assignment.queue;
  *request.mutable_filter_expression() = to_filter(assignment.subscription);
  request.set_batch_size(options.batch);
  request.set_auto_renew(!options.invisible.has_value());
  if (options.invisible) to_proto(*options.invisible, *request.mutable_invisible_duration());
  to_proto(options.polling, *request.mutable_long_polling_timeout());
  if (!options.attempt_id.empty()) request.set_attempt_id(std::move(options.attempt_id));
  wire::rocketmq::CallContext call = session_.context(session_.world().clock.now() + options.polling + kPollingMargin);
  cancellation.attach(call);
  Frames frames;
  const Result<void> ended = co_await link.service().receive_message(std::move(call), std::move(request), frames);
  co_return frames.finish(ended, link.name());
}

Result<Link*> Receiver::link_of(const ReceivedMessage& message) {
  if (Link* link = session_.find_link(message.endpoint)) return link;
  return Error{Code::invalid, "message " + message.message.message_id + " was not received by this consumer"};
}

Task<> Receiver::ack(const ReceivedMessage& message) {
  HF_CO_TRY(Link* const link, link_of(message));
  pb::AckMessageRequest request;
  request.mutable_group()->set_name(group_);
  request.mutable_topic()->set_name(message.message.topic);
  pb::AckMessageEntry& entry = *request.add_entries();
  entry.set_message_id(message.message.message_id);
  entry.set_receipt_handle(message.receipt_handle);
  wire::rocketmq::CallContext call = session_.context(session_.request_deadline(Monotonic::max()));
  HF_CO_TRY(const pb::AckMessageResponse response,
            co_await link->service().ack_message(std::move(call), std::move(request)));
  const pb::Status& status = response.entries().empty() ? response.status() : response.entries(0).status();
  if (!is_ok(status)) co_return to_error(status);
  co_return ok();
}

Task<> Receiver::change_invisible(ReceivedMessage& message, Duration invisible) {
  if (const wire::rocketmq::Verdict refused = wire::rocketmq::check_change_invisible(invisible))
    co_return Error{Code::invalid, refused->message};
  HF_CO_TRY(Link* const link, link_of(message));
  pb::ChangeInvisibleDurationRequest request;
  request.mutable_group()->set_name(group_);
  request.mutable_topic()->set_name(message.message.topic);
  request.set_message_id(message.message.message_id);
  request.set_receipt_handle(message.receipt_handle);
  to_proto(invisible, *request.mutable_invisible_duration());
  wire::rocketmq::CallContext call = session_.context(session_.request_deadline(Monotonic::max()));
  HF_CO_TRY(pb::ChangeInvisibleDurationResponse response,
            co_await link->service().change_invisible_duration(std::move(call), std::move(request)));
  if (!is_ok(response.status())) co_return to_error(response.status());
  if (!response.receipt_handle().empty()) message.receipt_handle = std::move(*response.mutable_receipt_handle());
  co_return ok();
}

Task<> Receiver::forward_to_dead_letters(const ReceivedMessage& message, int max_attempts) {
  HF_CO_TRY(Link* const link, link_of(message));
  pb::ForwardMessageToDeadLetterQueueRequest request;
  request.mutable_group()->set_name(group_);
  request.mutable_topic()->set_name(message.message.topic);
  request.set_message_id(message.message.message_id);
  request.set_receipt_handle(message.receipt_handle);
  request.set_delivery_attempt(message.attempt);
  request.set_max_delivery_attempts(max_attempts);
  wire::rocketmq::CallContext call = session_.context(session_.request_deadline(Monotonic::max()));
  HF_CO_TRY(const auto response,
            co_await link->service().forward_message_to_dead_letter_queue(std::move(call), std::move(request)));
  if (!is_ok(response.status())) co_return to_error(response.status());
  co_return ok();
}

}  // namespace hf::mq
