#pragma once

/// Time, passed in so that a test can own it: no now() outside sys and net.

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "base/task.h"
#include "base/time.h"

namespace hf::sys {

/// The strand a coroutine or a component lives on: an io_context run by one thread.
using Executor = asio::any_io_executor;

/// A pending call; destroying it on its strand takes the call back.
class Timer {
 public:
  virtual ~Timer() = default;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Monotonic now() const = 0;  ///< for deadlines; means nothing in another process
  virtual WallTime wall() const = 0;  ///< for records; may jump, so never subtracted
  /// Runs `fn` on `executor` at `at` or soon after, never inside this call.
  [[nodiscard]] virtual std::unique_ptr<Timer> call_at(Executor executor, Monotonic at, std::function<void()> fn) = 0;

  /// Suspends the calling coroutine on its own strand. A cancelled coroutine (asio's ||) wakes at once.
  asio::awaitable<void> sleep_until(Monotonic at);
  asio::awaitable<void> sleep_for(Duration d) { return sleep_until(now() + d); }
};

/// The machine's clock.
class RealClock final : public Clock {
 public:
  Monotonic now() const override;
  WallTime wall() const override;
  std::unique_ptr<Timer> call_at(Executor executor, Monotonic at, std::function<void()> fn) override;
};

}  // namespace hf::sys
