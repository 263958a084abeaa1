// The engine's background: what is written in passing, what expires, what is forgotten, whether the database works.

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "coordinator/engine.h"

namespace hf::coordinator {
namespace {

constexpr Duration kSavePause = 50ms;  ///< so that what happens meanwhile shares one row and one flush
constexpr Duration kStorePause = 200ms, kHousekeeping = 1s;
constexpr std::size_t kSavedAtOnce = 256, kForgottenAtOnce = 1000;

}  // namespace

asio::awaitable<void> Engine::run_expiry() {
  while (phase_ == Phase::running) {
    if (expiring_.empty()) {
      co_await aging_.wait();
    } else if (const Monotonic at = expiring_.begin()->first; at > world_.clock.now()) {
      co_await aging_.wait_until(at);
    } else {
      const LivePtr one = live(expiring_.begin()->second);
      HF_ASSERT(one && one->tx.state == State::active);
      expired_.add();
      feed(one, Expired{});  // takes it off the list
    }
  }
}

asio::awaitable<void> Engine::run_saving() {
  while (phase_ == Phase::running) {
    if (dirty_.empty()) {
      co_await unsaved_.wait();
      continue;
    }
    co_await wake_.wait_until(world_.clock.now() + kSavePause);
    while (phase_ == Phase::running && !dirty_.empty()) {
      const Result<void> saved = co_await save_some();
      if (!saved) co_await wake_.wait_until(world_.clock.now() + kStorePause);
      if (dirty_.size() < kSavedAtOnce) break;
    }
  }
}

/// Writes some of the rows that are behind. What changes during the write is behind again.
Task<> Engine::save_some() {
  std::vector<LivePtr> batch(dirty_.begin(),
                             dirty_.begin() + static_cast<std::ptrdiff_t>(std::min(dirty_.size(), kSavedAtOnce)));
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<std::ptrdiff_t>(batch.size()));
  std::vector<Transaction> rows;
  std::vector<Heuristic> damages;
  std::vector<std::uint64_t> versions;
  for (const LivePtr& one : batch) {
    one->dirty = false;
    versions.push_back(one->version);
    rows.push_back(one->tx);
    damages.insert(damages.end(), one->damages.begin(), one->damages.end());
  }
  const std::size_t found = damages.size();
  saving_ = true;
  const Result<void> saved = co_await store_.save(std::move(rows), std::move(damages));
  saving_ = false;
  heard(saved);
  if (!saved) {
    for (const LivePtr& one : batch) touch(one);
    co_return saved;
  }
  if (found > 0) heuristics_changed_ = true;
  for (std::size_t i = 0; i < batch.size(); ++i) forget_saved(batch[i], versions[i]);
  co_return ok();
}

void Engine::forget_saved(const LivePtr& one, std::uint64_t version) {
  if (one->version != version) return;  // it changed meanwhile, and is in dirty_ again
  one->damages.clear();
  if (one->tx.finished()) live_.erase(one->tx.gtrid);
}

asio::awaitable<void> Engine::run_housekeeping() {
  Monotonic next_forget{};
  while (phase_ == Phase::running) {
    const Monotonic now = world_.clock.now();
    const double oldest = in_doubt_.empty() ? 0 : std::chrono::duration<double>(now - in_doubt_.begin()->first).count();
    oldest_gauge_.set(oldest);
    if (heuristics_changed_) {
      const Result<std::int64_t> number = co_await store_.count_heuristics();
      if (number) heuristic_gauge_.set(static_cast<double>(*number));
      heuristics_changed_ = !number;
    }
    if (!store_works_ && dirty_.empty() && !saving_) co_await probe_store();  // else the rows are the probe
    if (now >= next_forget) {
      co_await forget_old();
      next_forget = now + 60s;
    }
    co_await wake_.wait_until(world_.clock.now() + kHousekeeping);
  }
}

/// A write with nothing in it but the proof of the epoch.
asio::awaitable<void> Engine::probe_store() {
  std::vector<Transaction> rows;
  std::vector<Heuristic> damages;
  heard(co_await store_.save(std::move(rows), std::move(damages)));
}

asio::awaitable<void> Engine::forget_old() {
  const auto keep = std::chrono::duration_cast<std::chrono::microseconds>(config_.keep_finished);
  while (phase_ == Phase::running) {
    const Result<std::int64_t> gone = co_await store_.forget(world_.clock.wall() - keep, kForgottenAtOnce);
    if (!gone) log::warn("coordinator.not_forgotten", {{"error", gone.error().to_string()}});
    if (!gone || *gone < static_cast<std::int64_t>(kForgottenAtOnce)) co_return;
  }
}

void Engine::heard(const Result<void>& written) {
  if (written) {
    if (!std::exchange(store_works_, true)) log::info("coordinator.store_works_again");
    return;
  }
  const Code code = written.error().code;
  if (code == Code::conflict) return;  // the row said no, the database is well
  if (store_works_) log::error("coordinator.store_fails", {{"error", written.error().to_string()}});
  store_works_ = false;
  if (code != Code::denied || phase_ != Phase::running) return;
  log::error("coordinator.fenced", {{"id", config_.id}, {"epoch", epoch_}, {"error", written.error().message}});
  enter(Phase::fenced);
}

}  // namespace hf::coordinator
