#include "wire/rocketmq/rules.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "wire/rocketmq/times.h"

namespace hf::wire::rocketmq {
namespace {

constexpr std::string_view kSystemTopics[] = {
    "BenchmarkTest",
    "CHECKPOINT_TOPIC",
    "OFFSET_MOVED_EVENT",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "SCHEDULE_TOPIC_XXXX",
    "SELF_TEST_TOPIC",
    "TBW102",
    "TRANS_CHECK_MAX_TIME_TOPIC",
};

// MessageConst.STRING_HASH_SET, with the additions of 5.4 and 5.5. Sorted: searched by halves.
constexpr auto kReservedProperties = [] {
  std::array names = std::to_array<std::string_view>({
      "1ST_POP_TIME",
      "ARRIVE_TIME",
      "BORN_TIMESTAMP",
      "BUYER_ID",
      "CLUSTER",
      "CONSUME_START_TIME",
      "CORRECTION_FLAG",
      "CORRELATION_ID",
      "DELAY",
      "DLQ_ORIGIN_MESSAGE_ID",
      "DLQ_ORIGIN_TOPIC",
      "DUP_INFO",
      "EXTEND_UNIQ_INFO",
      "INNER_MULTI_QUEUE_OFFSET",
      "INSTANCE_ID",
      "KEYS",
      "MAX_OFFSET",
      "MAX_RECONSUME_TIMES",
      "MIN_OFFSET",
      "MQ2_FLAG",
      "MSG_REGION",
      "MSG_TYPE",
      "ORIGIN_MESSAGE_ID",
      "PGROUP",
      "POP_CK",
      "POP_CK_OFFSET",
      "PUSH_REPLY_TIME",
      "REAL_QID",
      "REAL_TOPIC",
      "RECONSUME_TIME",
      "REPLY_TO_CLIENT",
      "RETRY_TOPIC",
      "TAGS",
      "TIMER_DELAY_LEVEL",
      "TIMER_DELAY_MS",
      "TIMER_DELAY_SEC",
      "TIMER_DELIVER_MS",
      "TIMER_DEL_UNIQKEY",
      "TIMER_DEQUEUE_MS",
      "TIMER_ENQUEUE_MS",
      "TIMER_OUT_MS",
      "TIMER_ROLL_TIMES",
      "TRACE_ON",
      "TRANSFER_FLAG",
      "TRAN_MSG",
      "TRAN_PREPARED_QUEUE_OFFSET",
      "TTL",
      "UNIQ_KEY",
      "WAIT",
      "_SYS_MSG_PRIORITY_",
      "__BORNHOST",
      "__CRC32#",
      "__LITE_TOPIC",
  });
  std::ranges::sort(names);
  return names;
}();

/// Calls `visit` with each code point; a malformed sequence counts as U+0000. Stops when `visit` answers false.
template <class Visit>
bool all_code_points(std::string_view text, Visit visit) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
    if (length == 0 || i + length > text.size()) return visit(U'\0');
    char32_t point = length == 1 ? lead : lead & (0x7Fu >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i + k]);
      if ((next & 0xC0) != 0x80) return visit(U'\0');
      point = point << 6 | (next & 0x3F);
    }
    if (!visit(point)) return false;
    i += length;
  }
  return true;
}

// Character.isISOControl.
bool has_control(std::string_view text) {
  return !all_code_points(text, [](char32_t c) { return c > 0x1F && (c < 0x7F || c > 0x9F); });
}

// Character.isWhitespace; an empty text is blank too (StringUtils.isBlank).
bool is_blank(std::string_view text) {
  return all_code_points(text, [](char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A && c != 0x2007) || c == 0x2028 || c == 0x2029 || c == 0x205F || c == 0x3000;
  });
}

bool is_name(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '%' || c == '|';
  });
}

/// For messages to people: what was refused, cut so that a megabyte of nonsense does not come back.
std::string quote(std::string_view text) {
  return text.size() <= 64 ? "'" + std::string(text) + "'" : "'" + std::string(text.substr(0, 64)) + "…'";
}

Verdict check_name(std::string_view name, std::string_view what, std::size_t max, pb::Code code) {
  if (is_blank(name)) return Refusal{code, std::string(what) + " cannot be blank"};
  if (!is_name(name)) return Refusal{code, std::string(what) + " has a character other than a-z A-Z 0-9 % | _ -"};
  if (name.size() > max)
    return Refusal{code, std::string(what) + " is longer than " + std::to_string(max) + " characters"};
  return std::nullopt;
}

/// The rule that tags, keys and message groups share.
Verdict check_text(std::string_view text, std::string_view what, pb::Code code) {
  if (text.empty()) return std::nullopt;
  if (is_blank(text)) return Refusal{code, std::string(what) + " cannot be only white space"};
  if (has_control(text)) return Refusal{code, std::string(what) + " cannot contain a control character"};
  return std::nullopt;
}

Verdict check_body(std::string_view body, const MessageLimits& limits) {
  if (body.empty()) return Refusal{pb::MESSAGE_BODY_EMPTY, "message body cannot be empty"};
  if (body.size() > limits.body_bytes)
    return Refusal{pb::MESSAGE_BODY_TOO_LARGE, "message body is " + std::to_string(body.size()) +
                                                   " bytes, the limit is " + std::to_string(limits.body_bytes)};
  return std::nullopt;
}

Verdict check_properties(const pb::Message& message, const MessageLimits& limits) {
  const pb::SystemProperties& system = message.system_properties();
  if (message.user_properties().size() > static_cast<std::size_t>(limits.user_properties))
    return Refusal{pb::MESSAGE_PROPERTIES_TOO_LARGE,
                   "more than " + std::to_string(limits.user_properties) + " user properties"};
  std::size_t bytes = system.tag().size();
  for (const auto& [key, value] : message.user_properties()) {
    if (Verdict refused = check_property(key, value)) return refused;
    bytes += key.size() + value.size();
  }
  if (Verdict refused = check_tag(system.tag())) return refused;
  for (const std::string& key : system.keys()) {
    if (Verdict refused = check_key(key)) return refused;
    bytes += key.size();
  }
  if (bytes > limits.property_bytes)
    return Refusal{pb::MESSAGE_PROPERTIES_TOO_LARGE, "user properties, tag and keys are " + std::to_string(bytes) +
                                                         " bytes, the limit is " +
                                                         std::to_string(limits.property_bytes)};
  return std::nullopt;
}

Verdict check_times(const pb::SystemProperties& system, const MessageLimits& limits, WallTime now) {
  if (system.has_orphaned_transaction_recovery_duration()) {
    const Duration recovery = from_proto(system.orphaned_transaction_recovery_duration());
    if (recovery > limits.transaction_recovery || recovery < Duration::zero())
      return Refusal{pb::BAD_REQUEST, "orphaned transaction recovery duration is not in 0 … " +
                                          format_duration(limits.transaction_recovery)};
  }
  const auto delay = std::chrono::duration_cast<std::chrono::microseconds>(limits.delay);
  if (system.has_delivery_timestamp() && from_proto(system.delivery_timestamp()) > now + delay)
    return Refusal{pb::ILLEGAL_DELIVERY_TIME, "delivery time is more than " + format_duration(limits.delay) + " ahead"};
  return std::nullopt;
}

}  // namespace

bool is_system_topic(std::string_view name) {
  return std::ranges::find(kSystemTopics, name) != std::end(kSystemTopics) || name.starts_with("rmq_sys_");
}

bool is_reserved_property(std::string_view key) { return std::ranges::binary_search(kReservedProperties, key); }

Verdict check_topic(std::string_view name) {
  if (Verdict refused = check_name(name, "topic", kTopicNameMax, pb::ILLEGAL_TOPIC)) return refused;
  if (is_system_topic(name)) return Refusal{pb::ILLEGAL_TOPIC, quote(name) + " is a system topic"};
  return std::nullopt;
}

Verdict check_group(std::string_view name) {
  if (Verdict refused = check_name(name, "consumer group", kGroupNameMax, pb::ILLEGAL_CONSUMER_GROUP)) return refused;
  if (name.starts_with("CID_RMQ_SYS_")) return Refusal{pb::ILLEGAL_CONSUMER_GROUP, quote(name) + " is a system group"};
  return std::nullopt;
}

Verdict check_tag(std::string_view tag) {
  if (Verdict refused = check_text(tag, "tag", pb::ILLEGAL_MESSAGE_TAG)) return refused;
  if (tag.find('|') != std::string_view::npos) return Refusal{pb::ILLEGAL_MESSAGE_TAG, "tag cannot contain '|'"};
  return std::nullopt;
}

Verdict check_key(std::string_view key) { return check_text(key, "key", pb::ILLEGAL_MESSAGE_KEY); }

Verdict check_message_group(std::string_view group, std::size_t bytes_max) {
  if (Verdict refused = check_text(group, "message group", pb::ILLEGAL_MESSAGE_GROUP)) return refused;
  if (group.size() > bytes_max)
    return Refusal{pb::ILLEGAL_MESSAGE_GROUP, "message group is longer than " + std::to_string(bytes_max) + " bytes"};
  return std::nullopt;
}

Verdict check_lite_topic(std::string_view name) {
  constexpr std::size_t kMax = 64;
  const bool letters = is_name(name) && name.find_first_of("%|") == std::string_view::npos;
  if (name.empty() || name.size() > kMax || !letters)
    return Refusal{pb::ILLEGAL_LITE_TOPIC, "lite topic must be 1 to 64 characters of a-z A-Z 0-9 _ -"};
  return std::nullopt;
}

Verdict check_property(std::string_view key, std::string_view value) {
  if (is_reserved_property(key))
    return Refusal{pb::ILLEGAL_MESSAGE_PROPERTY_KEY, "property key " + quote(key) + " is reserved"};
  if (has_control(key) || has_control(value))
    return Refusal{pb::ILLEGAL_MESSAGE_PROPERTY_KEY, "property " + quote(key) + " contains a control character"};
  return std::nullopt;
}

// The words "the invisibleTime is too small. min is" and "… too large. max is" are looked for by Apache's end-to-end
// suite.
Verdict check_receive_invisible(Duration duration) {
  if (duration < kInvisibleMin)
    return Refusal{pb::ILLEGAL_INVISIBLE_TIME,
                   "the invisibleTime is too small. min is " +
                       std::to_string(std::chrono::milliseconds(kInvisibleMin / 1ms).count())};
  if (duration > kInvisibleMax)
    return Refusal{pb::ILLEGAL_INVISIBLE_TIME,
                   "the invisibleTime is too large. max is " +
                       std::to_string(std::chrono::milliseconds(kInvisibleMax / 1ms).count())};
  return std::nullopt;
}

Verdict check_change_invisible(Duration duration) {
  if (duration < Duration::zero())
    return Refusal{pb::ILLEGAL_INVISIBLE_TIME, "the invisibleTime is too small. min is 0"};
  if (duration > kInvisibleMax) return check_receive_invisible(duration);
  return std::nullopt;
}

Verdict check_message(const pb::Message& message, const MessageLimits& limits, WallTime now) {
  const pb::SystemProperties& system = message.system_properties();
  if (Verdict refused = check_body(message.body(), limits)) return refused;
  if (Verdict refused = check_properties(message, limits)) return refused;
  if (is_blank(system.message_id())) return Refusal{pb::ILLEGAL_MESSAGE_ID, "message id cannot be blank"};
  if (Verdict refused = check_times(system, limits, now)) return refused;
  if (Verdict refused = check_message_group(system.message_group(), limits.message_group_bytes)) return refused;
  if (system.has_lite_topic()) {
    if (Verdict refused = check_lite_topic(system.lite_topic())) return refused;
  }
  if (system.priority() < 0) return Refusal{pb::BAD_REQUEST, "priority must be 0 or greater"};
  return std::nullopt;
}

Verdict check_send(const pb::SendMessageRequest& request, const MessageLimits& limits, WallTime now) {
  if (request.messages().empty()) return Refusal{pb::MESSAGE_CORRUPTED, "no message to send"};
  const pb::Resource& topic = request.messages(0).topic();
  if (Verdict refused = check_topic(topic.name())) return refused;
  for (const pb::Message& message : request.messages())
    if (message.topic().name() != topic.name() || message.topic().resource_namespace() != topic.resource_namespace())
      return Refusal{pb::MESSAGE_CORRUPTED, "the messages of one request must have one topic"};
  for (const pb::Message& message : request.messages())
    if (Verdict refused = check_message(message, limits, now)) return refused;
  return std::nullopt;
}

pb::MessageType type_of(const pb::SystemProperties& properties) {
  if (properties.message_type() == pb::TRANSACTION) return pb::TRANSACTION;
  if (properties.has_delivery_timestamp()) return pb::DELAY;
  if (!properties.message_group().empty()) return pb::FIFO;
  if (properties.has_priority()) return pb::PRIORITY;
  if (!properties.lite_topic().empty()) return pb::LITE;
  return pb::NORMAL;
}

}  // namespace hf::wire::rocketmq
