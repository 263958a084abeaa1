// State::save and load (docs/formats/broker.md, "Snapshot").

#include "base/assert.h"
#include "broker/codec.h"
#include "broker/state.h"

namespace hf::broker {
namespace {

constexpr std::uint32_t kVersion = 1;

void save_topic(Encoder& out, const Topic& topic) {
  out.put(topic.type).text(topic.name).put(topic.table.begin()).put(topic.table.end());
  for (QueueOffset offset = topic.table.begin(); offset < topic.table.end(); ++offset) {
    const MessageTable::Entry entry = topic.table.at(offset);
    out.put(entry.position).put(entry.tag_hash);
  }
  out.put(static_cast<std::uint64_t>(topic.letters.size()));
  for (const auto& [offset, position] : topic.letters) out.put(offset).put(position);
}

Result<void> load_topic(Decoder& in, Topic& topic) {
  in.get(topic.type).text(topic.name);
  const auto begin = in.get<QueueOffset>(), end = in.get<QueueOffset>();
  if (begin < 0 || end < begin || in.left() / 12 < static_cast<std::uint64_t>(end - begin)) {
    return Error{Code::corrupt, "snapshot: impossible message table"};
  }
  topic.table.start_at(begin);
  for (QueueOffset offset = begin; offset < end; ++offset) {
    MessageTable::Entry entry;
    in.get(entry.position).get(entry.tag_hash);
    topic.table.append(entry);
  }
  for (auto left = in.get<std::uint64_t>(); left > 0 && !in.failed(); --left) {
    const auto offset = in.get<QueueOffset>();
    topic.letters.emplace(offset, in.get<Position>());
  }
  return ok();
}

void save_reading(Encoder& out, const Reading& reading) {
  const Subscription::Saved saved = reading.cursor.save();
  out.put(reading.group.value()).put(reading.topic.value()).put(saved.done_below);
  out.put(static_cast<std::uint64_t>(saved.done_above.size()));
  for (const QueueOffset offset : saved.done_above) out.put(offset);
  out.put(static_cast<std::uint64_t>(saved.attempts.size()));
  for (const auto& [offset, attempts] : saved.attempts) out.put(offset).put(attempts);
}

Subscription::Saved load_cursor(Decoder& in) {
  Subscription::Saved saved;
  in.get(saved.done_below);
  for (auto left = in.get<std::uint64_t>(); left > 0 && !in.failed(); --left)
    saved.done_above.push_back(in.get<QueueOffset>());
  for (auto left = in.get<std::uint64_t>(); left > 0 && !in.failed(); --left) {
    const auto offset = in.get<QueueOffset>();
    saved.attempts.emplace_back(offset, in.get<int>());
  }
  return saved;
}

void save_half(Encoder& out, const HalfMessages::Info& info) {
  out.put(info.position).put(info.half.topic.value()).put(info.half.tag_hash).put(info.half.nonce);
  out.put(info.half.first_check.count()).text(info.half.sender).put(info.half.stored_at_us);
  out.put(info.checks).put(std::uint8_t{info.parked});
}

void load_half(Decoder& in, HalfMessages& halves, Monotonic now) {
  HalfMessages::Half half;
  const auto position = in.get<Position>();
  half.topic = TopicId(in.get<std::uint32_t>());
  in.get(half.tag_hash).get(half.nonce);
  half.first_check = Duration(in.get<Duration::rep>());
  in.text(half.sender).get(half.stored_at_us);
  const int checks = in.get<int>();
  const bool parked = in.get<std::uint8_t>() != 0;
  if (in.failed()) return;
  halves.store(position, std::move(half), now);
  halves.restore_checks(position, checks);
  if (parked) halves.park(position);
}

}  // namespace

std::string State::save() const {
  Encoder out;
  std::size_t entries = 0;
  for (const Topic& topic : topics_) entries += static_cast<std::size_t>(topic.table.end() - topic.table.begin());
  out.reserve(entries * 12 + halves_.size() * 128 + 4096);
  out.put(kVersion);
  out.put(static_cast<std::uint32_t>(topics_.size()));
  for (const Topic& topic : topics_) save_topic(out, topic);
  out.put(static_cast<std::uint32_t>(groups_.size()));
  for (const Group& group : groups_) out.put(group.max_attempts).text(group.name);
  out.put(static_cast<std::uint32_t>(readings_.size()));
  for (const Reading& reading : readings_) save_reading(out, reading);
  out.put(static_cast<std::uint64_t>(halves_.size()));
  for (const HalfMessages::Info& info : halves_.list(halves_.size())) save_half(out, info);
  out.put(static_cast<std::uint64_t>(halves_.rolled_back().size()));
  for (const Position position : halves_.rolled_back()) out.put(position);
  out.put(static_cast<std::uint64_t>(times_.size()));
  for (const TimeMark& mark : times_) out.put(mark.at_us).put(mark.position);
  return out.take();
}

Result<void> State::load(Bytes snapshot, Monotonic now) {
  HF_ASSERT(topics_.empty() && groups_.empty() && readings_.empty() && halves_.size() == 0);
  Decoder in(snapshot);
  if (in.get<std::uint32_t>() != kVersion) return Error{Code::corrupt, "snapshot of an unknown version"};
  for (auto left = in.get<std::uint32_t>(); left > 0 && !in.failed(); --left) {
    Topic topic;
    HF_TRY(load_topic(in, topic));
    topic.id = next_topic_id();
    topic_ids_.emplace(topic.name, topic.id);
    topics_.push_back(std::move(topic));
  }
  for (auto left = in.get<std::uint32_t>(); left > 0 && !in.failed(); --left) {
    GroupRecord record{.id = next_group_id(), .max_attempts = static_cast<std::uint32_t>(in.get<int>()), .name = {}};
    in.text(record.name);
    HF_TRY(define_group(record));
  }
  for (auto left = in.get<std::uint32_t>(); left > 0 && !in.failed(); --left) {
    SubscriptionRecord record;
    record.group = GroupId(in.get<std::uint32_t>());
    record.topic = TopicId(in.get<std::uint32_t>());
    HF_TRY(define_subscription(record));
    readings_.back().cursor = Subscription::restore(load_cursor(in));
  }
  for (auto left = in.get<std::uint64_t>(); left > 0 && !in.failed(); --left) load_half(in, halves_, now);
  for (auto left = in.get<std::uint64_t>(); left > 0 && !in.failed(); --left)
    halves_.restore_rolled_back(in.get<Position>());
  for (auto left = in.get<std::uint64_t>(); left > 0 && !in.failed(); --left) {
    const auto at_us = in.get<std::int64_t>();
    times_.push_back({at_us, in.get<Position>()});
  }
  return in.finish("snapshot");
}

}  // namespace hf::broker
