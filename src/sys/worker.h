#pragma once

/// Threads for what blocks (fsync, SQL), and the way back: a coroutine waits, its loop goes on.

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/task.h"
#include "sys/clock.h"

namespace hf::sys {

/// A bounded queue of blocking jobs.
class Worker {
 public:
  virtual ~Worker() = default;
  /// False if the queue is full; then `job` is not run. Any thread.
  [[nodiscard]] virtual bool post(std::function<void()> job) = 0;

  /// Runs `work` where blocking is allowed and resumes the caller on its own strand. `exhausted` if the queue is full.
  template <class T>
  Task<T> run(std::function<Result<T>()> work) {
    std::optional<Result<T>> outcome;
    const Executor home = co_await asio::this_coro::executor;
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [&](auto handler) {
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          auto resume = [shared, home] { asio::post(home, [shared] { std::move (*shared)(); }); };
          const bool queued = post([&outcome, &work, resume, guard = asio::make_work_guard(home)] {
            outcome.emplace(work());
            resume();
          });
          if (!queued) resume();
        },
        asio::use_awaitable);
    if (!outcome) co_return Error{Code::exhausted, "the queue of blocking work is full"};
    co_return std::move(*outcome);
  }
};

/// `threads` threads over one queue of at most `queue_limit` jobs. The destructor finishes what is queued.
class ThreadWorker final : public Worker {
 public:
  ThreadWorker(std::string name, std::size_t threads, std::size_t queue_limit = 10'000);
  ~ThreadWorker() override;
  ThreadWorker(const ThreadWorker&) = delete;
  ThreadWorker& operator=(const ThreadWorker&) = delete;
  bool post(std::function<void()> job) override;

 private:
  void loop();

  const std::size_t queue_limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// Runs each job as a step of its own on the strand: for simulation, where nothing really blocks.
class InlineWorker final : public Worker {
 public:
  explicit InlineWorker(Executor executor) : executor_(std::move(executor)) {}
  bool post(std::function<void()> job) override;

 private:
  Executor executor_;
};

}  // namespace hf::sys
