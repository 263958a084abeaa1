#pragma once

/// What the broker writes into its log, byte by byte (docs/formats/broker.md). Little-endian; the log adds length and
/// checksum. Encoding cannot fail; decoding answers `corrupt`, because the log vouches for the bytes and not for us.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/config.h"
#include "broker/half_messages.h"
#include "broker/ids.h"

namespace hf::broker {

/// log::Kind of each record. Numbers are on disk: never reused, never renumbered.
enum class RecordKind : std::uint8_t {
  message = 1,   ///< consumable once durable
  half = 2,      ///< not consumable until a decision says commit
  decision = 3,  ///< commit or rollback, by reference to the half message
  settled = 4,   ///< a group is done with messages: acknowledged, or skipped by its filter
  attempts = 5,  ///< how often a message was delivered, from the second time on
  topic = 6,
  group = 7,
  subscription = 8,  ///< a group reads a topic from here on (or from its first message)
  dead_letter = 9,   ///< a group gave a message up: it moves to %DLQ%<group>, by reference
  redrive = 10,      ///< a dead letter goes back to its group
  checked = 11,      ///< how often a producer was asked about a half message
  parked = 12,       ///< nobody is asked any more; waits for a decision
  restarted = 13,    ///< is asked again
};
std::string_view to_string(RecordKind kind);

/// Who decided.
enum class Decider : std::uint8_t { client = 1, check = 2, operator_ = 3 };
std::string_view to_string(Decider decider);

/// Header of `message`; after it the serialized apache.rocketmq.v2.Message as it will be delivered.
///   at  size
///    0     4  topic
///    4     4  tag_hash
///    8     8  stored_at  µs since the Unix epoch; shown to people, used to age out what was consumed
///   16     …  message
struct MessageHeader {
  TopicId topic;
  std::uint32_t tag_hash = 0;
  std::int64_t stored_at_us = 0;
};
inline constexpr std::size_t kMessageHeaderSize = 16;

/// Header of `half`: a MessageHeader, then
///   16     4  nonce
///   20     4  first_check_ms   0: the broker's configuration
///   24     2  sender_size
///   26     …  sender (client id), then the message
struct HalfHeader {
  MessageHeader message;
  std::uint32_t nonce = 0;
  std::uint32_t first_check_ms = 0;
  std::string_view sender;
};
inline constexpr std::size_t kHalfHeaderSize = 26;

struct DecisionRecord {
  Position half = 0;
  Verdict verdict = Verdict::commit;
  Decider decider = Decider::client;
  std::int64_t at_us = 0;
};
struct OffsetRange {
  QueueOffset from = 0;
  std::uint32_t count = 1;
};
struct SettledRecord {
  SubscriptionId subscription;
  std::int64_t at_us = 0;
  bool skipped = false;  ///< by the filter; else acknowledged
  std::vector<OffsetRange> ranges;
};
struct AttemptsRecord {
  SubscriptionId subscription;
  QueueOffset offset = 0;
  std::uint32_t attempts = 0;
  std::int64_t at_us = 0;
};
struct TopicRecord {
  TopicId id;
  TopicType type = TopicType::mixed;
  std::string name;
};
struct GroupRecord {
  GroupId id;
  std::uint32_t max_attempts = 17;
  std::string name;
};
enum class StartAt : std::uint8_t { end = 0, earliest = 1 };
struct SubscriptionRecord {  // its id is its number among all of them, from 1
  GroupId group;
  TopicId topic;
  StartAt start = StartAt::end;
};
struct DeadLetterRecord {
  SubscriptionId subscription;
  QueueOffset offset = 0;
  TopicId dead_letter_topic;
  std::uint32_t tag_hash = 0;
  std::uint32_t attempts = 0;
  Position origin = 0;  ///< the record with the body
  std::int64_t at_us = 0;
  std::string reason;
};
struct RedriveRecord {
  TopicId dead_letter_topic;
  QueueOffset dead_letter_offset = 0;
  SubscriptionId subscription;
  QueueOffset offset = 0;
  std::int64_t at_us = 0;
};
struct HalfEventRecord {  // checked, parked, restarted
  Position half = 0;
  std::uint32_t checks = 0;
  std::int64_t at_us = 0;
};

std::string encode(const MessageHeader& header);
std::string encode(const HalfHeader& header);
std::string encode(const DecisionRecord& record);
std::string encode(const SettledRecord& record);
std::string encode(const AttemptsRecord& record);
std::string encode(const TopicRecord& record);
std::string encode(const GroupRecord& record);
std::string encode(const SubscriptionRecord& record);
std::string encode(const DeadLetterRecord& record);
std::string encode(const RedriveRecord& record);
std::string encode(const HalfEventRecord& record);

/// Header and what follows it; views into `body`.
struct StoredMessage {
  MessageHeader header;
  Bytes message;
};
struct StoredHalf {
  HalfHeader header;
  Bytes message;
};
Result<StoredMessage> decode_message(Bytes body);
Result<StoredHalf> decode_half(Bytes body);
Result<DecisionRecord> decode_decision(Bytes body);
Result<SettledRecord> decode_settled(Bytes body);
Result<AttemptsRecord> decode_attempts(Bytes body);
Result<TopicRecord> decode_topic(Bytes body);
Result<GroupRecord> decode_group(Bytes body);
Result<SubscriptionRecord> decode_subscription(Bytes body);
Result<DeadLetterRecord> decode_dead_letter(Bytes body);
Result<RedriveRecord> decode_redrive(Bytes body);
Result<HalfEventRecord> decode_half_event(Bytes body);

}  // namespace hf::broker
