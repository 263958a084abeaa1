#pragma once

/// Waiting inside one strand: an event that many coroutines wait for, and a group of background coroutines.

#include <exception>
#include <list>
#include <memory>
#include <string>

#include "base/task.h"
#include "sys/clock.h"

namespace hf::sys {

/// Wakes coroutines of one strand. notify_*() wakes who waits *now*; check the condition in a loop around wait().
/// Strand only, no locking; outlives its waiters.
class Event {
 public:
  explicit Event(Clock& clock) : clock_(clock) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// True if notified; false if `deadline` passed or the coroutine was cancelled first.
  asio::awaitable<bool> wait_until(Monotonic deadline);
  asio::awaitable<void> wait();
  void notify_all();
  void notify_one();
  std::size_t waiting() const { return waiters_.size(); }

 private:
  struct Waiter;
  Clock& clock_;
  std::list<std::shared_ptr<Waiter>> waiters_;
};

/// Background coroutines of one component. Every one is joined before the component dies:
///
///   tasks_.spawn("check_backs", run_check_backs());   …   stopping_ = true; wake_.notify_all(); co_await
///   tasks_.join();
///
/// An exception that leaves a task is our bug: it is logged and the process aborts. Strand only.
class TaskGroup {
 public:
  TaskGroup(Executor executor, Clock& clock) : executor_(std::move(executor)), idle_(clock) {}
  void spawn(std::string name, asio::awaitable<void> task);
  asio::awaitable<void> join();
  std::size_t running() const { return running_; }

 private:
  Executor executor_;
  Event idle_;
  std::size_t running_ = 0;
};

}  // namespace hf::sys
