#include "sys/fault_points.h"

#include "sys/sim.h"

namespace hf::sys {
namespace {

TEST(FaultPoints, ASpecIsCheckedBeforeAnythingIsArmed) {
  RealClock clock;
  FaultPoints faults(clock);
  for (const char* bad : {"sys.test", "sys.test=explode", "nowhere=crash", "sys.test=delay", "sys.test=error:0",
                          "sys.test=error:x", "sys.test=error,nowhere=drop"}) {
    EXPECT_EQ(faults.arm(bad).error().code, Code::invalid) << bad;
  }
  EXPECT_TRUE(faults.reach_blocking("sys.test"));
}

TEST(FaultPoints, ErrorsFireAsOftenAsAsked) {
  RealClock clock;
  FaultPoints faults(clock);
  ASSERT_TRUE(faults.arm("sys.test=error:2"));
  EXPECT_FALSE(faults.reach_blocking("sys.test"));
  EXPECT_FALSE(faults.reach_blocking("sys.test"));
  EXPECT_TRUE(faults.reach_blocking("sys.test"));
}

TEST(FaultPoints, DropIsSeenOnlyByThoseWhoCanLoseSomething) {
  RealClock clock;
  FaultPoints faults(clock);
  ASSERT_TRUE(faults.arm("sys.test=drop:1"));
  EXPECT_TRUE(faults.reach_blocking("sys.test"));
  EXPECT_TRUE(faults.drops("sys.test"));
  EXPECT_FALSE(faults.drops("sys.test"));
}

TEST(FaultPoints, DelayTakesTheClocksTime) {
  SimWorld sim(1);
  ASSERT_TRUE(sim.world().faults.arm("sys.test=delay:3000"));
  const Monotonic start = sim.clock().now();
  EXPECT_TRUE(sim.run_until_done(sim.world().faults.reach("sys.test")));
  EXPECT_EQ(sim.clock().now() - start, 3s);
}

TEST(FaultPointsDeathTest, CrashKillsTheProcessAtItsCount) {
  EXPECT_EXIT(
      {
        RealClock clock;
        FaultPoints faults(clock);
        (void)faults.arm("sys.test=crash:2");
        (void)faults.reach_blocking("sys.test");
        std::fputs("once\n", stderr);
        (void)faults.reach_blocking("sys.test");
        std::fputs("twice\n", stderr);
      },
      testing::KilledBySignal(SIGKILL), "once\n[^\n]*sys.fault.crash");
}

}  // namespace
}  // namespace hf::sys
