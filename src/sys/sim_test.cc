#include "sys/sim.h"

#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::sys {
namespace {

asio::awaitable<void> sleeper(Clock& clock, Duration d, std::string name, std::string& trace) {
  co_await clock.sleep_for(d);
  trace += name;
}

TEST(Sim, TimeJumpsToTheNextTimerInOrder) {
  SimWorld sim(1);
  std::string trace;
  sim.spawn(sleeper(sim.clock(), 2h, "b", trace));
  sim.spawn(sleeper(sim.clock(), 1h, "a", trace));
  sim.spawn(sleeper(sim.clock(), 3h, "c", trace));
  sim.run_for(2h);
  EXPECT_EQ(trace, "ab");
  EXPECT_EQ(sim.clock().now().time_since_epoch(), 2h);
  sim.run_for(1h);
  EXPECT_EQ(trace, "abc");
}

TEST(Sim, TheWallMayJumpWhileTheMonotonicClockDoesNot) {
  SimWorld sim(1);
  const Monotonic now = sim.clock().now();
  const WallTime wall = sim.clock().wall();
  sim.jump_wall(-2h);
  EXPECT_EQ(sim.clock().now(), now);
  EXPECT_EQ(wall - sim.clock().wall(), 2h);
}

Task<int> blocking_answer(World world) {
  auto worker = world.make_worker("test", 1);
  std::function<Result<int>()> work = [] { return Result<int>(42); };
  co_return co_await worker->run<int>(std::move(work));
}

TEST(Sim, BlockingWorkRunsInline) {
  SimWorld sim(1);
  EXPECT_EQ(*sim.run_until_done(blocking_answer(sim.world())), 42);
}

TEST(Loop, BlockingWorkRunsOnAThreadAndComesBack) {
  Loop loop;
  EXPECT_EQ(*loop.run_until_done(blocking_answer(loop.world())), 42);
}

}  // namespace
}  // namespace hf::sys
