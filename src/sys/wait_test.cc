#include "sys/wait.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "sys/sim.h"

namespace hf::sys {
namespace {

using namespace boost::asio::experimental::awaitable_operators;

class Waiting : public testing::Test {
 protected:
  asio::awaitable<void> waiter(Monotonic deadline, std::string name) {
    const bool notified = co_await event_.wait_until(deadline);
    trace_ += name + (notified ? "+" : "-");
  }
  Monotonic in(Duration d) { return sim_.clock().now() + d; }
  SimWorld sim_{1};
  Event event_{sim_.clock()};
  std::string trace_;
};

TEST_F(Waiting, NotifyWakesThoseWhoWaitNow) {
  event_.notify_all();
  sim_.spawn(waiter(in(10s), "a"));
  sim_.spawn(waiter(in(20s), "b"));
  sim_.run_for(1s);
  EXPECT_EQ(event_.waiting(), 2u);
  event_.notify_one();
  sim_.run_for(30s);
  EXPECT_EQ(trace_, "a+b-");
  EXPECT_EQ(event_.waiting(), 0u);
}

TEST_F(Waiting, CancellationEndsAWait) {
  auto race = [](Event& event, Clock& clock) -> asio::awaitable<std::size_t> {
    const auto winner = co_await (event.wait() || clock.sleep_for(5s));
    co_return winner.index();
  };
  EXPECT_EQ(sim_.run_until_done(race(event_, sim_.clock())), 1u);
  EXPECT_EQ(event_.waiting(), 0u);
}

TEST_F(Waiting, ATaskGroupJoinsItsTasks) {
  TaskGroup group(sim_.world().executor, sim_.clock());
  group.spawn("short", sim_.clock().sleep_for(1s));
  group.spawn("long", sim_.clock().sleep_for(1min));
  sim_.run_until_done(group.join());
  EXPECT_EQ(sim_.clock().now().time_since_epoch(), 1min);
  EXPECT_EQ(group.running(), 0u);
}

TEST_F(Waiting, AThrowingTaskIsOurBug) {
  auto thrower = []() -> asio::awaitable<void> {
    throw std::runtime_error("x");
    co_return;
  };
  EXPECT_DEATH(
      {
        TaskGroup group(sim_.world().executor, sim_.clock());
        group.spawn("thrower", thrower());
        sim_.run_ready();
      },
      "sys.task.threw");
}

}  // namespace
}  // namespace hf::sys
