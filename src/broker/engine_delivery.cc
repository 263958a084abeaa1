// From a topic to a consumer and back: polls, acknowledgements, retries, dead letters.

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "broker/engine.h"
#include "broker/messages.h"

namespace hf::broker {
namespace {

/// Messages one turn may pass over before others get the strand.
constexpr std::size_t kSkipsPerTurn = 16'384;
/// A message that cannot be read is tried again after this.
constexpr Duration kDamagedPause = 60s;

std::vector<OffsetRange> to_ranges(std::vector<QueueOffset> offsets) {
  std::sort(offsets.begin(), offsets.end());
  std::vector<OffsetRange> ranges;
  for (const QueueOffset offset : offsets) {
    if (!ranges.empty() && ranges.back().from + ranges.back().count == offset) {
      ++ranges.back().count;
    } else {
      ranges.push_back({offset, 1});
    }
  }
  return ranges;
}

}  // namespace

Task<std::vector<Engine::Taken>> Engine::poll(Poll poll) {
  const std::shared_ptr<sys::Event> event =
      (poll_event(poll.subscription), poll_events_[poll.subscription.value() - 1]);
  if (polls_ >= config_.limits.polls || event->waiting() >= config_.limits.polls_per_subscription) {
    metrics_.refused_overload.add();
    co_return Error{Code::exhausted, "polling full"};
  }
  const auto cancelled = [&] { return poll.cancelled && poll.cancelled(); };
  if (poll.on_cancel) {
    poll.on_cancel([weak = std::weak_ptr(event)] {
      if (const auto alive = weak.lock()) alive->notify_all();
    });
  }
  ++polls_;
  const sys::World& world = world_;
  Result<std::vector<Taken>> taken = std::vector<Taken>{};
  while (true) {
    if (stopping_ || cancelled()) break;
    taken = co_await take(poll);
    if (!taken || !taken->empty()) break;
    const Monotonic now = world.clock.now();
    Subscription& cursor = state_.reading(poll.subscription).cursor;
    const QueueOffset end = state_.topic(state_.reading(poll.subscription).topic).table.end();
    const bool full = cursor.in_flight() >= config_.limits.in_flight_per_subscription;
    if (!full && cursor.next_ready(now, end, [&](ClientNumber n) { return clients_.alive(n, now); })) {
      co_await asio::post(world.executor, asio::use_awaitable);  // much was passed over; there is more to look at
      continue;
    }
    if (const std::optional<Error> failure = store_->failure()) {  // "no message" would be asked again at once
      taken = Error{Code::unavailable, failure->message};
      break;
    }
    if (now >= poll.until) break;
    co_await event->wait_until(std::min(poll.until, std::max(cursor.next_visible(), now + 1ms)));
  }
  --polls_;
  // Whoever was woken passes it on: a wake-up must not end with somebody who leaves.
  event->notify_one();
  co_return taken;
}

Task<std::vector<Engine::Taken>> Engine::take(const Poll& poll) {
  std::vector<Taken> taken;
  std::vector<Position> positions;
  std::vector<QueueOffset> skipped;
  Reading& reading = state_.reading(poll.subscription);
  const MessageTable& table = state_.topic(reading.topic).table;
  const int max_attempts = state_.group(reading.group).max_attempts;
  const Monotonic now = world_.clock.now();
  const auto alive = [&](ClientNumber number) { return clients_.alive(number, now); };
  const Subscription::Taking taking{now, poll.invisible, poll.auto_renew, poll.client};
  while (taken.size() < static_cast<std::size_t>(poll.max) && skipped.size() < kSkipsPerTurn &&
         reading.cursor.in_flight() < config_.limits.in_flight_per_subscription) {
    const std::optional<QueueOffset> offset = reading.cursor.next_ready(now, table.end(), alive);
    if (!offset) break;
    const MessageTable::Entry entry =
        *offset < table.begin() ? MessageTable::Entry{MessageTable::kGone, 0} : table.at(*offset);
    if (entry.position == MessageTable::kGone || !poll.filter.may_match(entry.tag_hash)) {
      reading.cursor.begin_settling(*offset);
      skipped.push_back(*offset);
    } else if (reading.cursor.next_attempt(*offset) > max_attempts) {
      reading.cursor.begin_settling(*offset);
      if (!begin_dead_letter(reading, *offset, fmt::format("delivered {} times", max_attempts), nullptr)) break;
    } else {
      taken.push_back({.delivery = reading.cursor.take(*offset, taking), .body = {}, .message = {}});
      positions.push_back(entry.position);
    }
  }
  if (taken.empty()) {
    write_skipped(reading, std::move(skipped));
    co_return taken;
  }
  Result<std::vector<Result<StoredBody>>> bodies = co_await store_->read(std::move(positions));
  if (!bodies) {
    for (const Taken& one : taken)
      reading.cursor.take_back(one.delivery.offset, one.delivery.nonce, world_.clock.now());
    co_return bodies.error();
  }
  std::vector<Taken> confirmed;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (bytes >= config_.limits.receive_bytes) {
      reading.cursor.take_back(taken[i].delivery.offset, taken[i].delivery.nonce, world_.clock.now());
      continue;
    }
    if (!confirm(reading, poll, (*bodies)[i], taken[i], skipped)) continue;
    bytes += taken[i].body.bytes->size();
    confirmed.push_back(std::move(taken[i]));
  }
  write_skipped(reading, std::move(skipped));
  co_return confirmed;
}

/// Parses what was read; false if it is not to be delivered, and then says why.
bool Engine::confirm(Reading& reading, const Poll& poll, Result<StoredBody>& body, Taken& taken,
                     std::vector<QueueOffset>& skipped) {
  const QueueOffset offset = taken.delivery.offset;
  if (!body || !taken.message.ParseFromArray(body->message().data(), static_cast<int>(body->message().size()))) {
    metrics_.damaged.add();
    log::error("broker.message.unreadable", {{"topic", state_.topic(reading.topic).name},
                                             {"offset", offset},
                                             {"error", body ? "not a message" : body.error().to_string()}});
    reading.cursor.take_back(offset, taken.delivery.nonce, world_.clock.now() + kDamagedPause);
    return false;
  }
  const pb::SystemProperties& system = taken.message.system_properties();
  if (!poll.filter.matches(system.has_tag() ? std::optional<std::string_view>(system.tag()) : std::nullopt)) {
    reading.cursor.begin_settling(offset);  // equal hashes, other text
    skipped.push_back(offset);
    return false;
  }
  taken.body = std::move(*body);
  reading.cursor.label(taken.delivery, std::hash<std::string_view>{}(system.message_id()));
  if (taken.delivery.attempt == 1) {
    metrics_.delivered.add();
  } else {
    metrics_.redelivered.add();
    const AttemptsRecord record{reading.id, offset, static_cast<std::uint32_t>(taken.delivery.attempt),
                                to_us(world_.clock.wall())};
    (void)store_->append(RecordKind::attempts, encode(record), nullptr, nullptr, log::Urgency::lazy);
  }
  return true;
}

void Engine::write_skipped(Reading& reading, std::vector<QueueOffset> offsets) {
  if (offsets.empty()) return;
  const SettledRecord record{reading.id, to_us(world_.clock.wall()), true, to_ranges(offsets)};
  if (store_->append(RecordKind::settled, encode(record), nullptr, nullptr)) {
    metrics_.skipped.add(static_cast<double>(offsets.size()));
    return;
  }
  for (const QueueOffset offset : offsets) reading.cursor.cancel_settling(offset, world_.clock.now() + 1s);
}

void Engine::take_back(SubscriptionId subscription, const std::vector<Taken>& taken, std::size_t from, Duration after) {
  Reading& reading = state_.reading(subscription);
  const Monotonic at = world_.clock.now() + after;
  for (std::size_t i = from; i < taken.size(); ++i) {
    reading.cursor.take_back(taken[i].delivery.offset, taken[i].delivery.nonce, at);
  }
  poll_event(subscription).notify_one();
}

Engine::Handle Engine::handle(SubscriptionId subscription, const Subscription::Delivery& delivery) const {
  return {subscription, delivery.offset, delivery.nonce, epoch_};
}

Task<std::vector<Result<void>>> Engine::acknowledge(std::vector<Handle> handles) {
  HF_CO_TRY(co_await world_.faults.reach("broker.before_ack_append"));
  std::vector<Result<void>> results(handles.size(), ok());
  std::map<SubscriptionId, std::vector<std::size_t>> accepted;
  bool in_progress = false;
  const Monotonic now = world_.clock.now();
  for (std::size_t i = 0; i < handles.size(); ++i) {
    Reading* reading = state_.reading_or_null(handles[i].subscription);
    const auto verdict = reading == nullptr ? Subscription::Verdict::stale
                                            : reading->cursor.acknowledge(
                                                  handles[i].offset, handles[i].nonce, handles[i].epoch != epoch_,
                                                  state_.topic(reading->topic).table.end(), now);
    if (verdict == Subscription::Verdict::accepted) accepted[handles[i].subscription].push_back(i);
    in_progress = in_progress || verdict == Subscription::Verdict::in_progress;
    if (verdict == Subscription::Verdict::stale) {
      metrics_.stale_handles.add();
      results[i] = Error{Code::not_found, "the receipt handle has expired"};
    }
  }
  auto commit = std::make_shared<Commit>();
  for (const auto& [subscription, indexes] : accepted) {
    std::vector<QueueOffset> offsets;
    for (const std::size_t i : indexes) offsets.push_back(handles[i].offset);
    const SettledRecord record{subscription, to_us(world_.clock.wall()), false, to_ranges(offsets)};
    const Result<Position> at = store_->append(RecordKind::settled, encode(record), nullptr, commit);
    if (at) continue;
    for (const std::size_t i : indexes) {
      state_.reading(subscription).cursor.cancel_settling(handles[i].offset, now);
      results[i] = at.error();
    }
  }
  HF_CO_TRY(co_await commit->durable());
  if (in_progress) HF_CO_TRY(co_await store_->log().flush());
  HF_CO_TRY(co_await world_.faults.reach("broker.after_ack_durable"));
  metrics_.acknowledged.add(static_cast<double>(
      std::count_if(results.begin(), results.end(), [](const Result<void>& result) { return result.has_value(); })));
  co_return results;
}

Result<Engine::Handle> Engine::change_invisible(const Handle& handle, Duration invisible, bool forgive) {
  Reading* reading = state_.reading_or_null(handle.subscription);
  if (reading == nullptr || handle.epoch != epoch_) return Error{Code::not_found, "the receipt handle has expired"};
  const Subscription::Changed changed =
      reading->cursor.change(handle.offset, handle.nonce, world_.clock.now(), invisible, forgive);
  if (changed.verdict != Subscription::Verdict::accepted) {
    metrics_.stale_handles.add();
    return Error{Code::not_found, "the receipt handle has expired"};
  }
  poll_event(handle.subscription).notify_one();  // who waits has to look when it becomes visible
  return Handle{handle.subscription, handle.offset, changed.nonce, epoch_};
}

Result<void> Engine::begin_dead_letter(Reading& reading, QueueOffset offset, std::string reason,
                                       const std::shared_ptr<Commit>& commit) {
  const std::string& group = state_.group(reading.group).name;
  const auto write = [&]() -> Result<void> {
    HF_TRY(const TopicId letters, topic(std::string(kDeadLetterPrefix) + group, Create::yes));
    const MessageTable::Entry entry = state_.topic(reading.topic).table.at(offset);
    DeadLetterRecord record;
    record.subscription = reading.id;
    record.offset = offset;
    record.dead_letter_topic = letters;
    record.tag_hash = entry.tag_hash;
    record.attempts = static_cast<std::uint32_t>(reading.cursor.next_attempt(offset) - 1);
    record.origin = entry.position;
    record.at_us = to_us(world_.clock.wall());
    record.reason = reason;
    HF_TRY([[maybe_unused]] const Position at,
           store_->append(RecordKind::dead_letter, encode(record), nullptr, commit));
    return ok();
  };
  const Result<void> written = write();
  if (!written) {
    reading.cursor.cancel_settling(offset, world_.clock.now() + 1s);
    return written;
  }
  metrics_.dead_letters.add();
  log::warn("broker.dead_letter",
            {{"group", group}, {"topic", state_.topic(reading.topic).name}, {"offset", offset}, {"reason", reason}});
  return ok();
}

Task<> Engine::dead_letter(const Handle& handle, std::string reason) {
  Reading* reading = state_.reading_or_null(handle.subscription);
  if (reading == nullptr) co_return Error{Code::not_found, "the receipt handle has expired"};
  const Subscription::Verdict verdict =
      reading->cursor.acknowledge(handle.offset, handle.nonce, handle.epoch != epoch_,
                                  state_.topic(reading->topic).table.end(), world_.clock.now());
  if (verdict == Subscription::Verdict::already_done) co_return ok();
  if (verdict == Subscription::Verdict::in_progress) co_return co_await store_->log().flush();
  if (verdict == Subscription::Verdict::stale) {
    metrics_.stale_handles.add();
    co_return Error{Code::not_found, "the receipt handle has expired"};
  }
  auto commit = std::make_shared<Commit>();
  HF_CO_TRY(begin_dead_letter(*reading, handle.offset, std::move(reason), commit));
  co_return co_await commit->durable();
}

std::optional<Engine::Handle> Engine::find_in_flight(SubscriptionId subscription, ClientNumber client,
                                                     std::string_view message_id) {
  const std::optional<Subscription::Delivery> found =
      state_.reading(subscription).cursor.find_in_flight(client, std::hash<std::string_view>{}(message_id));
  if (!found) return std::nullopt;
  return handle(subscription, *found);
}

Task<> Engine::redrive(TopicId dead_letters, QueueOffset offset) {
  Topic& letters = state_.topic(dead_letters);
  const auto at = letters.letters.find(offset);
  if (at == letters.letters.end()) co_return Error{Code::not_found, "no dead letter is there"};
  HF_CO_TRY(const log::Record record, store_->read_record(at->second));
  HF_CO_TRY(const DeadLetterRecord letter, decode_dead_letter(as_bytes(record.body)));
  const RedriveRecord redrive{dead_letters, offset, letter.subscription, letter.offset, to_us(world_.clock.wall())};
  auto commit = std::make_shared<Commit>();
  HF_CO_TRY([[maybe_unused]] const Position position,
            store_->append(RecordKind::redrive, encode(redrive), nullptr, commit));
  co_return co_await commit->durable();
}

}  // namespace hf::broker
