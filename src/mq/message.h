#pragma once

/// Messages as applications see them. Limits: wire/rocketmq/rules.h (4 MiB body, 16 KiB properties, …); what breaks one
/// is refused as `invalid` before anything is sent.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace hf::mq {

struct Message {
  std::string topic{};
  std::string body{};  ///< at least one byte
  std::string tag{};   ///< empty: none
  std::vector<std::string> keys{};
  std::map<std::string, std::string> properties{};
  std::string message_group{};              ///< FIFO: messages of one group keep their order; empty: none
  std::optional<WallTime> delivery_time{};  ///< delayed: not before this; at most 24 h ahead
  /// Transactions: how long the broker waits before it first asks what became of this one; at most 1 h. Unset: its own.
  std::optional<Duration> check_after{};
  /// Empty: drawn when it is sent. The same id in every attempt of a send, and on delivery.
  std::string message_id{};

  /// What to call it in a log: its first key, or its id.
  const std::string& log_key() const { return keys.empty() ? message_id : keys.front(); }
};

/// The broker has it, durably.
struct SendReceipt {
  std::string message_id;
  std::string transaction_id;  ///< half messages only
  std::int64_t offset = 0;     ///< in its queue; 0 for half messages
};

enum class BodyEncoding { identity, gzip };

/// A message that was handed to us until it is acknowledged, given back, or its invisible duration has passed.
struct ReceivedMessage {
  Message message;
  std::string receipt_handle;  ///< replaced by change_invisible()
  int attempt = 1;             ///< delivery attempt, 1 is the first
  std::int64_t offset = 0;
  WallTime born_at, stored_at;  ///< for people; clocks of the sender and of the broker
  /// As the sender stored it; nothing is unpacked here.
  BodyEncoding encoding = BodyEncoding::identity;
  /// Of a dead letter: where it came from.
  std::string dead_letter_topic, dead_letter_message_id;
  std::string endpoint;  ///< "127.0.0.1:8081", whom to answer
};

}  // namespace hf::mq
