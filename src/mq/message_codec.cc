#include "mq/message_codec.h"

#include <algorithm>

#include "wire/rocketmq/rules.h"
#include "wire/rocketmq/times.h"

namespace hf::mq {
namespace {

using wire::rocketmq::from_proto;
using wire::rocketmq::to_proto;

}  // namespace

Result<void> check_kind(const Message& message, SendKind kind) {
  const int kinds =
      (kind == SendKind::half ? 1 : 0) + (message.message_group.empty() ? 0 : 1) + (message.delivery_time ? 1 : 0);
  if (kinds > 1) return Error{Code::invalid, "a message is only one of: ordered by group, delayed, transactional"};
  return ok();
}

pb::Message encode(Message message, SendKind kind, WallTime born_at, const std::string& born_host) {
  pb::Message out;
  out.mutable_topic()->set_name(std::move(message.topic));
  out.set_body(std::move(message.body));
  out.mutable_user_properties()->insert(message.properties.begin(), message.properties.end());
  pb::SystemProperties& system = *out.mutable_system_properties();
  system.set_message_id(std::move(message.message_id));
  if (!message.tag.empty()) system.set_tag(std::move(message.tag));
  for (std::string& key : message.keys) system.add_keys(std::move(key));
  if (!message.message_group.empty()) system.set_message_group(std::move(message.message_group));
  if (message.delivery_time) to_proto(*message.delivery_time, *system.mutable_delivery_timestamp());
  if (message.check_after) to_proto(*message.check_after, *system.mutable_orphaned_transaction_recovery_duration());
  if (kind == SendKind::half) system.set_message_type(pb::TRANSACTION);
  system.set_message_type(wire::rocketmq::type_of(system));
  system.set_body_encoding(pb::IDENTITY);
  system.set_born_host(born_host);
  to_proto(born_at, *system.mutable_born_timestamp());
  return out;
}

ReceivedMessage decode(pb::Message in, const std::string& endpoint) {
  pb::SystemProperties& system = *in.mutable_system_properties();
  ReceivedMessage out;
  out.message.topic = std::move(*in.mutable_topic()->mutable_name());
  out.message.body = std::move(*in.mutable_body());
  out.message.tag = system.tag();
  out.message.keys.assign(system.keys().begin(), system.keys().end());
  out.message.properties.insert(in.user_properties().begin(), in.user_properties().end());
  out.message.message_group = system.message_group();
  if (system.has_delivery_timestamp()) out.message.delivery_time = from_proto(system.delivery_timestamp());
  out.message.message_id = std::move(*system.mutable_message_id());
  out.receipt_handle = std::move(*system.mutable_receipt_handle());
  out.attempt = std::max(1, system.delivery_attempt());
  out.offset = system.queue_offset();
  out.born_at = from_proto(system.born_timestamp());
  out.stored_at = from_proto(system.store_timestamp());
  out.encoding = system.body_encoding() == pb::GZIP ? BodyEncoding::gzip : BodyEncoding::identity;
  out.dead_letter_topic = system.dead_letter_queue().topic();
  out.dead_letter_message_id = system.dead_letter_queue().message_id();
  out.endpoint = endpoint;
  return out;
}

}  // namespace hf::mq
