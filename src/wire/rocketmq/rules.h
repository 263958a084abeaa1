#pragma once

/// What RocketMQ 5 accepts: names, tags, keys, properties, sizes, times; in the order and with the codes of Apache's
/// proxy. Pure. The broker refuses by these before anything is stored; our client refuses by the same before anything
/// is sent.
///
/// Source: Apache RocketMQ 5.3 proxy, GrpcValidator and SendMessageActivity; TopicValidator; MessageConst.
/// Strings are UTF-8 (protobuf refuses others); malformed UTF-8 counts as a control character here.

#include <optional>
#include <string_view>

#include "apache/rocketmq/v2/service.pb.h"
#include "base/time.h"
#include "wire/rocketmq/status.h"

namespace hf::wire::rocketmq {

inline constexpr std::size_t kTopicNameMax = 127, kGroupNameMax = 120;
inline constexpr int kReceiveBatchMax = 32;
inline constexpr Duration kInvisibleMin = 10s, kInvisibleMax = 12h;
inline constexpr Duration kPollingMin = 5s, kPollingMax = 20s;

/// Limits of a broker; the defaults are Apache's.
struct MessageLimits {
  std::size_t body_bytes = 4 << 20;
  int user_properties = 128;
  std::size_t property_bytes = 16 << 10;  ///< all user property keys and values, the tag and the keys together
  std::size_t message_group_bytes = 63;
  Duration delay = 24h;
  Duration transaction_recovery = 3600s;
};

/// Each: nullopt if accepted.
using Verdict = std::optional<Refusal>;

Verdict check_topic(std::string_view name);  ///< system topics are refused
Verdict check_group(std::string_view name);  ///< consumer group
/// An empty tag, key or message group means "none" and is accepted.
Verdict check_tag(std::string_view tag);
Verdict check_key(std::string_view key);
Verdict check_message_group(std::string_view group, std::size_t bytes_max = MessageLimits{}.message_group_bytes);
Verdict check_lite_topic(std::string_view name);
Verdict check_property(std::string_view key, std::string_view value);
/// `duration` of ChangeInvisibleDuration: 0 (visible at once) … 12 h.
Verdict check_change_invisible(Duration duration);
/// Invisible duration of a receive without auto renewal: 10 s … 12 h.
Verdict check_receive_invisible(Duration duration);

/// Everything about a send that needs no knowledge of topics: at least one message, one topic, and each message alone.
Verdict check_send(const pb::SendMessageRequest& request, const MessageLimits& limits, WallTime now);
Verdict check_message(const pb::Message& message, const MessageLimits& limits, WallTime now);

/// What a message is, read from what is present in it and not from message_type, transactions excepted:
/// TRANSACTION > DELAY > FIFO > PRIORITY > LITE > NORMAL.
pb::MessageType type_of(const pb::SystemProperties& properties);
/// True for names the server keeps for itself; they are also hidden from delivered user properties.
bool is_reserved_property(std::string_view key);
bool is_system_topic(std::string_view name);

}  // namespace hf::wire::rocketmq
