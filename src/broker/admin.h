#pragma once

/// What an operator asks of the broker and tells it: plain C++ for whoever runs in the same process (`app` makes HTTP
/// and commands of it). Strand only; results are copies. Reading never changes anything.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "base/time.h"
#include "broker/config.h"
#include "sys/worker.h"

namespace hf::broker {

class Engine;

struct TopicInfo {
  std::string name;
  TopicType type = TopicType::mixed;
  bool holds_dead_letters = false;
  std::int64_t first_offset = 0, next_offset = 0;  ///< messages still stored: [first, next)
  std::vector<std::string> groups;
};
struct ReadingInfo {
  std::string topic;
  std::int64_t lag = 0;          ///< consumable and not acknowledged
  std::int64_t in_flight = 0;    ///< of these, with a consumer or waiting for the next attempt
  std::int64_t next_offset = 0;  ///< everything below is acknowledged
};
struct GroupInfo {
  std::string name;
  int max_attempts = 0;
  std::vector<ReadingInfo> topics;
};
struct ClientInfo {
  std::string client_id, type, peer, language, version, group;
  bool connected = false;  ///< has a Telemetry stream
  std::vector<std::string> publishes;
};
struct HalfInfo {
  std::string transaction_id, message_id, topic, sender;
  std::vector<std::string> keys;
  std::string state;       ///< pending, deciding, parked, committed, rolled_back
  std::string decided_by;  ///< client, check, operator; empty while undecided
  int checks = 0;
  WallTime stored_at;
  WallTime decided_at;              ///< if decided
  Duration next_check_in{};         ///< while pending
  bool producer_connected = false;  ///< somebody could be asked now
};
/// One thing that happened to a message.
struct MessageEvent {
  WallTime at;        ///< of the record; of live facts: now
  std::string what;   ///< stored, half_stored, committed, rolled_back, checked, parked, restarted, delivered_again,
                      ///< acknowledged, skipped, dead_lettered, redriven, in_flight, waiting, unread
  std::string group;  ///< if a group did it
  std::string detail;
};
struct MessageHistory {
  std::string message_id, topic, transaction_id, born_host, tag;
  std::vector<std::string> keys;
  std::int64_t offset = -1;  ///< in its topic; -1: not consumable
  std::uint64_t body_bytes = 0;
  std::string body;  ///< the first 4 KiB
  std::vector<MessageEvent> events;
};
struct DeadLetterInfo {
  std::string dead_letter_topic, group, topic, message_id, reason;
  std::vector<std::string> keys;
  std::int64_t offset = 0;  ///< in the dead letter topic; names it for redrive()
  int attempts = 0;
  WallTime at;
};
struct BrokerCounters {
  std::uint64_t half_pending = 0, half_parked = 0;
  std::uint64_t committed = 0, rolled_back = 0, checks = 0, parked = 0;  ///< since the process started
  std::uint64_t sent = 0, delivered = 0, redelivered = 0, acknowledged = 0, dead_letters = 0;
  std::uint64_t log_bytes = 0, segments = 0;
};

class Admin {
 public:
  explicit Admin(Engine& engine);

  std::vector<TopicInfo> topics() const;
  std::vector<GroupInfo> groups() const;
  std::vector<ClientInfo> clients() const;
  BrokerCounters counters() const;
  /// Errors: invalid, conflict (exists with another type), exhausted.
  Task<> create_topic(std::string name, TopicType type);
  Task<> create_group(std::string name, int max_attempts);

  /// Undecided ones, oldest first.
  Task<std::vector<HalfInfo>> half_messages(std::size_t limit);
  /// Decided lately (1 000 are remembered, some over a restart), newest first.
  Task<std::vector<HalfInfo>> recently_decided(std::size_t limit);
  /// Every transaction that the log still holds, decided or not, oldest first; `topic` empty: of all topics. From the
  /// log itself, on a thread of its own.
  Task<std::vector<HalfInfo>> all_transactions(std::string topic);
  /// Errors: not_found · conflict: decided otherwise before.
  Task<> commit(std::string transaction_id);
  Task<> roll_back(std::string transaction_id);
  /// Asks a producer now. Errors: not_found; conflict: parked (restart() it), or being decided.
  Task<> recheck(std::string transaction_id);
  /// Begins again with the first of all checks, parked or not.
  Task<> restart(std::string transaction_id);

  /// Every message with this message id, key or transaction id, with all that happened to it; from the log itself, so
  /// it reads the whole of it, on a thread of its own.
  Task<std::vector<MessageHistory>> history(std::string id_or_key);

  /// `group` empty: of all.
  Task<std::vector<DeadLetterInfo>> dead_letters(std::string group, std::size_t limit);
  /// Back to the group that gave it up, with no attempts counted. Error: not_found.
  Task<> redrive(std::string dead_letter_topic, std::int64_t offset);
  /// All of a group; how many.
  Task<std::size_t> redrive_all(std::string group);

 private:
  Task<> decide(std::string transaction_id, bool commit);

  Engine& engine_;
  std::unique_ptr<sys::Worker> worker_;
};

}  // namespace hf::broker
