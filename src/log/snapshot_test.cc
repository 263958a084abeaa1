#include "log/snapshot.h"

#include <gtest/gtest.h>

#include "log/test_log.h"

namespace hf::log {
namespace {

constexpr const char* kDir = "/data/snap";

TEST(Snapshot, NoneAtFirst) {
  TestLog t;
  const auto none = load_newest_snapshot(t.sim.disk(), kDir, "queues");
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
}

TEST(Snapshot, TheNewestComesBackAndTheOneBeforeStays) {
  TestLog t;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    const auto oldest =
        write_snapshot(t.sim.disk(), kDir, "queues", Position{i * 100}, as_bytes(fmt::format("s{}", i)));
    ASSERT_TRUE(oldest);
    EXPECT_EQ(oldest->value, i == 1 ? 100 : (i - 1) * 100);
  }
  ASSERT_TRUE(write_snapshot(t.sim.disk(), kDir, "queues-too", Position{9000}, as_bytes("another name")));
  t.sim.disk().crash(sys::SimDisk::Unsynced::lost);
  const auto newest = load_newest_snapshot(t.sim.disk(), kDir, "queues");
  ASSERT_TRUE(newest && *newest);
  EXPECT_EQ((*newest)->position.value, 500U);
  EXPECT_EQ((*newest)->state, "s5");
}

TEST(Snapshot, EveryFlippedBitAndEveryCutFallsBackToTheOneBefore) {
  TestLog t;
  ASSERT_TRUE(write_snapshot(t.sim.disk(), kDir, "q", Position{8}, as_bytes("old")));
  ASSERT_TRUE(write_snapshot(t.sim.disk(), kDir, "q", Position{16}, as_bytes("new")));
  const std::string path = std::string(kDir) + "/q-00000000000000000016.snapshot";
  const std::string clean = t.sim.disk().content(path);
  const auto falls_back = [&] {
    const auto loaded = load_newest_snapshot(t.sim.disk(), kDir, "q");
    return loaded && *loaded && (*loaded)->state == "old";
  };
  for (std::size_t bit = 0; bit < clean.size() * 8; ++bit) {
    std::string& content = t.sim.disk().content(path);
    content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(falls_back()) << bit;
    content = clean;
  }
  for (std::size_t size = 0; size < clean.size(); ++size) {
    t.sim.disk().content(path).resize(size);
    EXPECT_TRUE(falls_back()) << size;
    t.sim.disk().content(path) = clean;
  }
  t.sim.disk().content(path) = "";
  t.sim.disk().content(std::string(kDir) + "/q-00000000000000000008.snapshot") = "";
  EXPECT_EQ(load_newest_snapshot(t.sim.disk(), kDir, "q").error().code, Code::corrupt);
}

TEST(Snapshot, ACrashAtEveryOperationLeavesOldOrNew) {
  for (const auto unsynced :
       {sys::SimDisk::Unsynced::lost, sys::SimDisk::Unsynced::torn, sys::SimDisk::Unsynced::kept}) {
    for (std::uint64_t n = 1; n < 12; ++n) {
      TestLog t(n);
      ASSERT_TRUE(write_snapshot(t.sim.disk(), kDir, "q", Position{8}, as_bytes("old")));
      t.sim.disk().fail_operation(n, Error{Code::unavailable, "dead"}, UINT64_MAX);
      const bool written = write_snapshot(t.sim.disk(), kDir, "q", Position{16}, as_bytes("new")).has_value();
      t.sim.disk().crash(unsynced);
      const auto loaded = load_newest_snapshot(t.sim.disk(), kDir, "q");
      ASSERT_TRUE(loaded && *loaded);
      EXPECT_TRUE((*loaded)->state == "new" || (!written && (*loaded)->state == "old")) << n;
    }
  }
}

}  // namespace
}  // namespace hf::log
