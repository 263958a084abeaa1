#include "log/log.h"

#include "log/test_log.h"

namespace hf::log {
namespace {

TEST(Log, GivesBackWhatWasAppendedInOrder) {
  TestLog t;
  ASSERT_TRUE(t.open());
  std::vector<Position> positions;
  for (int i = 0; i < 100; ++i) positions.push_back(t.put(fmt::format("record {}", i)));
  EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end()));
  t.flush();
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const Result<Record> record = t->read(positions[i]);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->body, fmt::format("record {}", i));
    EXPECT_EQ(record->kind, 1);
    EXPECT_EQ(record->next, i + 1 < positions.size() ? positions[i + 1] : t->end());
  }
  EXPECT_EQ(t.scanned(), t.acknowledged());
}

TEST(Log, IsThereAfterReopening) {
  TestLog t;
  ASSERT_TRUE(t.open());
  for (int i = 0; i < 10; ++i) t.put_durable(fmt::format("record {}", i));
  t.crash(sys::SimDisk::Unsynced::lost);
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed(), t.acknowledged());
  t.put_durable("after");
  t.close();
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed().size(), 11U);
  EXPECT_EQ(t.replayed(), t.acknowledged());
}

TEST(Log, JoinsPartsIntoOneBody) {
  TestLog t;
  ASSERT_TRUE(t.open());
  const Result<Position> position = t->append(7, {as_bytes("one "), as_bytes(""), as_bytes("body")});
  ASSERT_TRUE(position);
  t.flush();
  EXPECT_EQ(t->read(*position)->body, "one body");
  EXPECT_EQ(t->read(*position)->kind, 7);
}

TEST(Log, OneSyncForAllThatWait) {
  TestLog t;
  ASSERT_TRUE(t.open());
  t.sim.run_ready();  // the keeper's first work
  const std::uint64_t before = t.sim.disk().syncs();
  for (int i = 0; i < 100; ++i) t.put("x");
  t.flush();
  EXPECT_EQ(t.sim.disk().syncs(), before + 1);
  EXPECT_EQ(t->stats().batches, 1U);
  EXPECT_EQ(t->stats().records, 100U);
}

TEST(Log, CallsBackOncePerBatchInOrder) {
  TestLog t;
  ASSERT_TRUE(t.open());
  std::vector<Position> ends;
  t->on_durable([&](Position end) {
    EXPECT_EQ(t->durable_end(), end);
    ends.push_back(end);
  });
  t.put("a");
  t.put("b");
  t.sim.run_ready();
  t.put("c");
  t.sim.run_ready();
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_LT(ends[0], ends[1]);
  EXPECT_EQ(ends[1], t->end());
}

TEST(Log, LazyRecordsStartNoCommit) {
  TestLog t;
  ASSERT_TRUE(t.open());
  t.sim.run_ready();
  const std::uint64_t before = t.sim.disk().syncs();
  const Result<Position> lazy = t->append(1, {as_bytes("lazy")}, Urgency::lazy);
  ASSERT_TRUE(lazy);
  t.sim.run_ready();
  EXPECT_EQ(t.sim.disk().syncs(), before);
  EXPECT_EQ(t->read(*lazy).error().code, Code::not_found);
  t.put("urgent");
  t.sim.run_ready();
  EXPECT_EQ(t.sim.disk().syncs(), before + 1);
  EXPECT_EQ(t->read(*lazy)->body, "lazy");
}

TEST(Log, WaitingForALazyRecordCommitsIt) {
  TestLog t;
  ASSERT_TRUE(t.open());
  const Result<Position> lazy = t->append(1, {as_bytes("lazy")}, Urgency::lazy);
  EXPECT_TRUE(t.sim.run_until_done(t->durable(*lazy)));
}

TEST(Log, SpansSegments) {
  TestLog t;
  ASSERT_TRUE(t.open());
  for (int i = 0; i < 60; ++i) t.put_durable(std::string(500, static_cast<char>('a' + i % 26)));
  EXPECT_GT(t->stats().segments, 5U);
  EXPECT_EQ(t.scanned(), t.acknowledged());
  t.crash(sys::SimDisk::Unsynced::lost);
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed(), t.acknowledged());
}

}  // namespace
}  // namespace hf::log
