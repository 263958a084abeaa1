#pragma once

/// Everything that can be set about the broker. `app` maps it to the section [broker].

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"

namespace hf::broker {

/// What producers may send to a topic. FIFO, DELAY, PRIORITY and LITE topics are not supported yet.
enum class TopicType : std::uint8_t { normal = 1, transaction = 2, mixed = 3 };
std::string_view to_string(TopicType type);

struct TopicConfig {
  std::string name;
  TopicType type = TopicType::mixed;
};

struct GroupConfig {
  std::string name;
  /// Deliveries before a message is dead-lettered, 1 … 1000. RocketMQ: retryMaxTimes 16 + 1.
  int max_attempts = 17;
};

/// When the broker asks about half messages nobody decided (design.md §3; RocketMQ transactionTimeOut,
/// transactionCheckInterval, transactionCheckMax).
struct CheckBackConfig {
  Duration first_after = 6s;      ///< after the half message was stored, by this broker's clock; > 0
  Duration first_after_max = 1h;  ///< bound of orphaned_transaction_recovery_duration; beyond: BAD_REQUEST
  Duration interval = 30s;        ///< between checks; > 0
  int max_checks = 15;            ///< delivered checks, then it is parked; 1 … 1000
  /// Undecided for this long, checked or not: parked. 0: never. Profile window-15s sets 15 s. Parking decides nothing.
  Duration park_after = 0s;
  std::size_t max_pending = 1'000'000;  ///< undecided half messages; beyond: TOO_MANY_REQUESTS
};

struct RetentionConfig {
  Duration keep_consumed = 72h;  ///< what every group consumed stays readable (history, new groups) this long
  std::uint64_t keep_consumed_bytes = 16ull << 30;  ///< … and at most this much log
  Duration every = 10s;                             ///< how often segments are looked at; > 0
};

struct LimitsConfig {
  std::size_t body_bytes = 4u << 20;   ///< RocketMQ maxMessageSize
  std::size_t user_properties = 128;   ///< per message
  std::size_t property_bytes = 16384;  ///< keys and values, tag and keys of one message
  std::size_t message_group_bytes = 63;
  std::size_t batch_messages = 1024;          ///< messages of one SendMessage
  Duration delivery_ahead = 24h;              ///< beyond: ILLEGAL_DELIVERY_TIME
  Duration poll_min = 5s, poll_max = 20s;     ///< long polls are clamped to this
  int receive_batch = 32;                     ///< messages of one ReceiveMessage
  std::size_t receive_bytes = 8u << 20;       ///< bodies of one ReceiveMessage; at least one message is delivered
  std::size_t polls_per_subscription = 1024;  ///< RocketMQ popPollingSize; beyond: TOO_MANY_REQUESTS
  std::size_t polls = 100'000;                ///< RocketMQ maxPopPollingSize
  std::size_t in_flight_per_subscription = 200'000;  ///< delivered, neither acknowledged nor expired
  std::size_t sends_waiting = 65'536;  ///< records appended and not yet durable; beyond: TOO_MANY_REQUESTS
  std::size_t bytes_waiting = 256u << 20;
  std::size_t topics = 10'000, groups = 10'000, clients = 100'000;
};

struct BrokerConfig {
  std::string name = "holdfast";  ///< broker name in routes; stable, it is part of what clients key on
  /// "host:port" given to clients in routes. Empty: the address the client itself used (works behind NAT and port
  /// mapping).
  std::string advertise;
  bool auto_create_topics = true;  ///< an unknown topic is created, type MIXED, when a client asks for its route
  bool auto_create_groups = true;
  std::vector<TopicConfig> topics;
  /// These groups see each topic from its first message on; others from the moment they first appear.
  std::vector<GroupConfig> groups;
  int max_attempts = 17;  ///< of groups created automatically
  CheckBackConfig check_back;
  RetentionConfig retention;
  LimitsConfig limits;
  /// Access key → secret key. Empty: nobody is asked (only on loopback, P10).
  std::map<std::string, std::string> access_keys;
  Duration client_expiry = 120s;               ///< without any call and without Telemetry stream a client is gone
  Duration settings_grace = 10min;             ///< settings of a client that is gone are kept this long
  std::uint64_t segment_bytes = 64ull << 20;   ///< of the log; fixed when the data folder is made
  std::uint64_t snapshot_every = 64ull << 20;  ///< log bytes between snapshots, at least; bounds the replay at start
  std::size_t cache_bytes = 8u << 20;          ///< recently stored messages kept in memory for consumers that keep up
};

/// Error: invalid, naming the field. Bounds are those of the comments above.
Result<void> validate(const BrokerConfig& config);

}  // namespace hf::broker
