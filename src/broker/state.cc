#include "broker/state.h"

#include <algorithm>

#include "base/assert.h"
#include "broker/codec.h"

namespace hf::broker {
namespace {

Error missing(std::string_view what) {
  return Error{Code::corrupt, "a record refers to a " + std::string(what) + " that is not there"};
}

}  // namespace

Topic* State::find_topic(std::string_view name) {
  const auto at = topic_ids_.find(name);
  return at == topic_ids_.end() ? nullptr : &topic(at->second);
}

Group* State::find_group(std::string_view name) {
  const auto at = group_ids_.find(name);
  return at == group_ids_.end() ? nullptr : &group(at->second);
}

Reading* State::find_reading(GroupId group, TopicId topic) {
  const auto at = reading_ids_.find({group, topic});
  return at == reading_ids_.end() ? nullptr : &reading(at->second);
}

Topic& State::topic(TopicId id) {
  HF_ASSERT(id.value() >= 1 && id.value() <= topics_.size());
  return topics_[id.value() - 1];
}

Group& State::group(GroupId id) {
  HF_ASSERT(id.value() >= 1 && id.value() <= groups_.size());
  return groups_[id.value() - 1];
}

Reading& State::reading(SubscriptionId id) {
  Reading* reading = reading_or_null(id);
  HF_ASSERT(reading != nullptr);
  return *reading;
}

Reading* State::reading_or_null(SubscriptionId id) {
  return id.value() >= 1 && id.value() <= readings_.size() ? &readings_[id.value() - 1] : nullptr;
}

Result<void> State::define_topic(const TopicRecord& record) {
  if (record.id.value() <= topics_.size() && record.id.value() >= 1) {
    if (topic(record.id).name == record.name) return ok();
    return Error{Code::corrupt, "two topics have one id"};
  }
  if (record.id != next_topic_id()) return missing("topic");
  Topic& added = topics_.emplace_back();
  added.id = record.id;
  added.type = record.type;
  added.name = record.name;
  topic_ids_.emplace(record.name, record.id);
  return ok();
}

Result<void> State::define_group(const GroupRecord& record) {
  if (record.id.value() <= groups_.size() && record.id.value() >= 1) {
    if (group(record.id).name == record.name) return ok();
    return Error{Code::corrupt, "two groups have one id"};
  }
  if (record.id != next_group_id()) return missing("group");
  groups_.push_back(Group{record.id, static_cast<int>(record.max_attempts), record.name, {}});
  group_ids_.emplace(record.name, record.id);
  return ok();
}

Result<void> State::define_subscription(const SubscriptionRecord& record) {
  if (reading_ids_.contains({record.group, record.topic})) return ok();
  const bool known = record.group.value() - 1 < groups_.size() && record.topic.value() - 1 < topics_.size();
  if (!known) return missing("group or topic");
  Topic& read = topic(record.topic);
  const QueueOffset start = record.start == StartAt::earliest ? read.table.begin() : read.table.end();
  const SubscriptionId id(static_cast<std::uint32_t>(readings_.size() + 1));
  readings_.push_back(Reading{id, record.group, record.topic, Subscription(start)});
  reading_ids_.emplace(std::pair(record.group, record.topic), id);
  read.subscriptions.push_back(id);
  group(record.group).subscriptions.push_back(id);
  return ok();
}

QueueOffset State::add_message(const MessageHeader& header, Position position) {
  note_time(header.stored_at_us, position);
  return topic(header.topic).table.append({position, header.tag_hash});
}

void State::add_half(const HalfHeader& header, Position position, Monotonic now) {
  note_time(header.message.stored_at_us, position);
  HalfMessages::Half half;
  half.topic = header.message.topic;
  half.tag_hash = header.message.tag_hash;
  half.nonce = header.nonce;
  half.first_check = std::chrono::milliseconds(header.first_check_ms);
  half.sender = header.sender;
  half.stored_at_us = header.message.stored_at_us;
  halves_.store(position, std::move(half), now);
}

State::Applied State::add_decision(const DecisionRecord& record) {
  Applied applied;
  const std::optional<HalfMessages::Half> half = halves_.settle(record.half, record.verdict);
  if (!half || record.verdict == Verdict::rollback) return applied;  // P1: only here does one become consumable
  applied.topic = half->topic;
  applied.offset = topic(half->topic).table.append({record.half, half->tag_hash});
  return applied;
}

Result<void> State::settle(const SettledRecord& record) {
  Reading* reading = reading_or_null(record.subscription);
  if (reading == nullptr) return missing("subscription");
  for (const OffsetRange& range : record.ranges) {
    for (std::uint32_t i = 0; i < range.count; ++i) reading->cursor.settle(range.from + i);
  }
  return ok();
}

Result<void> State::set_attempts(const AttemptsRecord& record) {
  Reading* reading = reading_or_null(record.subscription);
  if (reading == nullptr) return missing("subscription");
  reading->cursor.restore_attempts(record.offset, static_cast<int>(record.attempts));
  return ok();
}

Result<QueueOffset> State::add_dead_letter(const DeadLetterRecord& record, Position position) {
  Reading* reading = reading_or_null(record.subscription);
  if (reading == nullptr || record.dead_letter_topic.value() - 1 >= topics_.size())
    return missing("subscription or topic");
  reading->cursor.settle(record.offset);
  Topic& letters = topic(record.dead_letter_topic);
  const QueueOffset offset = letters.table.append({record.origin, record.tag_hash});
  letters.letters.emplace(offset, position);
  return offset;
}

Result<void> State::redrive(const RedriveRecord& record) {
  Reading* reading = reading_or_null(record.subscription);
  if (reading == nullptr || record.dead_letter_topic.value() - 1 >= topics_.size())
    return missing("subscription or topic");
  Topic& letters = topic(record.dead_letter_topic);
  if (record.dead_letter_offset >= letters.table.begin() && record.dead_letter_offset < letters.table.end()) {
    letters.table.erase(record.dead_letter_offset);
  }
  letters.letters.erase(record.dead_letter_offset);
  reading->cursor.reopen(record.offset);
  return ok();
}

void State::half_event(RecordKind kind, const HalfEventRecord& record, Monotonic now) {
  if (kind == RecordKind::checked) halves_.restore_checks(record.half, static_cast<int>(record.checks));
  if (kind == RecordKind::parked) halves_.park(record.half);
  if (kind == RecordKind::restarted) halves_.restart(record.half, now);
}

Result<State::Applied> State::apply(RecordKind kind, Bytes body, Position position, Monotonic now) {
  Applied applied;
  switch (kind) {
    case RecordKind::message: {
      HF_TRY(const StoredMessage stored, decode_message(body));
      if (stored.header.topic.value() - 1 >= topics_.size()) return missing("topic");
      applied.topic = stored.header.topic;
      applied.offset = add_message(stored.header, position);
      return applied;
    }
    case RecordKind::half: {
      HF_TRY(const StoredHalf stored, decode_half(body));
      if (stored.header.message.topic.value() - 1 >= topics_.size()) return missing("topic");
      add_half(stored.header, position, now);
      return applied;
    }
    case RecordKind::decision: {
      HF_TRY(const DecisionRecord record, decode_decision(body));
      return add_decision(record);
    }
    case RecordKind::settled: {
      HF_TRY(const SettledRecord record, decode_settled(body));
      HF_TRY(settle(record));
      return applied;
    }
    case RecordKind::attempts: {
      HF_TRY(const AttemptsRecord record, decode_attempts(body));
      HF_TRY(set_attempts(record));
      return applied;
    }
    case RecordKind::topic: {
      HF_TRY(const TopicRecord record, decode_topic(body));
      HF_TRY(define_topic(record));
      return applied;
    }
    case RecordKind::group: {
      HF_TRY(const GroupRecord record, decode_group(body));
      HF_TRY(define_group(record));
      return applied;
    }
    case RecordKind::subscription: {
      HF_TRY(const SubscriptionRecord record, decode_subscription(body));
      HF_TRY(define_subscription(record));
      return applied;
    }
    case RecordKind::dead_letter: {
      HF_TRY(const DeadLetterRecord record, decode_dead_letter(body));
      HF_TRY(applied.offset, add_dead_letter(record, position));
      applied.topic = record.dead_letter_topic;
      return applied;
    }
    case RecordKind::redrive: {
      HF_TRY(const RedriveRecord record, decode_redrive(body));
      HF_TRY(redrive(record));
      applied.opened = record.subscription;
      return applied;
    }
    case RecordKind::checked:
    case RecordKind::parked:
    case RecordKind::restarted: {
      HF_TRY(const HalfEventRecord record, decode_half_event(body));
      half_event(kind, record, now);
      return applied;
    }
  }
  return Error{Code::corrupt, "a record of unknown kind; was the folder written by a newer version?"};
}

Position State::needed_from() const {
  Position needed = halves_.lowest_position();
  for (const Topic& topic : topics_) {
    QueueOffset from = topic.table.end();
    for (const SubscriptionId id : topic.subscriptions) {
      from = std::min(from, readings_[id.value() - 1].cursor.needed_from());
    }
    // Dead letters wait for people (P7). Of other topics that no group reads, nobody needs anything: they age out.
    if (topic.subscriptions.empty() && topic.holds_dead_letters()) from = topic.table.begin();
    needed = std::min(needed, topic.table.lowest_position(from));
  }
  return needed;
}

Position State::position_at(std::int64_t at_us) const {
  Position position = 0;
  for (const TimeMark& mark : times_) {
    if (mark.at_us > at_us) break;
    position = mark.position;
  }
  return position;
}

void State::note_time(std::int64_t at_us, Position position) {
  if (times_.empty() || at_us >= times_.back().at_us + 60'000'000) times_.push_back({at_us, position});
}

std::int64_t State::trim(Position oldest) {
  std::int64_t unread = 0;
  for (Topic& topic : topics_) {
    QueueOffset keep = topic.table.begin();
    while (keep < topic.table.end()) {
      const Position position = topic.table.at(keep).position;
      if (position >= oldest && position != MessageTable::kGone) break;
      ++keep;
    }
    for (const SubscriptionId id : topic.subscriptions) keep = std::min(keep, reading(id).cursor.needed_from());
    if (topic.subscriptions.empty()) unread += std::max<QueueOffset>(0, keep - topic.table.begin());
    topic.table.trim_before(keep);
    topic.letters.erase(topic.letters.begin(), topic.letters.lower_bound(topic.table.begin()));
  }
  halves_.forget_rolled_back_below(oldest);
  while (times_.size() > 1 && times_[1].position <= oldest) times_.pop_front();
  return unread;
}

}  // namespace hf::broker
