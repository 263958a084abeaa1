#include "broker/half_messages.h"

#include <algorithm>

#include "base/assert.h"

namespace hf::broker {

std::string_view to_string(Verdict verdict) { return verdict == Verdict::commit ? "commit" : "rollback"; }

Duration HalfMessages::first_check_of(const Half& half) const {
  return half.first_check > Duration::zero() ? std::min(half.first_check, config_.first_after_max)
                                             : config_.first_after;
}

void HalfMessages::store(Position position, Half half, Monotonic now) {
  const Duration first = first_check_of(half);
  const auto [at, is_new] = halves_.try_emplace(position);
  HF_ASSERT(is_new);
  at->second.half = std::move(half);
  if (config_.park_after > Duration::zero()) at->second.park_at = now + config_.park_after;
  positions_.insert(positions_.end(), position);
  schedule(position, at->second, now + first);
}

void HalfMessages::schedule(Position position, Entry& entry, Monotonic due) {
  unschedule(position, entry);
  entry.due = std::min(due, entry.park_at);
  due_.emplace(entry.due, position);
}

void HalfMessages::unschedule(Position position, Entry& entry) {
  due_.erase({entry.due, position});
  if (entry.starving) starving_.erase({entry.half.topic, position});
  entry.starving = false;
}

HalfMessages::Outcome HalfMessages::decide(Position half, std::uint32_t nonce, Verdict verdict) {
  const auto at = halves_.find(half);
  if (at == halves_.end()) {
    if (!was_rolled_back(half)) return {Answer::unknown, 0};
    return {verdict == Verdict::rollback ? Answer::same : Answer::conflict, 0};
  }
  Entry& entry = at->second;
  if (entry.half.nonce != nonce) return {Answer::unknown, 0};
  if (entry.deciding) return {entry.verdict == verdict ? Answer::same : Answer::conflict, entry.decision};
  entry.deciding = true;
  entry.verdict = verdict;
  entry.decision = 0;
  unschedule(half, entry);
  return {Answer::accepted, 0};
}

void HalfMessages::deciding(Position half, Position decision) {
  const auto at = halves_.find(half);
  HF_ASSERT(at != halves_.end() && at->second.deciding);
  at->second.decision = decision;
}

void HalfMessages::cancel(Position half) {
  const auto at = halves_.find(half);
  HF_ASSERT(at != halves_.end() && at->second.deciding);
  at->second.deciding = false;
  if (at->second.state == State::pending) schedule(half, at->second, at->second.due);
}

std::optional<HalfMessages::Half> HalfMessages::settle(Position half, Verdict verdict) {
  const auto at = halves_.find(half);
  if (at == halves_.end()) return std::nullopt;
  unschedule(half, at->second);
  if (at->second.state == State::parked) --parked_;
  Half value = std::move(at->second.half);
  halves_.erase(at);
  positions_.erase(half);
  if (verdict == Verdict::rollback) {
    rolled_back_.insert(std::lower_bound(rolled_back_.begin(), rolled_back_.end(), half), half);
  }
  return value;
}

bool HalfMessages::was_rolled_back(Position half) const {
  return std::binary_search(rolled_back_.begin(), rolled_back_.end(), half);
}

std::vector<HalfMessages::DueHalf> HalfMessages::due(Monotonic now, std::size_t limit) {
  std::vector<DueHalf> list;
  for (auto at = due_.begin(); at != due_.end() && at->first <= now && list.size() < limit; ++at) {
    const Entry& entry = halves_.at(at->second);
    const bool over = entry.checks >= config_.max_checks || entry.park_at <= now;
    list.push_back({at->second, over ? Due::park : Due::check});
  }
  // Out of the queue until the driver has reported: an action takes a while and must not be started twice.
  for (const DueHalf& one : list) {
    Entry& entry = halves_.at(one.position);
    unschedule(one.position, entry);
    entry.parking = one.what == Due::park;
  }
  return list;
}

Monotonic HalfMessages::next_due() const { return due_.empty() ? Monotonic::max() : due_.begin()->first; }

int HalfMessages::checked(Position half, Monotonic now) {
  const auto at = halves_.find(half);
  if (at == halves_.end()) return 0;
  Entry& entry = at->second;
  entry.checks += 1;
  if (!entry.deciding && entry.state == State::pending) schedule(half, entry, now + config_.interval);
  return entry.checks;
}

void HalfMessages::nobody_to_ask(Position half, Monotonic now) {
  const auto at = halves_.find(half);
  if (at == halves_.end() || at->second.deciding || at->second.state != State::pending) return;
  schedule(half, at->second, now + config_.interval);
  at->second.starving = true;
  starving_.emplace(at->second.half.topic, half);
}

void HalfMessages::announced(TopicId topic, Monotonic now) {
  std::vector<Position> hungry;
  for (auto at = starving_.lower_bound({topic, 0}); at != starving_.end() && at->first == topic; ++at) {
    hungry.push_back(at->second);
  }
  for (const Position position : hungry) schedule(position, halves_.at(position), now);
}

void HalfMessages::park(Position half) {
  const auto at = halves_.find(half);
  if (at == halves_.end() || at->second.state == State::parked) return;
  unschedule(half, at->second);
  at->second.state = State::parked;
  at->second.parking = false;
  ++parked_;
}

void HalfMessages::park_later(Position half, Monotonic now) {
  const auto at = halves_.find(half);
  if (at == halves_.end() || at->second.deciding) return;
  at->second.parking = false;
  at->second.park_at = Monotonic::max();
  schedule(half, at->second, now + config_.interval);
}

bool HalfMessages::restart(Position half, Monotonic now) {
  const auto at = halves_.find(half);
  if (at == halves_.end() || at->second.deciding || at->second.parking) return false;
  Entry& entry = at->second;
  if (entry.state == State::parked) --parked_;
  entry.state = State::pending;
  entry.checks = 0;
  entry.park_at = config_.park_after > Duration::zero() ? now + config_.park_after : Monotonic::max();
  schedule(half, entry, now);
  return true;
}

bool HalfMessages::recheck(Position half, Monotonic now) {
  const auto at = halves_.find(half);
  if (at == halves_.end() || at->second.deciding || at->second.parking || at->second.state != State::pending)
    return false;
  schedule(half, at->second, now);
  return true;
}

void HalfMessages::restore_checks(Position half, int checks) {
  if (const auto at = halves_.find(half); at != halves_.end()) at->second.checks = std::max(at->second.checks, checks);
}

std::optional<HalfMessages::Info> HalfMessages::find(Position half) const {
  const auto at = halves_.find(half);
  if (at == halves_.end()) return std::nullopt;
  const Entry& entry = at->second;
  return Info{half, entry.half, entry.checks, entry.state == State::parked, entry.deciding, entry.due};
}

std::vector<HalfMessages::Info> HalfMessages::list(std::size_t limit) const {
  std::vector<Info> list;
  for (const Position position : positions_) {
    if (list.size() == limit) break;
    list.push_back(*find(position));
  }
  return list;
}

void HalfMessages::forget_rolled_back_below(Position position) {
  while (!rolled_back_.empty() && rolled_back_.front() < position) rolled_back_.pop_front();
}

}  // namespace hf::broker
