// RocketmqEdge: ReceiveMessage.

#include "broker/messages.h"
#include "broker/rocketmq_edge.h"
#include "wire/rocketmq/times.h"

namespace hf::broker {

namespace wire_rmq = wire::rocketmq;
using wire_rmq::from_proto;
using wire_rmq::set_status;

namespace {

/// Kept for the way back, so that an answer is never later than the client's deadline (RocketMQ's proxy: the same).
constexpr Duration kPollReserve = 100ms;
/// Half of the clients' usual request timeout: what a poll leaves of a deadline that names no polling time.
constexpr Duration kDeadlineReserve = 1500ms;
/// RocketMQ defaultInvisibleTimeMills: what a renewed delivery starts with.
constexpr Duration kRenewedInvisible = 60s;
/// RocketMQ: a frame that could not be written makes the rest visible again after this.
constexpr Duration kUndeliveredPause = 1s;

/// How long to wait for messages; nullopt: the deadline leaves too little.
std::optional<Duration> polling_time(const pb::ReceiveMessageRequest& request, Duration remaining,
                                     const LimitsConfig& limits) {
  Duration wanted =
      request.has_long_polling_timeout() ? from_proto(request.long_polling_timeout()) : remaining - kDeadlineReserve;
  wanted = std::clamp(wanted, limits.poll_min, limits.poll_max);
  if (wanted <= remaining) return std::min(wanted, remaining - kPollReserve);
  if (remaining < limits.poll_min) return std::nullopt;
  return remaining - kPollReserve;
}

}  // namespace

Task<Engine::Poll> RocketmqEdge::prepare_poll(const CallContext& call, const pb::ReceiveMessageRequest& request,
                                              ClientNumber client, std::optional<Refusal>& refused) {
  Engine::Poll poll;
  const LimitsConfig& limits = engine_.config().limits;
  const pb::Resource& topic_name = request.message_queue().topic();
  refused = wire_rmq::check_topic(topic_name.name());
  if (!refused) refused = wire_rmq::check_group(request.group().name());
  if (!refused && request.filter_expression().type() == pb::SQL) {
    refused = Refusal{pb::ILLEGAL_FILTER_EXPRESSION, "ILLEGAL_FILTER_EXPRESSION: SQL filters are not supported yet"};
  }
  poll.auto_renew = request.auto_renew();
  poll.invisible = poll.auto_renew ? kRenewedInvisible : from_proto(request.invisible_duration());
  if (!refused && !poll.auto_renew) refused = wire_rmq::check_receive_invisible(poll.invisible);
  const Monotonic now = engine_.world().clock.now();
  const Duration remaining = call.deadline == Monotonic::max() ? Duration(1h) : call.deadline - now;
  const std::optional<Duration> wait = polling_time(request, remaining, limits);
  if (!refused && !wait) refused = Refusal{pb::ILLEGAL_POLLING_TIME, "ILLEGAL_POLLING_TIME: the deadline is too near"};
  if (refused) co_return poll;

  const Result<TopicId> topic = engine_.topic(topic_name.name(), Engine::Create::if_allowed);
  if (!topic && topic.error().code == Code::not_found) {
    refused = Refusal{pb::TOPIC_NOT_FOUND, "TOPIC_NOT_FOUND: " + topic.error().message};
    co_return poll;
  }
  if (!topic) co_return topic.error();
  const Result<GroupId> group = engine_.group(request.group().name(), Engine::Create::if_allowed);
  if (!group && group.error().code == Code::not_found) {
    refused = Refusal{pb::CONSUMER_GROUP_NOT_FOUND, "CONSUMER_GROUP_NOT_FOUND: " + group.error().message};
    co_return poll;
  }
  if (!group) co_return group.error();
  HF_CO_TRY(poll.subscription, co_await engine_.reading(*group, *topic));
  poll.filter = TagFilter::parse(request.filter_expression().expression());
  poll.max = std::clamp(request.batch_size(), 1, limits.receive_batch);
  poll.client = client;
  poll.until = now + *wait;
  poll.cancelled = call.cancelled;
  poll.on_cancel = call.on_cancel;
  co_return poll;
}

Task<> RocketmqEdge::receive_message(CallContext call, pb::ReceiveMessageRequest request,
                                     StreamWriter<pb::ReceiveMessageResponse>& out) {
  const Caller caller = admit(call);
  std::optional<Refusal> refused = caller.refused;
  std::vector<Engine::Taken> taken;
  SubscriptionId subscription;
  if (!refused) {
    Result<Engine::Poll> poll = co_await prepare_poll(call, request, caller.client->number, refused);
    if (!poll) refused = to_refusal(poll.error());
    if (!refused) {
      subscription = poll->subscription;
      Result<std::vector<Engine::Taken>> polled = co_await engine_.poll(std::move(*poll));
      if (polled) {
        taken = std::move(*polled);
        if (taken.empty()) refused = Refusal{pb::MESSAGE_NOT_FOUND, "MESSAGE_NOT_FOUND: no new message"};
      } else {
        refused = to_refusal(polled.error());
      }
    }
  }
  pb::ReceiveMessageResponse status;
  set_status(*status.mutable_status(), refused.value_or(Refusal{pb::OK, ""}));
  const Result<void> begun = co_await out.write(std::move(status));
  if (!begun) {
    if (!taken.empty()) engine_.take_back(subscription, taken, 0, kUndeliveredPause);
    co_return begun;
  }
  if (!taken.empty()) {
    HF_CO_TRY(co_await write_messages(request.message_queue().topic(), subscription, std::move(taken), out));
  }
  pb::ReceiveMessageResponse last;
  wire_rmq::to_proto(engine_.world().clock.wall(), *last.mutable_delivery_timestamp());
  co_return co_await out.write(std::move(last));
}

Task<> RocketmqEdge::write_messages(const pb::Resource& topic, SubscriptionId subscription,
                                    std::vector<Engine::Taken> taken, StreamWriter<pb::ReceiveMessageResponse>& out) {
  const TopicId read_from = engine_.state().reading(subscription).topic;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    Engine::Taken& one = taken[i];
    const bool dead_letter = engine_.state().topic(read_from).holds_dead_letters() && one.body.topic != read_from;
    const std::string_view origin = dead_letter ? std::string_view(engine_.state().topic(one.body.topic).name) : "";
    const Dressing dressing{.topic = topic,
                            .offset = one.delivery.offset,
                            .attempt = one.delivery.attempt,
                            .handle = to_text(engine_.handle(subscription, one.delivery)),
                            .origin_topic = origin};
    pb::ReceiveMessageResponse frame;
    *frame.mutable_message() = std::move(one.message);
    dress(*frame.mutable_message(), dressing);
    const Result<void> written = co_await out.write(std::move(frame));
    if (!written) {
      engine_.take_back(subscription, taken, i, kUndeliveredPause);
      co_return written;
    }
  }
  co_return ok();
}

}  // namespace hf::broker
