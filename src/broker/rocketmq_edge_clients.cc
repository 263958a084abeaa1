// RocketmqEdge: Heartbeat, NotifyClientTermination, Telemetry.

#include <array>

#include "base/log.h"
#include "broker/rocketmq_edge.h"
#include "wire/rocketmq/times.h"

namespace hf::broker {

namespace wire_rmq = wire::rocketmq;
using wire_rmq::set_status;
using wire_rmq::to_proto;

namespace {

/// RocketMQ CustomizedRetryPolicy: the delay after the n-th failed delivery; the last repeats.
constexpr std::array<Duration, 18> kRetryDelays = {1s,   5s,   10s,  30s,  1min,  2min,  3min,  4min, 5min,
                                                   6min, 7min, 8min, 9min, 10min, 20min, 30min, 1h,   2h};

bool is_consumer(pb::ClientType type) { return type == pb::PUSH_CONSUMER || type == pb::SIMPLE_CONSUMER; }

/// Why these settings cannot be accepted; they end the stream with INVALID_ARGUMENT, as Apache's proxy does.
std::optional<std::string> refuse_settings(const pb::Settings& settings) {
  if (!settings.has_publishing() && !settings.has_subscription()) return "settings without publishing or subscription";
  if (settings.has_publishing()) {
    if (settings.has_client_type() && settings.client_type() != pb::PRODUCER) return "publishing by a consumer";
    for (const pb::Resource& topic : settings.publishing().topics()) {
      if (const auto refused = wire_rmq::check_topic(topic.name())) return refused->message;
    }
    return std::nullopt;
  }
  if (settings.has_client_type() && !is_consumer(settings.client_type())) {
    return pb::ClientType_Name(settings.client_type()) + " cannot subscribe here (push and simple consumers can)";
  }
  if (const auto refused = wire_rmq::check_group(settings.subscription().group().name())) return refused->message;
  for (const pb::SubscriptionEntry& entry : settings.subscription().subscriptions()) {
    if (const auto refused = wire_rmq::check_topic(entry.topic().name())) return refused->message;
  }
  return std::nullopt;
}

}  // namespace

Task<pb::HeartbeatResponse> RocketmqEdge::heartbeat(CallContext call, pb::HeartbeatRequest request) {
  pb::HeartbeatResponse response;
  const Caller caller = admit(call);
  std::optional<Refusal> refused = caller.refused;
  const bool known_type = request.client_type() == pb::PRODUCER || is_consumer(request.client_type());
  if (!refused && (!caller.client->registered || !known_type)) {
    refused = Refusal{pb::UNRECOGNIZED_CLIENT_TYPE, "UNRECOGNIZED_CLIENT_TYPE: send Settings first"};
  }
  if (!refused && is_consumer(request.client_type())) refused = wire_rmq::check_group(request.group().name());
  set_status(*response.mutable_status(), refused.value_or(Refusal{pb::OK, ""}));
  co_return response;
}

Task<pb::NotifyClientTerminationResponse> RocketmqEdge::notify_client_termination(CallContext call,
                                                                                  pb::NotifyClientTerminationRequest) {
  pb::NotifyClientTerminationResponse response;
  const Caller caller = admit(call);
  std::optional<Refusal> refused = caller.refused;
  if (!refused && !engine_.clients().terminate(call.client_id)) {
    refused = Refusal{pb::UNRECOGNIZED_CLIENT_TYPE, "UNRECOGNIZED_CLIENT_TYPE: no settings of this client"};
  }
  if (!refused) {
    log::info("broker.client.terminated", {{"client_id", call.client_id}});
    engine_.terminate(*caller.client);
  }
  set_status(*response.mutable_status(), refused.value_or(Refusal{pb::OK, ""}));
  co_return response;
}

Task<> RocketmqEdge::telemetry(CallContext call, StreamReader<pb::TelemetryCommand>& from_client,
                               StreamWriter<pb::TelemetryCommand>& to_client) {
  const Caller caller = admit(call);
  if (caller.refused) co_return Error{Code::invalid, caller.refused->message};
  const auto link = std::make_shared<TelemetryLink>(engine_.world().clock);
  sys::TaskGroup writer(engine_.world().executor, engine_.world().clock);
  writer.spawn("broker.telemetry", link->run(to_client));
  Result<void> ended = ok();
  while (link->open()) {
    Result<std::optional<pb::TelemetryCommand>> command = co_await from_client.read();
    if (!command || !command->has_value()) break;  // the client left; that is how these streams end
    engine_.clients().seen(call.client_id, engine_.world().clock.now());
    // Answers to stack traces and verifications are for nobody here; unknown commands are ignored, as proto3 asks.
    if (!(*command)->has_settings()) continue;
    ended = co_await settings(call.client_id, std::move(*(*command)->mutable_settings()), link);
    if (!ended) break;
  }
  link->close();
  co_await writer.join();
  co_return ended;
}

Task<> RocketmqEdge::settings(const std::string& client_id, pb::Settings settings,
                              std::shared_ptr<TelemetryLink> link) {
  if (const auto refused = refuse_settings(settings)) co_return Error{Code::invalid, *refused};
  std::set<TopicId> publishes;
  for (const pb::Resource& name : settings.publishing().topics()) {
    const Result<TopicId> topic = engine_.topic(name.name(), Engine::Create::if_allowed);
    if (topic) publishes.insert(*topic);
  }
  if (settings.has_subscription()) {
    // From here on the group gets what is sent. A topic or group that may not be made: its calls will say so.
    const Result<GroupId> group = engine_.group(settings.subscription().group().name(), Engine::Create::if_allowed);
    for (const pb::SubscriptionEntry& entry : settings.subscription().subscriptions()) {
      const Result<TopicId> topic = engine_.topic(entry.topic().name(), Engine::Create::if_allowed);
      if (!group || !topic) continue;
      HF_CO_TRY([[maybe_unused]] const SubscriptionId opened, co_await engine_.reading(*group, *topic));
    }
  }
  Client* client = engine_.clients().seen(client_id, engine_.world().clock.now());
  if (client == nullptr) co_return Error{Code::exhausted, "too many clients"};
  if (!client->registered) log::info("broker.client.registered", {{"client_id", client_id}});
  client->registered = true;
  client->type = settings.client_type();
  client->language = pb::Language_Name(settings.user_agent().language());
  client->version = settings.user_agent().version();
  client->group = settings.subscription().group().name();
  client->link = link;  // the newest stream is the one that is asked
  pb::TelemetryCommand command;
  set_status(*command.mutable_status(), pb::OK);  // Python ignores settings without it
  *command.mutable_settings() = answer(settings);
  if (!link->post(std::move(command))) co_return Error{Code::unavailable, "the stream does not take commands"};
  engine_.announce(*client, std::move(publishes));
  co_return ok();
}

pb::Settings RocketmqEdge::answer(const pb::Settings& asked) const {
  pb::Settings settings = asked;
  pb::RetryPolicy& retry = *settings.mutable_backoff_policy();
  retry.Clear();
  const LimitsConfig& limits = engine_.config().limits;
  if (settings.has_publishing()) {
    retry.set_max_attempts(3);
    pb::ExponentialBackoff& backoff = *retry.mutable_exponential_backoff();
    to_proto(10ms, *backoff.mutable_initial());
    to_proto(1s, *backoff.mutable_max());
    backoff.set_multiplier(2);
    settings.mutable_publishing()->set_max_body_size(static_cast<std::int32_t>(limits.body_bytes));
    settings.mutable_publishing()->set_validate_message_type(true);
  } else {
    const Group* group = engine_.state().find_group(settings.subscription().group().name());
    retry.set_max_attempts(group == nullptr ? engine_.config().max_attempts : group->max_attempts);
    for (const Duration delay : kRetryDelays) to_proto(delay, *retry.mutable_customized_backoff()->add_next());
    pb::Subscription& subscription = *settings.mutable_subscription();
    subscription.set_fifo(false);
    subscription.set_receive_batch_size(limits.receive_batch);
    to_proto(limits.poll_max, *subscription.mutable_long_polling_timeout());
  }
  settings.mutable_metric()->Clear();
  settings.mutable_metric()->set_on(false);
  return settings;
}

}  // namespace hf::broker
