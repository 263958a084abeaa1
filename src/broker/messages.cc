#include "broker/messages.h"

#include "net/crypto.h"
#include "wire/rocketmq/times.h"

namespace hf::broker {
namespace {

namespace wire_rmq = wire::rocketmq;

/// Clients insist on a digest on every message (Node throws without one); of the bytes as sent.
void add_digest(pb::Message& message) {
  pb::Digest& digest = *message.mutable_system_properties()->mutable_body_digest();
  digest.set_type(pb::MD5);
  digest.set_checksum(hex(as_bytes(net::md5(message.body())), HexCase::upper));
}

}  // namespace

std::string to_stored(pb::Message& message, const Stamp& stamp) {
  pb::SystemProperties& system = *message.mutable_system_properties();
  system.clear_receipt_handle();
  system.clear_delivery_attempt();
  system.clear_invisible_duration();
  system.clear_dead_letter_queue();
  system.clear_body_digest();  // nobody verified it; made anew at delivery
  system.clear_queue_offset();
  system.set_queue_id(0);
  system.set_message_type(system.message_type() == pb::TRANSACTION ? pb::TRANSACTION : pb::NORMAL);
  if (system.body_encoding() == pb::ENCODING_UNSPECIFIED) system.set_body_encoding(pb::IDENTITY);
  if (!system.has_born_timestamp()) wire_rmq::to_proto(stamp.now, *system.mutable_born_timestamp());
  if (system.born_host().empty()) system.set_born_host(std::string(stamp.peer));
  wire_rmq::to_proto(stamp.now, *system.mutable_store_timestamp());
  system.set_store_host(std::string(stamp.local));
  return message.SerializeAsString();
}

void dress(pb::Message& message, const Dressing& dressing) {
  pb::SystemProperties& system = *message.mutable_system_properties();
  if (!dressing.origin_topic.empty()) {
    system.mutable_dead_letter_queue()->set_topic(std::string(dressing.origin_topic));
    system.mutable_dead_letter_queue()->set_message_id(system.message_id());
  }
  *message.mutable_topic() = dressing.topic;
  system.set_message_type(pb::NORMAL);  // a committed transactional message is an ordinary one
  system.set_queue_offset(dressing.offset);
  system.set_delivery_attempt(dressing.attempt);
  system.set_receipt_handle(dressing.handle);
  add_digest(message);
}

bool dress_half_message(const StoredBody& body, pb::Message& out) {
  if (!out.ParseFromArray(body.message().data(), static_cast<int>(body.message().size()))) return false;
  out.mutable_system_properties()->set_message_type(pb::TRANSACTION);
  add_digest(out);
  return true;
}

}  // namespace hf::broker
