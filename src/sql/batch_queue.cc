#include "sql/batch_queue.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hf::sql {

BatchQueue::BatchQueue(sys::Worker& worker, Options options, RunBatch run_batch)
    : worker_(worker), options_(options), run_batch_(std::move(run_batch)) {
  HF_ASSERT(options_.batch_max > 0 && options_.jobs_max > 0);
}

BatchQueue::~BatchQueue() {
  // A waiting frame owns its unit, and the unit's `resume` owns the frame: cut the knot.
  for (Unit* unit : waiting_) const auto dropped = std::move(unit->resume);
}

Task<> BatchQueue::run(std::function<Result<void>(Transaction&)> work) {
  Unit unit;
  unit.work = std::move(work);
  unit.home = co_await asio::this_coro::executor;
  unit.keeps_loop_alive.emplace(unit.home);
  auto start = [this, &unit](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    unit.resume = [shared] { std::move (*shared)(); };
    if (Result<void> queued = put(unit); !queued) {
      unit.result = std::move(queued);
      asio::post(unit.home, std::move(unit.resume));
    }
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
  // The database may be gone by now: touch the frame only.
  co_return std::move(unit.result);
}

Result<void> BatchQueue::put(Unit& unit) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return Error{Code::unavailable, "the database is closed"};
    if (waiting_.size() >= options_.waiting_max) {
      return Error{Code::exhausted, fmt::format("{} units of work wait for the database", waiting_.size())};
    }
    waiting_.push_back(&unit);
    if (jobs_ == options_.jobs_max) return ok();  // a running job takes it
    ++jobs_;
  }
  auto job = [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) drain();
  };
  if (worker_.post(std::move(job))) return ok();
  const std::lock_guard lock(mutex_);
  --jobs_;
  // Another job may have taken the unit in between; then it is in good hands.
  if (const auto mine = std::find(waiting_.begin(), waiting_.end(), &unit); mine != waiting_.end()) {
    waiting_.erase(mine);
    return Error{Code::exhausted, "the database thread takes no more work"};
  }
  return ok();
}

void BatchQueue::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

void BatchQueue::drain() {
  for (std::vector<Unit*> batch = take(); !batch.empty(); batch = take()) {
    run_batch_(batch);
    resume_all(batch);
  }
}

std::vector<Unit*> BatchQueue::take() {
  const std::lock_guard lock(mutex_);
  // Several jobs share what waits, so that one slow batch does not hold all of it.
  const std::size_t share = (waiting_.size() + options_.jobs_max - 1) / options_.jobs_max;
  const auto count = static_cast<std::ptrdiff_t>(std::min(share, options_.batch_max));
  std::vector<Unit*> batch(waiting_.begin(), waiting_.begin() + count);
  waiting_.erase(waiting_.begin(), waiting_.begin() + count);
  if (batch.empty()) --jobs_;  // in the same breath as seeing the queue empty: whoever comes next starts a job
  return batch;
}

void BatchQueue::resume_all(const std::vector<Unit*>& batch) {
  using Resumes = std::vector<std::function<void()>>;
  std::vector<std::pair<sys::Executor, Resumes>> by_home;
  for (Unit* unit : batch) {
    auto group = std::find_if(by_home.begin(), by_home.end(), [&](const auto& g) { return g.first == unit->home; });
    if (group == by_home.end()) group = by_home.insert(group, {unit->home, {}});
    group->second.push_back(std::move(unit->resume));
  }
  for (auto& [home, resumes] : by_home) {
    auto resume_them = [all = std::move(resumes)]() mutable {
      for (std::function<void()>& resume : all) std::exchange(resume, nullptr)();
    };
    asio::post(home, std::move(resume_them));
  }
}

}  // namespace hf::sql
