#pragma once

/// One coroutine asleep. Included by sys/*.cc only.

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "sys/clock.h"

namespace hf::sys {

/// Whoever calls finish() first decides why the coroutine wakes; later calls do nothing. Strand only.
class Sleeper : public std::enable_shared_from_this<Sleeper> {
 public:
  void finish(bool notified) {
    if (finished_) return;
    finished_ = true;
    notified_ = notified;
    if (resume_) std::exchange(resume_, nullptr)();
  }
  bool notified() const { return notified_; }

  /// Suspends the caller until finish(), or its cancellation.
  asio::awaitable<void> sleep() {
    const Executor home = co_await asio::this_coro::executor;
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [this, home](auto handler) {
          auto slot = asio::get_associated_cancellation_slot(handler);
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          resume_ = [shared, guard = asio::make_work_guard(home)] {
            asio::post(guard.get_executor(), [shared] { std::move (*shared)(); });
          };
          if (slot.is_connected()) {
            slot.assign([weak = weak_from_this()](asio::cancellation_type) {
              if (auto self = weak.lock()) self->finish(false);
            });
          }
          if (finished_) std::exchange(resume_, nullptr)();
        },
        asio::use_awaitable);
  }

 private:
  bool finished_ = false;
  bool notified_ = false;
  std::function<void()> resume_;
};

}  // namespace hf::sys
