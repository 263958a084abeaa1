#pragma once

/// Units of work on their way to a database thread and back: the group of group commit.
///
/// Coroutines of any strand put units in; a worker job takes all that wait (up to `batch_max`), hands them to
/// `run_batch`, and resumes their callers: one posted completion per batch and strand, not one per unit (a hand-over to
/// a sleeping thread costs 30 µs, stack.md §11). A batch ends at its size limit or when the queue is empty; nobody
/// waits for a timer.

#include <boost/asio/executor_work_guard.hpp>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "sql/database.h"

namespace hf::sql {

/// One waiting unit. It lives in the frame of the coroutine that waits for it, which cannot end before `resume` ran.
struct Unit {
  std::function<Result<void>(Transaction&)> work;
  Result<void> result;  ///< set by run_batch
  std::function<void()> resume;
  sys::Executor home;
  std::optional<asio::executor_work_guard<sys::Executor>> keeps_loop_alive;
};

class BatchQueue {
 public:
  struct Options {
    std::size_t waiting_max = 10'000;  ///< beyond: exhausted
    std::size_t batch_max = 256;       ///< bounds the time the first of a batch waits for the last: ~3 ms
    std::size_t jobs_max = 1;          ///< batches that run at once: 1 for a writer, the thread count for readers
  };
  /// Fills in every unit's result. Worker thread; must not throw.
  using RunBatch = std::function<void(std::span<Unit* const>)>;

  /// `worker` outlives the queue's last unit.
  BatchQueue(sys::Worker& worker, Options options, RunBatch run_batch);
  /// Coroutines that still wait are destroyed, as those of a dying event loop are. Stop and join the worker first.
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  /// Suspends until a batch with `work` in it ended. `exhausted`: too many wait. `unavailable`: stopped.
  Task<> run(std::function<Result<void>(Transaction&)> work);
  /// No further units; those that wait still run. Any thread.
  void stop();

 private:
  void drain();
  Result<void> put(Unit& unit);
  std::vector<Unit*> take();
  static void resume_all(const std::vector<Unit*>& batch);

  sys::Worker& worker_;
  const Options options_;
  const RunBatch run_batch_;
  std::mutex mutex_;
  std::deque<Unit*> waiting_;
  std::size_t jobs_ = 0;
  bool stopped_ = false;
  /// A job that an inline worker starts after our end does nothing.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hf::sql
