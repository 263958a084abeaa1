#include "broker/rocketmq_edge.h"

#include "base/log.h"
#include "broker/authentication.h"
#include "broker/messages.h"
#include "wire/rocketmq/endpoints.h"
#include "wire/rocketmq/times.h"

namespace hf::broker {

namespace wire_rmq = wire::rocketmq;
using wire_rmq::from_proto;
using wire_rmq::set_status;
using wire_rmq::to_proto;

namespace {

wire_rmq::MessageLimits message_limits(const BrokerConfig& config) {
  wire_rmq::MessageLimits limits;
  limits.body_bytes = config.limits.body_bytes;
  limits.user_properties = static_cast<int>(config.limits.user_properties);
  limits.property_bytes = config.limits.property_bytes;
  limits.message_group_bytes = config.limits.message_group_bytes;
  limits.delay = config.limits.delivery_ahead;
  limits.transaction_recovery = config.check_back.first_after_max;
  return limits;
}

/// Overall status of a call with one status per entry: the common code, or MULTIPLE_RESULTS.
template <class Entries>
void summarize(const Entries& entries, pb::Status& overall) {
  overall = entries.Get(0).status();
  for (const auto& entry : entries) {
    if (entry.status().code() != overall.code()) set_status(overall, pb::MULTIPLE_RESULTS);
  }
}

}  // namespace

wire_rmq::Refusal to_refusal(const Error& error) {
  switch (error.code) {
    case Code::exhausted:
      return {pb::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS: " + error.message};
    case Code::conflict:
      return {pb::PRECONDITION_FAILED, "PRECONDITION_FAILED: " + error.message};
    case Code::invalid:
      return {pb::BAD_REQUEST, error.message};
    case Code::denied:
      return {pb::FORBIDDEN, error.message};
    default:
      return {pb::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR: " + error.message};
  }
}

RocketmqEdge::RocketmqEdge(Engine& engine) : engine_(engine), limits_(message_limits(engine.config())) {}

RocketmqEdge::Caller RocketmqEdge::admit(const CallContext& call) {
  if (call.client_id.find_first_not_of(' ') == std::string::npos) {
    return {nullptr, Refusal{pb::CLIENT_ID_REQUIRED, "CLIENT_ID_REQUIRED: x-mq-client-id is missing"}};
  }
  if (const auto reason = refuse_caller(engine_.config().access_keys, call)) {
    return {nullptr, Refusal{pb::UNAUTHORIZED, "UNAUTHORIZED: " + *reason}};
  }
  Client* client = engine_.clients().seen(call.client_id, engine_.world().clock.now());
  if (client == nullptr) return {nullptr, Refusal{pb::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS: too many clients"}};
  if (client->peer != call.peer) client->peer = call.peer;
  return {client, std::nullopt};
}

pb::Endpoints RocketmqEdge::endpoints_for(const CallContext& call, const pb::Endpoints& asked) const {
  if (const std::string& fixed = engine_.config().advertise; !fixed.empty()) {
    if (Result<pb::Endpoints> parsed = wire_rmq::parse_endpoints(fixed)) return *parsed;
  }
  // What the client used works for the client, whatever lies between (NAT, port mapping, names). One address.
  pb::Endpoints endpoints = asked;
  if (endpoints.addresses_size() == 0) {
    if (Result<pb::Endpoints> parsed = wire_rmq::parse_endpoints(call.local)) return *parsed;
  }
  while (endpoints.addresses_size() > 1) endpoints.mutable_addresses()->RemoveLast();
  if (endpoints.scheme() == pb::ADDRESS_SCHEME_UNSPECIFIED) endpoints.set_scheme(pb::DOMAIN_NAME);
  return endpoints;
}

void RocketmqEdge::describe_queue(const Topic& topic, const pb::Resource& name, const pb::Endpoints& endpoints,
                                  pb::MessageQueue& out) const {
  *out.mutable_topic() = name;
  out.set_id(0);
  out.set_permission(pb::READ_WRITE);
  out.mutable_broker()->set_name(engine_.config().name);
  out.mutable_broker()->set_id(0);
  *out.mutable_broker()->mutable_endpoints() = endpoints;
  if (topic.type != TopicType::transaction) out.add_accept_message_types(pb::NORMAL);
  if (topic.type != TopicType::normal) out.add_accept_message_types(pb::TRANSACTION);
}

Task<pb::QueryRouteResponse> RocketmqEdge::query_route(CallContext call, pb::QueryRouteRequest request) {
  pb::QueryRouteResponse response;
  std::optional<Refusal> refused = admit(call).refused;
  if (!refused) refused = wire_rmq::check_topic(request.topic().name());
  if (!refused) {
    const Result<TopicId> topic = engine_.topic(request.topic().name(), Engine::Create::if_allowed);
    if (topic) {
      describe_queue(engine_.state().topic(*topic), request.topic(), endpoints_for(call, request.endpoints()),
                     *response.add_message_queues());
    } else if (topic.error().code == Code::not_found) {
      refused = Refusal{pb::TOPIC_NOT_FOUND, "TOPIC_NOT_FOUND: " + topic.error().message};
    } else {
      refused = to_refusal(topic.error());
    }
  }
  set_status(*response.mutable_status(), refused.value_or(Refusal{pb::OK, ""}));
  co_return response;
}

Task<pb::QueryAssignmentResponse> RocketmqEdge::query_assignment(CallContext call, pb::QueryAssignmentRequest request) {
  pb::QueryAssignmentResponse response;
  std::optional<Refusal> refused = admit(call).refused;
  if (!refused) refused = wire_rmq::check_topic(request.topic().name());
  if (!refused) refused = wire_rmq::check_group(request.group().name());
  if (!refused) {
    const Result<TopicId> topic = engine_.topic(request.topic().name(), Engine::Create::if_allowed);
    if (topic) {
      pb::MessageQueue& queue = *response.add_assignments()->mutable_message_queue();
      describe_queue(engine_.state().topic(*topic), request.topic(), endpoints_for(call, request.endpoints()), queue);
      queue.set_id(-1);  // any queue of the broker: consumers of a group share by taking
    } else if (topic.error().code == Code::not_found) {
      refused = Refusal{pb::TOPIC_NOT_FOUND, "TOPIC_NOT_FOUND: " + topic.error().message};
    } else {
      refused = to_refusal(topic.error());
    }
  }
  set_status(*response.mutable_status(), refused.value_or(Refusal{pb::OK, ""}));
  co_return response;
}

std::optional<wire_rmq::Refusal> RocketmqEdge::refuse_type(const Topic& topic,
                                                           const pb::SystemProperties& properties) const {
  pb::MessageType type = wire_rmq::type_of(properties);
  // A delivery time that is over is no delay: delivered at once, as Apache's broker does.
  if (type == pb::DELAY && from_proto(properties.delivery_timestamp()) <= engine_.world().clock.wall())
    type = pb::NORMAL;
  const std::string name = pb::MessageType_Name(type);
  if (type != pb::NORMAL && type != pb::TRANSACTION) {
    return Refusal{pb::MESSAGE_PROPERTY_CONFLICT_WITH_TYPE,
                   "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: " + name + " messages are not supported yet"};
  }
  const TopicType refused_by = type == pb::NORMAL ? TopicType::transaction : TopicType::normal;
  if (topic.type == refused_by) {
    return Refusal{pb::MESSAGE_PROPERTY_CONFLICT_WITH_TYPE,
                   fmt::format("MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: topic {} is of type {} and takes no {} messages",
                               topic.name, to_string(topic.type), name)};
  }
  return std::nullopt;
}

Task<pb::SendMessageResponse> RocketmqEdge::send_message(CallContext call, pb::SendMessageRequest request) {
  pb::SendMessageResponse response;
  const WallTime now = engine_.world().clock.wall();
  std::optional<Refusal> refused = admit(call).refused;
  if (!refused) refused = wire_rmq::check_send(request, limits_, now);
  if (!refused && static_cast<std::size_t>(request.messages_size()) > engine_.config().limits.batch_messages) {
    refused = Refusal{pb::BAD_REQUEST, "too many messages in one request"};
  }
  if (!refused) {
    const Result<TopicId> found = engine_.topic(request.messages(0).topic().name(), Engine::Create::if_allowed);
    if (!found) {
      refused = found.error().code == Code::not_found
                    ? Refusal{pb::TOPIC_NOT_FOUND, "TOPIC_NOT_FOUND: " + found.error().message}
                    : to_refusal(found.error());
    }
  }
  const Topic* topic = refused ? nullptr : engine_.state().find_topic(request.messages(0).topic().name());
  bool transactional = false;
  for (const pb::Message& message : request.messages()) {
    if (refused) break;
    refused = refuse_type(*topic, message.system_properties());
    transactional = transactional || message.system_properties().message_type() == pb::TRANSACTION;
  }
  if (refused) {
    set_status(*response.mutable_status(), *refused);
    co_return response;
  }
  if (transactional) HF_CO_TRY(co_await engine_.world().faults.reach("broker.before_half_append"));

  auto commit = std::make_shared<Commit>();
  const Stamp stamp{now, call.peer, call.local};
  for (pb::Message& message : *request.mutable_messages()) {
    pb::SystemProperties& system = *message.mutable_system_properties();
    pb::SendResultEntry& entry = *response.add_entries();
    entry.set_message_id(system.message_id());
    if (system.tag().empty()) system.clear_tag();
    const std::uint32_t tag_hash = system.has_tag() ? java_hash(system.tag()) : 0;
    Result<void> appended = ok();
    if (system.message_type() == pb::TRANSACTION) {
      const Duration first_check = from_proto(system.orphaned_transaction_recovery_duration());
      const Result<Engine::HalfSent> half =
          engine_.send_half(topic->id, tag_hash, to_stored(message, stamp), first_check, call.client_id, commit);
      if (half) entry.set_transaction_id(transaction_id(half->position, half->nonce));
      if (!half) appended = half.error();
    } else {
      const Result<Position> position = engine_.send(topic->id, tag_hash, to_stored(message, stamp), commit);
      if (!position) appended = position.error();
    }
    set_status(*entry.mutable_status(), appended ? Refusal{pb::OK, ""} : to_refusal(appended.error()));
  }
  const Result<void> durable = co_await commit->durable();
  if (transactional) {
    HF_CO_TRY(co_await engine_.world().faults.reach("broker.after_half_durable"));
    if (engine_.world().faults.drops("broker.half_ack")) co_return Error{Code::timeout, "fault point broker.half_ack"};
  }
  QueueOffset offset = commit->first_offset().value_or(0);
  for (pb::SendResultEntry& entry : *response.mutable_entries()) {
    if (entry.status().code() != pb::OK) continue;
    if (!durable) set_status(*entry.mutable_status(), pb::MASTER_PERSISTENCE_TIMEOUT, durable.error().message);
    if (durable && entry.transaction_id().empty()) entry.set_offset(offset++);
  }
  summarize(response.entries(), *response.mutable_status());
  co_return response;
}

Task<pb::EndTransactionResponse> RocketmqEdge::end_transaction(CallContext call, pb::EndTransactionRequest request) {
  pb::EndTransactionResponse response;
  std::optional<Refusal> refused = admit(call).refused;
  if (!refused) refused = wire_rmq::check_topic(request.topic().name());
  if (!refused && request.transaction_id().find_first_not_of(' ') == std::string::npos) {
    refused = Refusal{pb::INVALID_TRANSACTION_ID, "INVALID_TRANSACTION_ID: the transaction id is blank"};
  }
  const bool decides = request.resolution() == pb::COMMIT || request.resolution() == pb::ROLLBACK;
  if (!refused && decides) {
    if (engine_.world().faults.drops("broker.end_tx")) co_return Error{Code::timeout, "fault point broker.end_tx"};
    const Verdict verdict = request.resolution() == pb::COMMIT ? Verdict::commit : Verdict::rollback;
    const Decider decider = request.source() == pb::SOURCE_SERVER_CHECK ? Decider::check : Decider::client;
    const Result<TopicId> topic = engine_.topic(request.topic().name(), Engine::Create::never);
    const Result<Engine::HalfSent> half = parse_transaction_id(request.transaction_id());
    Result<void> decided = Error{Code::not_found, "no such transaction"};
    if (topic && half) {
      decided = co_await engine_.end_transaction(*topic, half->position, half->nonce, verdict, decider);
    }
    if (decided) HF_CO_TRY(co_await engine_.world().faults.reach("broker.after_decision_durable"));
    if (!decided && decided.error().code == Code::not_found) {
      refused = Refusal{pb::INVALID_TRANSACTION_ID, "INVALID_TRANSACTION_ID: " + decided.error().message};
    } else if (!decided) {
      refused = to_refusal(decided.error());
    }
  }
  set_status(*response.mutable_status(), refused.value_or(Refusal{pb::OK, ""}));
  co_return response;
}

std::optional<SubscriptionId> RocketmqEdge::reading_of(const pb::Resource& group, const pb::Resource& topic) {
  const Group* known_group = engine_.state().find_group(group.name());
  const Topic* known_topic = engine_.state().find_topic(topic.name());
  if (known_group == nullptr || known_topic == nullptr) return std::nullopt;
  const Reading* reading = engine_.state().find_reading(known_group->id, known_topic->id);
  if (reading == nullptr) return std::nullopt;
  return reading->id;
}

Result<Engine::Handle> RocketmqEdge::handle_of(const pb::Resource& group, const pb::Resource& topic,
                                               const std::string& text) {
  HF_TRY(const Engine::Handle handle, parse_handle(text));
  if (reading_of(group, topic) != handle.subscription) {
    return Error{Code::not_found, "the receipt handle is of another subscription"};
  }
  return handle;
}

Task<pb::AckMessageResponse> RocketmqEdge::ack_message(CallContext call, pb::AckMessageRequest request) {
  pb::AckMessageResponse response;
  std::optional<Refusal> refused = admit(call).refused;
  if (!refused) refused = wire_rmq::check_topic(request.topic().name());
  if (!refused) refused = wire_rmq::check_group(request.group().name());
  if (!refused && request.entries_size() == 0) refused = Refusal{pb::BAD_REQUEST, "no entries to acknowledge"};
  if (refused) {
    set_status(*response.mutable_status(), *refused);
    co_return response;
  }
  HF_CO_TRY(const std::vector<Result<void>> results, co_await acknowledge(request));
  for (int i = 0; i < request.entries_size(); ++i) {
    pb::AckMessageResultEntry& entry = *response.add_entries();
    entry.set_message_id(request.entries(i).message_id());
    entry.set_receipt_handle(request.entries(i).receipt_handle());
    const Result<void>& result = results[static_cast<std::size_t>(i)];
    if (result) {
      set_status(*entry.mutable_status(), pb::OK);
    } else if (result.error().code == Code::not_found) {
      set_status(*entry.mutable_status(), pb::INVALID_RECEIPT_HANDLE,
                 "INVALID_RECEIPT_HANDLE: " + result.error().message);
    } else {
      set_status(*entry.mutable_status(), to_refusal(result.error()));
    }
  }
  summarize(response.entries(), *response.mutable_status());
  co_return response;
}

/// One result per entry of the request.
Task<std::vector<Result<void>>> RocketmqEdge::acknowledge(const pb::AckMessageRequest& request) {
  std::vector<Result<void>> results;
  std::vector<Engine::Handle> handles;
  std::vector<std::size_t> of_entry;
  for (const pb::AckMessageEntry& entry : request.entries()) {
    const Result<Engine::Handle> handle = handle_of(request.group(), request.topic(), entry.receipt_handle());
    if (handle) {
      of_entry.push_back(results.size());
      handles.push_back(*handle);
    }
    results.push_back(handle ? ok() : Result<void>(handle.error()));
  }
  if (handles.empty()) co_return results;
  Result<std::vector<Result<void>>> acknowledged = co_await engine_.acknowledge(std::move(handles));
  for (std::size_t i = 0; i < of_entry.size(); ++i) {
    results[of_entry[i]] = acknowledged ? (*acknowledged)[i] : Result<void>(acknowledged.error());
  }
  co_return results;
}

Task<pb::ChangeInvisibleDurationResponse> RocketmqEdge::change_invisible_duration(
    CallContext call, pb::ChangeInvisibleDurationRequest request) {
  pb::ChangeInvisibleDurationResponse response;
  response.set_receipt_handle(request.receipt_handle());  // Java and Python store it before they look at the status
  const Duration invisible = from_proto(request.invisible_duration());
  std::optional<Refusal> refused = admit(call).refused;
  if (!refused) refused = wire_rmq::check_topic(request.topic().name());
  if (!refused) refused = wire_rmq::check_group(request.group().name());
  if (!refused) refused = wire_rmq::check_change_invisible(invisible);
  if (!refused) {
    Result<Engine::Handle> handle = handle_of(request.group(), request.topic(), request.receipt_handle());
    if (handle) handle = engine_.change_invisible(*handle, invisible, request.suspend());
    if (handle) response.set_receipt_handle(to_text(*handle));
    if (!handle) {
      refused = Refusal{pb::INVALID_RECEIPT_HANDLE, "INVALID_RECEIPT_HANDLE: " + handle.error().message};
    }
  }
  set_status(*response.mutable_status(), refused.value_or(Refusal{pb::OK, ""}));
  co_return response;
}

Task<pb::ForwardMessageToDeadLetterQueueResponse> RocketmqEdge::forward_message_to_dead_letter_queue(
    CallContext call, pb::ForwardMessageToDeadLetterQueueRequest request) {
  pb::ForwardMessageToDeadLetterQueueResponse response;
  const Caller caller = admit(call);
  std::optional<Refusal> refused = caller.refused;
  if (!refused) refused = wire_rmq::check_topic(request.topic().name());
  if (!refused) refused = wire_rmq::check_group(request.group().name());
  if (!refused) {
    std::optional<Engine::Handle> handle;
    if (!request.receipt_handle().empty()) {
      const Result<Engine::Handle> given = handle_of(request.group(), request.topic(), request.receipt_handle());
      if (given) handle = *given;
    } else if (const auto reading = reading_of(request.group(), request.topic())) {
      handle = engine_.find_in_flight(*reading, caller.client->number, request.message_id());  // the C++ client's way
    }
    Result<void> forwarded = Error{Code::not_found, "no such message is with this client"};
    if (handle) forwarded = co_await engine_.dead_letter(*handle, "forwarded by the consumer");
    if (!forwarded && forwarded.error().code == Code::not_found) {
      refused = Refusal{pb::INVALID_RECEIPT_HANDLE, "INVALID_RECEIPT_HANDLE: " + forwarded.error().message};
    } else if (!forwarded) {
      refused = to_refusal(forwarded.error());
    }
  }
  set_status(*response.mutable_status(), refused.value_or(Refusal{pb::OK, ""}));
  co_return response;
}

}  // namespace hf::broker
