// Goal: after any damage the log either refuses to open, naming file and offset, or holds everything that could be
// known to be durable. Never a damaged, reordered or revived record.

#include "log/recovery.h"

#include <gtest/gtest.h>

#include "log/test_log.h"

namespace hf::log {
namespace {

using Unsynced = sys::SimDisk::Unsynced;

/// Three segments, several batches of several records each; the last batch holds `last` records.
void write_small_log(TestLog& t) {
  ASSERT_TRUE(t.open());
  for (int batch = 0; batch < 5; ++batch) {
    for (int i = 0; i < 4; ++i) t.put(fmt::format("{}.{} {}", batch, i, std::string(450, 'x')));
    t.flush();
  }
  for (int i = 0; i < 3; ++i) t.put(fmt::format("last {}", i));
  t.flush();
}

std::vector<std::string> started_segments(TestLog& t) {
  std::vector<std::string> started;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    const std::string path = t.path(segment_name(n));
    if (!*t.sim.disk().exists(path)) break;
    if (t.sim.disk().content(path)[0] != 0) started.push_back(path);
  }
  return started;
}

/// `seen` is `all` without at most the last `lacking` records.
bool is_prefix(const std::vector<Seen>& seen, const std::vector<Seen>& all, std::size_t lacking) {
  return seen.size() <= all.size() && seen.size() + lacking >= all.size() &&
         std::equal(seen.begin(), seen.end(), all.begin());
}

TEST(Recovery, EveryFlippedBitIsRefusedOrInTheLastBatch) {
  TestLog t;
  write_small_log(t);
  t.crash(Unsynced::lost);
  std::size_t refused = 0, cut = 0;
  const std::vector<std::string> paths = started_segments(t);
  ASSERT_EQ(paths.size(), 3U);
  std::map<std::string, std::string> clean;
  for (const std::string& path : paths) clean[path] = t.sim.disk().content(path);
  for (const std::string& path : paths) {
    for (std::size_t bit = 0; bit < clean[path].size() * 8; bit += bit % 64 == 0 ? 1 : 7) {
      std::string& content = t.sim.disk().content(path);
      content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
      const Result<void> opened = t.open();
      if (opened) {
        ASSERT_TRUE(is_prefix(t.replayed(), t.acknowledged(), 3)) << path << " bit " << bit;
        cut += t.replayed().size() < t.acknowledged().size() ? 1U : 0U;
      } else {
        ASSERT_EQ(opened.error().code, Code::corrupt) << opened.error().to_string();
        ASSERT_NE(opened.error().message.find(".seg"), std::string::npos) << opened.error().message;
        ++refused;
      }
      const auto acknowledged = t.acknowledged();
      t.crash(Unsynced::kept);
      for (const auto& [name, bytes] : clean) t.sim.disk().content(name) = bytes;
    }
  }
  EXPECT_GT(refused, 1000U);
  EXPECT_GT(cut, 10U);
}

TEST(Recovery, AfterACleanCloseEveryFlippedBitOfARecordIsRefused) {
  TestLog t;
  write_small_log(t);
  const std::uint64_t end_of_records = t->end().value;
  t.close();
  const std::string path = started_segments(t).back();
  const std::string clean = t.sim.disk().content(path);
  const std::uint64_t base = get_u64(as_bytes(clean).subspan(32).data());
  for (std::size_t bit = 0; bit < (end_of_records - base + kSegmentHeaderSize) * 8; ++bit) {
    std::string& content = t.sim.disk().content(path);
    content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
    const Result<void> opened = t.open();
    ASSERT_FALSE(opened) << bit;
    ASSERT_EQ(opened.error().code, Code::corrupt);
    t.sim.disk().content(path) = clean;
  }
}

TEST(Recovery, EveryCutIsRefused) {
  TestLog t;
  write_small_log(t);
  t.crash(Unsynced::lost);
  for (const std::string& path : started_segments(t)) {
    const std::string clean = t.sim.disk().content(path);
    for (std::size_t size = 0; size < clean.size(); ++size) {
      t.sim.disk().content(path).resize(size);
      const Result<void> opened = t.open();
      ASSERT_FALSE(opened) << path << " cut at " << size;
      ASSERT_EQ(opened.error().code, Code::corrupt);
      t.sim.disk().content(path) = clean;
    }
  }
}

TEST(Recovery, EveryCutOfTheWritingIsAPrefix) {
  // What a lost write looks like in a file that was zeros before.
  TestLog t;
  write_small_log(t);
  t.crash(Unsynced::lost);
  const std::string path = started_segments(t).back();
  const std::string clean = t.sim.disk().content(path);
  const std::size_t first_lost = t.acknowledged().size() - 3;  // the last batch
  const std::uint64_t base = get_u64(as_bytes(clean).subspan(32).data());
  const std::uint64_t last_batch = t.acknowledged()[first_lost].position - base + kSegmentHeaderSize;
  for (std::size_t from = last_batch; from < clean.size(); ++from) {
    std::string& content = t.sim.disk().content(path);
    std::fill(content.begin() + static_cast<std::ptrdiff_t>(from), content.end(), '\0');
    ASSERT_TRUE(t.open());
    ASSERT_TRUE(is_prefix(t.replayed(), t.acknowledged(), 3));
    t.crash(Unsynced::kept);
    t.sim.disk().content(path) = clean;
  }
}

TEST(Recovery, AMissingSegmentIsNamed) {
  TestLog t;
  write_small_log(t);
  t.crash(Unsynced::lost);
  ASSERT_TRUE(t.sim.disk().remove(t.path(segment_name(2))));
  const Result<void> opened = t.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::corrupt);
  EXPECT_NE(opened.error().message.find("0000000002.seg is missing"), std::string::npos) << opened.error().message;
}

TEST(Recovery, ASegmentOfAnotherLogIsRefused) {
  TestLog a(1), b(2);
  write_small_log(a);
  write_small_log(b);
  a.crash(Unsynced::lost);
  b.crash(Unsynced::lost);
  a.sim.disk().content(a.path(segment_name(2))) = b.sim.disk().content(b.path(segment_name(2)));
  EXPECT_EQ(a.open().error().code, Code::corrupt);
}

TEST(Recovery, AWriteTornInAnyOrderOfSectorsIsNeverTakenForDamage) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    TestLog t(seed);
    t.options.segment_bytes = t.options.first_segment_bytes = 16 << 10;
    t.options.batch_bytes_max = 16 << 10;
    sys::SeededRandom random(seed);
    ASSERT_TRUE(t.open());
    const std::uint64_t before = random.below(20);
    for (std::uint64_t i = 0; i < before; ++i) t.put_durable(std::string(random.below(900), 'd'));
    t.sim.run_ready();
    std::map<std::string, std::string> old;
    const std::vector<std::string> names = *t.sim.disk().list(TestLog::kDir);
    for (const std::string& name : names) {
      if (name.ends_with(".seg")) old[t.path(name)] = t.sim.disk().content(t.path(name));
    }
    for (std::uint64_t i = 0; i < 1 + random.below(10); ++i) t.put(std::string(random.below(900), 'u'));
    ASSERT_TRUE(t.sim.world().faults.arm("log.before_sync=error"));
    t.sim.run_ready();
    t.sim.world().faults.disarm_all();
    t.crash(Unsynced::kept);
    for (const auto& [path, bytes] : old) {
      std::string& content = t.sim.disk().content(path);
      for (std::size_t at = 0; at < content.size(); at += 512) {
        if (random.below(2) == 0) content.replace(at, 512, bytes, at, 512);
      }
    }
    ASSERT_TRUE(t.open()) << "seed " << seed;
    std::vector<Seen> all = t.acknowledged();
    all.insert(all.end(), t.pending().begin(), t.pending().end());
    ASSERT_GE(t.replayed().size(), t.acknowledged().size()) << "seed " << seed;
    ASSERT_TRUE(is_prefix(t.replayed(), all, t.pending().size())) << "seed " << seed;
  }
}

TEST(Recovery, WhatATornBatchLeftBehindIsNotRevived) {
  // Batch of three; the first is torn. The next life writes one of the same size in its place and dies: the second and
  // third stand where they would follow, intact.
  TestLog t;
  ASSERT_TRUE(t.open());
  t.put_durable("before");
  ASSERT_TRUE(t.sim.world().faults.arm("log.before_sync=error"));
  const Position torn = t.put("torn one");
  t.put("ghost two");
  t.put("ghost three");
  t.sim.run_ready();
  t.sim.world().faults.disarm_all();
  t.crash(Unsynced::kept);
  t.sim.disk().content(t.path(segment_name(1)))[torn.value + kSegmentHeaderSize + kRecordHeaderSize] = 'T';
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t->stats().truncated_bytes, 32U);
  t.accept_replayed();
  t.crash(Unsynced::lost);  // the mark of that life fills the place of "torn one" exactly
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed().size(), 1U);
  EXPECT_EQ(t.replayed(), t.acknowledged());
}

TEST(Recovery, ReplaysFromAPosition) {
  TestLog t;
  ASSERT_TRUE(t.open());
  for (int i = 0; i < 40; ++i) t.put_durable(std::string(400, 'x'));
  const std::vector<Seen> all = t.acknowledged();
  const Position end = t->end();
  t.crash(Unsynced::lost);
  for (std::size_t i = 0; i < all.size(); i += 7) {
    ASSERT_TRUE(t.open(Position{all[i].position}));
    EXPECT_EQ(t.replayed(), std::vector<Seen>(all.begin() + static_cast<std::ptrdiff_t>(i), all.end()));
    EXPECT_EQ(t.scanned(), all);
    t.crash(Unsynced::lost);
  }
  ASSERT_TRUE(t.open(end));
  EXPECT_TRUE(t.replayed().empty());
  const Position after = t->end();
  t.crash(Unsynced::lost);
  const Result<void> beyond = t.open(Position{after.value + 8});
  EXPECT_EQ(beyond.error().code, Code::corrupt);
  EXPECT_NE(beyond.error().message.find("the log ends at position"), std::string::npos);
}

TEST(Recovery, AVisitorsErrorEndsTheOpening) {
  TestLog t;
  write_small_log(t);
  t.crash(Unsynced::lost);
  const auto refused = Log::open(t.sim.world(), TestLog::kDir, t.options, std::nullopt,
                                 [](const RecordView&) { return Result<void>(Error{Code::internal, "no"}); });
  EXPECT_EQ(refused.error().code, Code::internal);
  EXPECT_TRUE(t.open());  // and the lock is free again
}

TEST(Recovery, RandomBytesInPlaceOfASegmentAreNeverBelieved) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TestLog t(seed);
    write_small_log(t);
    t.crash(Unsynced::lost);
    sys::SeededRandom random(seed);
    const std::vector<std::string> paths = started_segments(t);
    std::string& content = t.sim.disk().content(paths[random.below(paths.size())]);
    const std::size_t from = random.below(content.size()), size = 1 + random.below(content.size() - from);
    random.fill({reinterpret_cast<std::uint8_t*>(content.data()) + from, size});
    const Result<void> opened = t.open();
    if (!opened) {
      EXPECT_TRUE(opened.error().code == Code::corrupt) << opened.error().to_string();
    } else {
      ASSERT_TRUE(is_prefix(t.replayed(), t.acknowledged(), t.acknowledged().size())) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace hf::log
