#include "sys/clock.h"

#include <boost/asio/steady_timer.hpp>

#include "sys/wait_detail.h"

namespace hf::sys {
namespace {

class RealTimer final : public Timer {
 public:
  RealTimer(const Executor& executor, std::chrono::steady_clock::time_point at, std::function<void()> fn)
      : timer_(executor, at) {
    // A timer that fired just before it was taken back has its call queued already: `alive_` stops it.
    timer_.async_wait(
        [fn = std::move(fn), alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
          if (!error && alive.lock()) fn();
        });
  }

 private:
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  asio::steady_timer timer_;
};

}  // namespace

asio::awaitable<void> Clock::sleep_until(Monotonic at) {
  const Executor home = co_await asio::this_coro::executor;
  auto sleeper = std::make_shared<Sleeper>();
  const auto timer = call_at(home, at, [sleeper] { sleeper->finish(false); });
  co_await sleeper->sleep();
}

Monotonic RealClock::now() const {
  return Monotonic(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

WallTime RealClock::wall() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::unique_ptr<Timer> RealClock::call_at(Executor executor, Monotonic at, std::function<void()> fn) {
  const auto steady = std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(at.time_since_epoch()));
  return std::make_unique<RealTimer>(executor, steady, std::move(fn));
}

}  // namespace hf::sys
