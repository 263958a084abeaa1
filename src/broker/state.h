#pragma once

/// All that the broker knows, as a machine fed by its records: the same calls when a record has become durable and when
/// it is replayed, so that a restart cannot know anything else. Pure; strand only.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config.h"
#include "broker/half_messages.h"
#include "broker/ids.h"
#include "broker/message_table.h"
#include "broker/records.h"
#include "broker/subscription.h"

namespace hf::broker {

inline constexpr std::string_view kDeadLetterPrefix = "%DLQ%";

struct Topic {
  TopicId id;
  TopicType type = TopicType::mixed;
  std::string name;
  MessageTable table;
  std::vector<SubscriptionId> subscriptions;
  std::map<QueueOffset, Position> letters;  ///< of %DLQ% topics: why each is here, its dead_letter record
  bool holds_dead_letters() const { return name.starts_with(kDeadLetterPrefix); }
};
struct Group {
  GroupId id;
  int max_attempts = 17;
  std::string name;
  std::vector<SubscriptionId> subscriptions;
};
/// One group reading one topic.
struct Reading {
  SubscriptionId id;
  GroupId group;
  TopicId topic;
  Subscription cursor{0};
};

class State {
 public:
  explicit State(const CheckBackConfig& check_back) : halves_(check_back) {}

  Topic* find_topic(std::string_view name);
  Group* find_group(std::string_view name);
  Reading* find_reading(GroupId group, TopicId topic);
  Topic& topic(TopicId id);
  Group& group(GroupId id);
  Reading& reading(SubscriptionId id);
  /// nullptr: no such id (for ids that come from outside).
  Reading* reading_or_null(SubscriptionId id);
  std::deque<Topic>& topics() { return topics_; }
  std::deque<Group>& groups() { return groups_; }
  std::deque<Reading>& readings() { return readings_; }
  HalfMessages& halves() { return halves_; }

  TopicId next_topic_id() const { return TopicId(static_cast<std::uint32_t>(topics_.size() + 1)); }
  GroupId next_group_id() const { return GroupId(static_cast<std::uint32_t>(groups_.size() + 1)); }

  // ── records ──────────────────────────────────────────────────────────────────────────────────────────────────────
  /// What a record did, as far as somebody waits for it.
  struct Applied {
    std::optional<QueueOffset> offset;  ///< of the message that became consumable
    TopicId topic;                      ///< … in this topic
    SubscriptionId opened;              ///< a group has something to deliver again
  };
  /// Topics and groups take effect when appended: what refers to them stands later in the log. Defining one again that
  /// is there (a snapshot may be ahead of the log by these) changes nothing.
  Result<void> define_topic(const TopicRecord& record);
  Result<void> define_group(const GroupRecord& record);
  /// Everything else takes effect when durable.
  Result<void> define_subscription(const SubscriptionRecord& record);
  QueueOffset add_message(const MessageHeader& header, Position position);
  void add_half(const HalfHeader& header, Position position, Monotonic now);
  Applied add_decision(const DecisionRecord& record);
  Result<void> settle(const SettledRecord& record);
  Result<void> set_attempts(const AttemptsRecord& record);
  Result<QueueOffset> add_dead_letter(const DeadLetterRecord& record, Position position);
  Result<void> redrive(const RedriveRecord& record);
  void half_event(RecordKind kind, const HalfEventRecord& record, Monotonic now);
  /// Any of them, from its bytes. Error: corrupt.
  Result<Applied> apply(RecordKind kind, Bytes body, Position position, Monotonic now);

  // ── retention ────────────────────────────────────────────────────────────────────────────────────────────────────
  /// The lowest position that a group, a half message or a dead letter still needs; max if none.
  Position needed_from() const;
  /// The position that was being written at `at`; 0 if that was before everything we know.
  Position position_at(std::int64_t at_us) const;
  /// Bodies below `oldest` are gone: forgets what only they explained. How many messages nobody ever read went with
  /// them.
  std::int64_t trim(Position oldest);

  // ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────────
  std::string save() const;
  /// Into an empty state. Error: corrupt.
  Result<void> load(Bytes snapshot, Monotonic now);

 private:
  void note_time(std::int64_t at_us, Position position);

  std::deque<Topic> topics_;  // by id - 1; deques, so that references stay
  std::deque<Group> groups_;
  std::deque<Reading> readings_;
  std::map<std::string, TopicId, std::less<>> topic_ids_;
  std::map<std::string, GroupId, std::less<>> group_ids_;
  std::map<std::pair<GroupId, TopicId>, SubscriptionId> reading_ids_;
  HalfMessages halves_;
  struct TimeMark {
    std::int64_t at_us;
    Position position;
  };
  std::deque<TimeMark> times_;  ///< one a minute
};

}  // namespace hf::broker
