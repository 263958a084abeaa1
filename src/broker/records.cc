#include "broker/records.h"

#include "broker/codec.h"

namespace hf::broker {
namespace {

template <class Tag>
void get_id(Decoder& in, StrongId<Tag, std::uint32_t>& id) {
  id = StrongId<Tag, std::uint32_t>(in.get<std::uint32_t>());
}

MessageHeader header_of(Decoder& in) {
  MessageHeader header;
  get_id(in, header.topic);
  in.get(header.tag_hash).get(header.stored_at_us);
  return header;
}

Error corrupt(std::string_view what) { return Error{Code::corrupt, "record: impossible " + std::string(what)}; }

}  // namespace

std::string_view to_string(RecordKind kind) {
  switch (kind) {
    case RecordKind::message:
      return "message";
    case RecordKind::half:
      return "half";
    case RecordKind::decision:
      return "decision";
    case RecordKind::settled:
      return "settled";
    case RecordKind::attempts:
      return "attempts";
    case RecordKind::topic:
      return "topic";
    case RecordKind::group:
      return "group";
    case RecordKind::subscription:
      return "subscription";
    case RecordKind::dead_letter:
      return "dead_letter";
    case RecordKind::redrive:
      return "redrive";
    case RecordKind::checked:
      return "checked";
    case RecordKind::parked:
      return "parked";
    case RecordKind::restarted:
      return "restarted";
  }
  return "unknown";
}

std::string_view to_string(Decider decider) {
  switch (decider) {
    case Decider::client:
      return "client";
    case Decider::check:
      return "check";
    case Decider::operator_:
      return "operator";
  }
  return "unknown";
}

std::string_view to_string(TopicType type) {
  switch (type) {
    case TopicType::normal:
      return "NORMAL";
    case TopicType::transaction:
      return "TRANSACTION";
    case TopicType::mixed:
      return "MIXED";
  }
  return "unknown";
}

std::string encode(const MessageHeader& header) {
  Encoder out;
  return out.put(header.topic.value()).put(header.tag_hash).put(header.stored_at_us).take();
}

std::string encode(const HalfHeader& header) {
  HF_ASSERT(header.sender.size() <= UINT16_MAX);
  Encoder out;
  out.put(header.message.topic.value()).put(header.message.tag_hash).put(header.message.stored_at_us);
  out.put(header.nonce).put(header.first_check_ms).put(static_cast<std::uint16_t>(header.sender.size()));
  return out.take() + std::string(header.sender);
}

std::string encode(const DecisionRecord& record) {
  Encoder out;
  return out.put(record.half).put(record.verdict).put(record.decider).put(record.at_us).take();
}

std::string encode(const SettledRecord& record) {
  Encoder out;
  out.put(record.subscription.value()).put(record.at_us).put(std::uint8_t{record.skipped});
  out.put(static_cast<std::uint32_t>(record.ranges.size()));
  for (const OffsetRange& range : record.ranges) out.put(range.from).put(range.count);
  return out.take();
}

std::string encode(const AttemptsRecord& record) {
  Encoder out;
  return out.put(record.subscription.value()).put(record.offset).put(record.attempts).put(record.at_us).take();
}

std::string encode(const TopicRecord& record) {
  Encoder out;
  return out.put(record.id.value()).put(record.type).text(record.name).take();
}

std::string encode(const GroupRecord& record) {
  Encoder out;
  return out.put(record.id.value()).put(record.max_attempts).text(record.name).take();
}

std::string encode(const SubscriptionRecord& record) {
  Encoder out;
  return out.put(record.group.value()).put(record.topic.value()).put(record.start).take();
}

std::string encode(const DeadLetterRecord& record) {
  Encoder out;
  out.put(record.subscription.value()).put(record.offset).put(record.dead_letter_topic.value());
  out.put(record.tag_hash).put(record.attempts).put(record.origin).put(record.at_us).text(record.reason);
  return out.take();
}

std::string encode(const RedriveRecord& record) {
  Encoder out;
  out.put(record.dead_letter_topic.value()).put(record.dead_letter_offset);
  return out.put(record.subscription.value()).put(record.offset).put(record.at_us).take();
}

std::string encode(const HalfEventRecord& record) {
  Encoder out;
  return out.put(record.half).put(record.checks).put(record.at_us).take();
}

Result<StoredMessage> decode_message(Bytes body) {
  Decoder in(body);
  const MessageHeader header = header_of(in);
  if (in.failed()) return corrupt("message");
  return StoredMessage{header, in.rest()};
}

Result<StoredHalf> decode_half(Bytes body) {
  Decoder in(body);
  HalfHeader header;
  header.message = header_of(in);
  in.get(header.nonce).get(header.first_check_ms);
  header.sender = in.bytes(in.get<std::uint16_t>());
  if (in.failed()) return corrupt("half message");
  return StoredHalf{header, in.rest()};
}

Result<DecisionRecord> decode_decision(Bytes body) {
  Decoder in(body);
  DecisionRecord record;
  in.get(record.half).get(record.verdict).get(record.decider).get(record.at_us);
  HF_TRY(in.finish("decision"));
  if (record.verdict != Verdict::commit && record.verdict != Verdict::rollback) return corrupt("verdict");
  return record;
}

Result<SettledRecord> decode_settled(Bytes body) {
  Decoder in(body);
  SettledRecord record;
  get_id(in, record.subscription);
  in.get(record.at_us);
  record.skipped = in.get<std::uint8_t>() != 0;
  const auto count = in.get<std::uint32_t>();
  if (in.left() != std::size_t{count} * 12) return corrupt("settled ranges");
  record.ranges.resize(count);
  for (OffsetRange& range : record.ranges) in.get(range.from).get(range.count);
  HF_TRY(in.finish("settled"));
  return record;
}

Result<AttemptsRecord> decode_attempts(Bytes body) {
  Decoder in(body);
  AttemptsRecord record;
  get_id(in, record.subscription);
  in.get(record.offset).get(record.attempts).get(record.at_us);
  HF_TRY(in.finish("attempts"));
  return record;
}

Result<TopicRecord> decode_topic(Bytes body) {
  Decoder in(body);
  TopicRecord record;
  get_id(in, record.id);
  in.get(record.type).text(record.name);
  HF_TRY(in.finish("topic"));
  if (record.type < TopicType::normal || record.type > TopicType::mixed) return corrupt("topic type");
  return record;
}

Result<GroupRecord> decode_group(Bytes body) {
  Decoder in(body);
  GroupRecord record;
  get_id(in, record.id);
  in.get(record.max_attempts).text(record.name);
  HF_TRY(in.finish("group"));
  return record;
}

Result<SubscriptionRecord> decode_subscription(Bytes body) {
  Decoder in(body);
  SubscriptionRecord record;
  get_id(in, record.group);
  get_id(in, record.topic);
  in.get(record.start);
  HF_TRY(in.finish("subscription"));
  return record;
}

Result<DeadLetterRecord> decode_dead_letter(Bytes body) {
  Decoder in(body);
  DeadLetterRecord record;
  get_id(in, record.subscription);
  in.get(record.offset);
  get_id(in, record.dead_letter_topic);
  in.get(record.tag_hash).get(record.attempts).get(record.origin).get(record.at_us).text(record.reason);
  HF_TRY(in.finish("dead letter"));
  return record;
}

Result<RedriveRecord> decode_redrive(Bytes body) {
  Decoder in(body);
  RedriveRecord record;
  get_id(in, record.dead_letter_topic);
  in.get(record.dead_letter_offset);
  get_id(in, record.subscription);
  in.get(record.offset).get(record.at_us);
  HF_TRY(in.finish("redrive"));
  return record;
}

Result<HalfEventRecord> decode_half_event(Bytes body) {
  Decoder in(body);
  HalfEventRecord record;
  in.get(record.half).get(record.checks).get(record.at_us);
  HF_TRY(in.finish("half event"));
  return record;
}

}  // namespace hf::broker
