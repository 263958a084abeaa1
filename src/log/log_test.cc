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

TEST(Log, RefusesWhatDoesNotFitIntoASegment) {
  TestLog t;
  ASSERT_TRUE(t.open());
  t.sim.run_ready();
  const std::size_t largest = 4096 - 64 - 24;
  EXPECT_EQ(t->append(1, {as_bytes(std::string(largest + 1, 'x'))}).error().code, Code::invalid);
  EXPECT_EQ(t->append(1, {as_bytes(std::string(kBodyMax + 1, 'x'))}).error().code, Code::invalid);
  t.put_durable(std::string(largest, 'x'));
  t.put_durable("");
  t.crash(sys::SimDisk::Unsynced::lost);
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed(), t.acknowledged());
}

TEST(Log, TakesTheLargestRecord) {
  TestLog t;
  t.options = Options{};
  t.options.segment_bytes = 16 << 20;
  ASSERT_TRUE(t.open());
  t.put_durable("before");
  const Position large = t.put_durable(std::string(kBodyMax, 'L'));
  t.put_durable("after");
  EXPECT_EQ(t->read(large)->body.size(), kBodyMax);
  t.crash(sys::SimDisk::Unsynced::lost);
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed(), t.acknowledged());
}

TEST(Log, RefusesAboveTheMemoryBoundAndTakesAgainBelow) {
  TestLog t;
  t.options.segment_bytes = t.options.first_segment_bytes = 1 << 20;
  t.options.waiting_bytes_max = 64 << 10;
  ASSERT_TRUE(t.open());
  const std::string body(1000, 'x');
  Result<Position> position = t->append(1, {as_bytes(body)}, Urgency::lazy);
  while (position) position = t->append(1, {as_bytes(body)}, Urgency::lazy);
  EXPECT_EQ(position.error().code, Code::exhausted);
  EXPECT_NE(position.error().message.find("wait for the disk"), std::string::npos);
  EXPECT_LE(t->stats().waiting_bytes, t.options.waiting_bytes_max);
  EXPECT_TRUE(t.sim.run_until_done(t->wait_for_room(body.size(), t.sim.clock().now() + 1s)));
  EXPECT_TRUE(t->append(1, {as_bytes(body)}));
  t.flush();
  EXPECT_EQ(t->stats().waiting_bytes, 0U);
}

TEST(Log, EveryBatchStaysBelowItsBound) {
  TestLog t;
  t.options.segment_bytes = t.options.first_segment_bytes = 1 << 20;
  ASSERT_TRUE(t.open());
  for (int i = 0; i < 100; ++i) t.put(std::string(1000, 'x'));
  t.flush();
  EXPECT_EQ(t->stats().batches, 25U);  // four of 1024 bytes fit into 4096
}

TEST(Log, RetentionRemovesWholeSegmentsOnlyAndReusesThem) {
  TestLog t;
  ASSERT_TRUE(t.open());
  std::vector<Position> positions;
  for (int i = 0; i < 40; ++i) {
    positions.push_back(t.put_durable(std::string(400, static_cast<char>('a' + i % 26))));
    t.sim.run_for(2s);
  }
  const Position needed = positions[25];
  t->remove_before(needed);
  t.sim.run_for(2s);
  EXPECT_GT(t->oldest(), positions[0]);
  EXPECT_LE(t->oldest(), needed);
  EXPECT_EQ(t->read(positions[0]).error().code, Code::not_found);
  EXPECT_EQ(t->read(needed)->body, std::string(400, 'z'));
  EXPECT_EQ(t->stats().spare_segments, 3U) << "files of removed segments wait for reuse";
  // Stale records of their earlier life lie in the files that are filled now.
  const std::size_t first =
      static_cast<std::size_t>(std::find(positions.begin(), positions.end(), t->oldest()) - positions.begin());
  for (int i = 0; i < 12; ++i) {
    t.put_durable(std::string(400, 'R'));
    const std::vector<Seen> want(t.acknowledged().begin() + static_cast<std::ptrdiff_t>(first), t.acknowledged().end());
    EXPECT_EQ(t.scanned(), want);
    t.crash(sys::SimDisk::Unsynced::lost);
    ASSERT_TRUE(t.open());
    EXPECT_EQ(t.replayed(), want);
  }
}

TEST(Log, RetentionNeverTakesTheActiveSegment) {
  TestLog t;
  ASSERT_TRUE(t.open());
  for (int i = 0; i < 20; ++i) t.put_durable(std::string(400, 'x'));
  t->remove_before(t->end());
  EXPECT_EQ(t->stats().segments, 1U);
  t.put_durable("after");
  t.crash(sys::SimDisk::Unsynced::lost);
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed().back().body, "after");
}

TEST(Log, RetentionKeepsTheSegmentBelowOneThatIsNotOnDiskYet) {
  TestLog t;
  ASSERT_TRUE(t.open());
  for (int i = 0; i < 9; ++i) t.put_durable(std::string(400, 'x'));
  ASSERT_TRUE(t.sim.world().faults.arm("log.before_write=error"));
  t.put("the first of the next segment" + std::string(400, 'x'));
  ASSERT_EQ(t->stats().segments, 2U);
  t->remove_before(t->end());
  t.sim.run_for(2s);
  t.crash(sys::SimDisk::Unsynced::lost);
  t.sim.world().faults.disarm_all();
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed(), t.acknowledged());
}

TEST(Log, ASlowCursorBehindRetentionIsTold) {
  TestLog t;
  ASSERT_TRUE(t.open());
  for (int i = 0; i < 20; ++i) t.put_durable(std::string(400, 'x'));
  Log::Cursor cursor = t->scan(Position{0});
  ASSERT_TRUE(cursor.next());
  t->remove_before(t->end());
  t.sim.run_for(2s);
  for (int i = 0; i < 20; ++i) t.put_durable(std::string(400, 'y'));
  Result<std::optional<RecordView>> next = cursor.next();
  while (next && *next) next = cursor.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Code::not_found);
}

TEST(Log, ACursorWaitsAtTheEndAndGoesOn) {
  TestLog t;
  ASSERT_TRUE(t.open());
  Log::Cursor cursor = t->scan(Position{0});
  EXPECT_FALSE(*cursor.next());
  for (int i = 0; i < 30; ++i) {
    t.put_durable(fmt::format("{} {}", i, std::string(300, 'x')));
    const Result<std::optional<RecordView>> next = cursor.next();
    ASSERT_TRUE(next && *next);
    EXPECT_TRUE(as_text((*next)->body).starts_with(fmt::format("{} ", i)));
    EXPECT_FALSE(*cursor.next());
  }
}

TEST(Log, ACursorDoesNotSeeWhatATornBatchLeftBehindTheEnd) {
  TestLog t;
  ASSERT_TRUE(t.open());
  ASSERT_TRUE(t.sim.world().faults.arm("log.before_sync=error"));
  const Position torn = t.put("12345678");
  for (int i = 0; i < 3; ++i) t.put("orphaned");
  t.sim.run_ready();
  t.sim.world().faults.disarm_all();
  t.crash(sys::SimDisk::Unsynced::kept);
  t.sim.disk().content(t.path("0000000001.seg"))[64 + torn.value + 24] = '?';
  ASSERT_TRUE(t.open());  // its mark takes the place of the torn record
  Log::Cursor cursor = t->scan(Position{0});
  for (const std::string body : {"a new 1.", "a new 2.", "a new 3."}) {
    t.put_durable(body);
    const Result<std::optional<RecordView>> next = cursor.next();
    ASSERT_TRUE(next && *next);
    EXPECT_EQ(as_text((*next)->body), body);
  }
}

TEST(Log, TheSegmentSizeMayChangeBetweenLives) {
  TestLog t;
  for (const std::uint64_t size : {4096UL, 16384UL, 8192UL, 65536UL, 4096UL}) {
    t.options.segment_bytes = size;
    ASSERT_TRUE(t.open());
    EXPECT_EQ(t.replayed(), t.acknowledged());
    t.sim.run_ready();
    t.put_durable(std::string(size - 64 - 24, 'x'));
    t.sim.run_for(2s);
    t.put_durable("small");
    t.crash(sys::SimDisk::Unsynced::lost);
  }
}

TEST(Log, AnAddressWhereNoRecordBeginsIsNotFound) {
  TestLog t;
  ASSERT_TRUE(t.open());
  const Position position = t.put_durable(std::string(100, 'x'));
  for (const std::uint64_t wrong : {position.value + 8, position.value + 1, std::uint64_t{1} << 40, UINT64_MAX}) {
    EXPECT_EQ(t->read(Position{wrong}).error().code, Code::not_found) << wrong;
  }
}

TEST(Log, ADamagedRecordIsCorruptWhenRead) {
  TestLog t;
  ASSERT_TRUE(t.open());
  const Position position = t.put_durable(std::string(100, 'x'));
  t.sim.disk().content(t.path("0000000001.seg"))[64 + position.value + 50] = 'y';
  const Result<Record> record = t->read(position);
  EXPECT_EQ(record.error().code, Code::corrupt);
  EXPECT_NE(record.error().message.find("0000000001.seg"), std::string::npos);
  Log::Cursor cursor = t->scan(position);
  EXPECT_EQ(cursor.next().error().code, Code::corrupt);
}

TEST(Log, WaitersWithADeadlineGiveUp) {
  TestLog t;
  ASSERT_TRUE(t.open());
  t.sim.disk().set_capacity(4096);
  t.sim.run_ready();
  Result<Position> position = t->append(1, {as_bytes(std::string(1000, 'x'))});
  while (position) position = t->append(1, {as_bytes(std::string(1000, 'x'))});
  const Monotonic deadline = t.sim.clock().now() + 5s;
  EXPECT_EQ(t.sim.run_until_done(t->wait_for_room(1000, deadline)).error().code, Code::timeout);
  EXPECT_EQ(t.sim.clock().now(), deadline);
}

TEST(Log, ImpossibleOptionsAreInvalid) {
  for (const auto spoil : std::initializer_list<void (*)(Options&)>{
           [](Options& o) { o.segment_bytes = 100; }, [](Options& o) { o.segment_bytes = 4100; },
           [](Options& o) { o.first_segment_bytes = 0; }, [](Options& o) { o.spare_segments = 0; },
           [](Options& o) { o.waiting_bytes_max = 1; }, [](Options& o) { o.batch_bytes_max = 1 << 30; }}) {
    TestLog t;
    spoil(t.options);
    EXPECT_EQ(t.open().error().code, Code::invalid);
  }
}

}  // namespace
}  // namespace hf::log
