#include "broker/subscription.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace hf::broker {
namespace {

/// RocketMQ's proxy extends by these, the last repeats, until a message is out for three hours
/// (RenewStrategyPolicy, renewMaxTimeMillis).
constexpr std::array<Duration, 6> kRenewals = {1min, 3min, 5min, 10min, 30min, 1h};
constexpr Duration kRenewedAtMost = 3h;

}  // namespace

std::optional<QueueOffset> Subscription::next_ready(Monotonic now, QueueOffset end, const IsAlive& alive) {
  while (!due_.empty() && due_.begin()->first <= now) {
    const auto out = out_.find(due_.begin()->second);
    HF_ASSERT(out != out_.end());
    if (!renew(out, alive, now)) return out->first;
  }
  while (next_ < end && (is_done(next_) || out_.contains(next_))) ++next_;
  return next_ < end ? std::optional(next_) : std::nullopt;
}

bool Subscription::renew(OutMap::iterator out, const IsAlive& alive, Monotonic now) {
  Out& it = out->second;
  if (!it.auto_renew) return false;
  if (!alive(it.client) || now - it.taken_at >= kRenewedAtMost) {
    it.auto_renew = false;
    return false;
  }
  const std::size_t step = std::min<std::size_t>(it.renewals, kRenewals.size() - 1);
  ++it.renewals;
  schedule(out, now + kRenewals[step]);
  return true;
}

int Subscription::next_attempt(QueueOffset offset) const {
  const auto out = out_.find(offset);
  return out == out_.end() ? 1 : out->second.attempt + 1;
}

Subscription::Delivery Subscription::take(QueueOffset offset, const Taking& taking) {
  const auto [out, is_new] = out_.try_emplace(offset);
  Out& it = out->second;
  HF_ASSERT(!it.settling);
  if (is_new) HF_ASSERT(offset >= next_);
  it.nonce = ++last_nonce_ == 0 ? ++last_nonce_ : last_nonce_;  // 0 means nobody
  it.attempt += 1;
  it.auto_renew = taking.auto_renew;
  it.renewals = 0;
  it.client = taking.client;
  it.message_hash = 0;
  it.taken_at = taking.now;
  if (is_new) {
    it.visible_at = taking.now + taking.invisible;
    due_.emplace(it.visible_at, offset);
    if (offset == next_) ++next_;
  } else {
    schedule(out, taking.now + taking.invisible);
  }
  return {offset, it.attempt, it.nonce};
}

void Subscription::label(const Delivery& delivery, std::uint64_t message_hash) {
  const auto out = out_.find(delivery.offset);
  if (out != out_.end() && out->second.nonce == delivery.nonce) out->second.message_hash = message_hash;
}

void Subscription::schedule(OutMap::iterator out, Monotonic visible_at) {
  due_.erase({out->second.visible_at, out->first});
  out->second.visible_at = visible_at;
  due_.emplace(visible_at, out->first);
}

Monotonic Subscription::next_visible() const { return due_.empty() ? Monotonic::max() : due_.begin()->first; }

Subscription::OutMap::iterator Subscription::find_valid(QueueOffset offset, Nonce nonce, Monotonic now) {
  const auto out = out_.find(offset);
  if (out == out_.end()) return out;
  const Out& it = out->second;
  // A renewed message whose client lives is renewed at the next look, so its handle has not expired.
  const bool expired = it.visible_at <= now && !it.auto_renew;
  return it.nonce == nonce && !it.settling && !expired ? out : out_.end();
}

Subscription::Verdict Subscription::acknowledge(QueueOffset offset, Nonce nonce, bool foreign, QueueOffset end,
                                                Monotonic now) {
  const auto known = out_.find(offset);
  if (known == out_.end() && is_done(offset)) return Verdict::already_done;
  if (known != out_.end() && known->second.settling && (foreign || known->second.nonce == nonce)) {
    return Verdict::in_progress;
  }
  if (foreign) {
    const bool untouched = offset < end && (known == out_.end() || known->second.nonce == 0);
    if (!untouched) return Verdict::stale;
    begin_settling(offset);
    return Verdict::accepted;
  }
  if (find_valid(offset, nonce, now) == out_.end()) return Verdict::stale;
  begin_settling(offset);
  return Verdict::accepted;
}

Subscription::Changed Subscription::change(QueueOffset offset, Nonce nonce, Monotonic now, Duration invisible,
                                           bool forgive) {
  const auto out = find_valid(offset, nonce, now);
  if (out == out_.end()) return {};
  Out& it = out->second;
  it.nonce = ++last_nonce_ == 0 ? ++last_nonce_ : last_nonce_;
  it.auto_renew = false;
  if (forgive) it.attempt -= 1;
  schedule(out, now + invisible);
  return {Verdict::accepted, it.nonce};
}

void Subscription::take_back(QueueOffset offset, Nonce nonce, Monotonic at) {
  const auto out = out_.find(offset);
  if (out == out_.end() || out->second.nonce != nonce || out->second.settling) return;
  out->second.attempt -= 1;
  out->second.auto_renew = false;
  schedule(out, at);
}

void Subscription::release(ClientNumber client, Monotonic at) {
  for (auto out = out_.begin(); out != out_.end(); ++out) {
    Out& it = out->second;
    if (it.client != client || !it.auto_renew || it.settling) continue;
    it.auto_renew = false;
    schedule(out, at);
  }
}

std::optional<Subscription::Delivery> Subscription::find_in_flight(ClientNumber client,
                                                                   std::uint64_t message_hash) const {
  for (const auto& [offset, it] : out_) {
    if (it.client == client && it.message_hash == message_hash && it.nonce != 0 && !it.settling) {
      return Delivery{offset, it.attempt, it.nonce};
    }
  }
  return std::nullopt;
}

void Subscription::begin_settling(QueueOffset offset) {
  const auto [out, is_new] = out_.try_emplace(offset);
  HF_ASSERT(!out->second.settling);
  if (!is_new) due_.erase({out->second.visible_at, offset});
  out->second.settling = true;
}

void Subscription::cancel_settling(QueueOffset offset, Monotonic now) {
  const auto out = out_.find(offset);
  if (out == out_.end() || !out->second.settling) return;
  out->second.settling = false;
  out->second.visible_at = now;
  out->second.auto_renew = false;
  due_.emplace(now, offset);
}

void Subscription::settle(QueueOffset offset) {
  if (const auto out = out_.find(offset); out != out_.end()) {
    if (!out->second.settling) due_.erase({out->second.visible_at, offset});
    out_.erase(out);
  }
  mark_done(offset);
}

void Subscription::mark_done(QueueOffset offset) {
  if (is_done(offset)) return;
  if (offset == done_below_ && done_above_ == 0) {  // the usual case: in order
    ++done_below_;
  } else {
    if (done_bits_.empty()) done_base_ = done_below_ - done_below_ % 64;
    const auto bit = static_cast<std::size_t>(offset - done_base_);
    while (done_bits_.size() <= bit / 64) done_bits_.push_back(0);
    done_bits_[bit / 64] |= std::uint64_t{1} << bit % 64;
    ++done_above_;
    while (done_above_ > 0 && is_done(done_below_)) {
      ++done_below_;
      --done_above_;
      while (done_base_ + 64 <= done_below_ && !done_bits_.empty()) {
        done_bits_.pop_front();
        done_base_ += 64;
      }
    }
  }
  if (done_above_ == 0) done_bits_.clear();
  next_ = std::max(next_, done_below_);
}

bool Subscription::is_done(QueueOffset offset) const {
  if (offset < done_below_) return true;
  const auto bit = static_cast<std::size_t>(offset - done_base_);
  return bit / 64 < done_bits_.size() && (done_bits_[bit / 64] >> bit % 64 & 1) != 0;
}

void Subscription::restore_attempts(QueueOffset offset, int attempts) {
  if (is_done(offset)) return;
  const auto [out, is_new] = out_.try_emplace(offset);
  out->second.attempt = std::max(out->second.attempt, attempts);
  if (is_new) due_.emplace(out->second.visible_at, offset);
}

void Subscription::reopen(QueueOffset offset) {
  const auto [out, is_new] = out_.try_emplace(offset);
  if (!is_new) return;  // already on its way again
  due_.emplace(out->second.visible_at, offset);
}

QueueOffset Subscription::needed_from() const {
  QueueOffset first = done_below_;
  if (done_below_ > 0 && !out_.empty()) {
    for (const auto& [offset, it] : out_) first = std::min(first, offset);
  }
  return first;
}

std::int64_t Subscription::lag(QueueOffset end) const {
  return std::max<std::int64_t>(0, end - done_below_ - done_above_);
}

Subscription::Saved Subscription::save() const {
  Saved saved{.done_below = done_below_, .done_above = {}, .attempts = {}};
  if (done_above_ > 0) {
    const auto stop = done_base_ + static_cast<QueueOffset>(done_bits_.size()) * 64;
    for (QueueOffset at = done_below_; at < stop; ++at) {
      if (is_done(at)) saved.done_above.push_back(at);
    }
  }
  for (const auto& [offset, it] : out_) {
    // Reopened messages are below done_below_ and must not be forgotten; of the others only the count matters.
    if (it.attempt > 1 || offset < done_below_) saved.attempts.emplace_back(offset, std::max(0, it.attempt));
  }
  return saved;
}

Subscription Subscription::restore(const Saved& saved) {
  Subscription subscription(saved.done_below);
  for (const QueueOffset offset : saved.done_above) subscription.mark_done(offset);
  for (const auto& [offset, attempts] : saved.attempts) {
    subscription.reopen(offset);
    subscription.out_[offset].attempt = attempts;
  }
  return subscription;
}

std::vector<Subscription::InFlight> Subscription::list_in_flight(Monotonic now, std::size_t limit) const {
  std::vector<InFlight> list;
  for (const auto& [offset, it] : out_) {
    if (list.size() == limit) break;
    if (it.settling) continue;
    const bool visible = it.nonce == 0 || (it.visible_at <= now && !it.auto_renew);
    list.push_back({offset, it.attempt, visible, it.client, it.visible_at});
  }
  std::sort(list.begin(), list.end(), [](const InFlight& a, const InFlight& b) { return a.offset < b.offset; });
  return list;
}

}  // namespace hf::broker
