#include "sys/wait.h"

#include <boost/asio/co_spawn.hpp>
#include <cstdlib>

#include "base/log.h"
#include "sys/wait_detail.h"

namespace hf::sys {

struct Event::Waiter : Sleeper {};

asio::awaitable<bool> Event::wait_until(Monotonic deadline) {
  const Executor home = co_await asio::this_coro::executor;
  auto waiter = std::make_shared<Waiter>();
  waiters_.push_back(waiter);
  std::unique_ptr<Timer> timer;
  if (deadline != Monotonic::max()) {
    timer = clock_.call_at(home, deadline, [waiter] { waiter->finish(false); });
  }
  co_await waiter->sleep();
  if (!waiter->notified()) waiters_.remove(waiter);  // notify took the others off the list
  co_return waiter->notified();
}

asio::awaitable<void> Event::wait() { co_await wait_until(Monotonic::max()); }

void Event::notify_all() {
  for (const auto& waiter : std::exchange(waiters_, {})) waiter->finish(true);
}

void Event::notify_one() {
  if (waiters_.empty()) return;
  const auto waiter = waiters_.front();
  waiters_.pop_front();
  waiter->finish(true);
}

void TaskGroup::spawn(std::string name, asio::awaitable<void> task) {
  ++running_;
  asio::co_spawn(executor_, std::move(task), [this, name = std::move(name)](const std::exception_ptr& error) {
    if (error) {
      try {
        std::rethrow_exception(error);
      } catch (const std::exception& exception) {
        log::error("sys.task.threw", {{"task", name}, {"what", exception.what()}});
      }
      std::abort();  // a task that threw left its component half-way through something
    }
    if (--running_ == 0) idle_.notify_all();
  });
}

asio::awaitable<void> TaskGroup::join() {
  while (running_ > 0) co_await idle_.wait();
}

}  // namespace hf::sys
