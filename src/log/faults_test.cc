// Goal: whatever operation of the disk fails, and wherever the machine dies, every acknowledged record is there after
// recovery, in its place; what was not acknowledged is there or not, from the front; nothing else ever appears.

#include <gtest/gtest.h>

#include "log/snapshot.h"
#include "log/test_log.h"

namespace hf::log {
namespace {

using Unsynced = sys::SimDisk::Unsynced;

/// What the caller was told, over any number of lives of the log.
class Ledger {
 public:
  explicit Ledger(std::uint64_t seed) : t(seed), random_(seed) {}

  /// Recovers and compares. False if the log could not be opened, which only a failing disk may cause.
  bool open(std::optional<Position> from = std::nullopt) {
    const Result<void> opened = t.open(from);
    if (!opened) {
      EXPECT_NE(opened.error().code, Code::corrupt) << opened.error().message;
      return false;
    }
    compare(t.replayed(), from);
    t->on_durable([this](Position end) { durable_ = end; });
    return !::testing::Test::HasFailure();
  }

  void append(std::size_t size, Urgency urgency = Urgency::now) {
    std::string body = fmt::format("{} ", ++count_);
    body.resize(std::max(size, body.size()), static_cast<char>('a' + count_ % 26));
    const Result<Position> position = t->append(static_cast<Kind>(1 + count_ % 5), {as_bytes(body)}, urgency);
    if (position) appended_.push_back({position->value, static_cast<int>(1 + count_ % 5), std::move(body)});
  }
  void flush() { (void)t.sim.run_until_done(t->flush()); }
  void let_run() { t.sim.run_for(3s); }
  void close() {
    if (t.sim.run_until_done(t->close())) durable_ = t->durable_end();
    end_life(Unsynced::kept);
  }
  /// Retention: all up to a random acknowledged record is given up.
  void remove_some() {
    const std::size_t known = acknowledged();
    if (known == 0) return;
    needed_ = std::max(needed_, Position{appended_[random_.below(known)].position});
    t->remove_before(needed_);
  }
  void end_life(Unsynced unsynced) { t.crash(unsynced); }
  std::size_t acknowledged() const {
    return static_cast<std::size_t>(
        std::count_if(appended_.begin(), appended_.end(), [&](const Seen& s) { return s.position < durable_.value; }));
  }
  void read_some() {
    if (appended_.empty()) return;
    const Seen& some = appended_[random_.below(appended_.size())];
    const Result<Record> record = t->read(Position{some.position});
    if (record) {
      EXPECT_EQ(record->body, some.body);
    } else if (record.error().code == Code::not_found) {
      EXPECT_TRUE(some.position < t->oldest().value || some.position >= t->durable_end().value);
    } else {
      EXPECT_NE(record.error().code, Code::corrupt) << record.error().message;  // the disk fails
    }
  }
  bool log_is_open() { return t.is_open(); }

  TestLog t;

 private:
  void compare(const std::vector<Seen>& seen, std::optional<Position> from) {
    const std::uint64_t first = from ? from->value : t->oldest().value;
    ASSERT_LE(t->oldest(), std::max(needed_, Position{0}));
    std::size_t skip = 0;
    while (skip < appended_.size() && appended_[skip].position < first) ++skip;
    const std::size_t must = acknowledged();
    ASSERT_LE(seen.size() + skip, appended_.size()) << "records that nobody appended";
    ASSERT_GE(seen.size() + skip, must) << "acknowledged records are gone";
    for (std::size_t i = 0; i < seen.size(); ++i) {
      ASSERT_EQ(seen[i].position, appended_[skip + i].position);
      ASSERT_TRUE(seen[i] == appended_[skip + i]);
    }
    appended_.resize(skip + seen.size());  // what is not there now must never come back
    durable_ = t->durable_end();
  }

  sys::SeededRandom random_;
  std::vector<Seen> appended_;
  Position durable_, needed_;
  std::uint64_t count_ = 0;
};

/// Two lives with batches, several segments, retention and a clean end.
void scenario(Ledger& l) {
  for (int life = 0; life < 2; ++life) {
    if (!l.open()) return;
    for (int batch = 0; batch < 8; ++batch) {
      for (int i = 0; i < 3; ++i)
        l.append(static_cast<std::size_t>(200 + 150 * i), i == 1 ? Urgency::lazy : Urgency::now);
      l.flush();
      if (batch % 3 == 2) l.remove_some();
      l.let_run();
    }
    l.read_some();
    l.close();
  }
}

std::uint64_t operations_of_scenario() {
  Ledger l(1);
  scenario(l);
  return l.t.sim.disk().operations();
}

void break_every_operation(std::uint64_t repeat, const Error& error, std::initializer_list<Unsynced> ends) {
  const std::uint64_t operations = operations_of_scenario();
  ASSERT_GT(operations, 100U);
  for (const Unsynced end : ends) {
    for (std::uint64_t n = 1; n <= operations; ++n) {
      SCOPED_TRACE(fmt::format("operation {}, unsynced {}", n, static_cast<int>(end)));
      Ledger l(n);
      l.t.sim.disk().fail_operation(n, error, repeat);
      scenario(l);
      l.end_life(end);
      l.t.sim.disk().fail_operation(0, error, 0);
      ASSERT_TRUE(l.open());
      l.append(100);
      l.flush();
      l.end_life(Unsynced::lost);
      ASSERT_TRUE(l.open());
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
  }
}

TEST(Faults, TheMachineDiesAtEveryOperation) {
  break_every_operation(UINT64_MAX, Error{Code::unavailable, "dead"},
                        {Unsynced::lost, Unsynced::torn, Unsynced::scattered, Unsynced::kept});
}

TEST(Faults, EveryOperationFailsOnce) {
  break_every_operation(1, Error{Code::unavailable, "input/output error"}, {Unsynced::lost, Unsynced::kept});
}

TEST(Faults, TheDiskIsFullFromEveryOperationOn) {
  break_every_operation(UINT64_MAX, Error{Code::exhausted, "no space left"}, {Unsynced::lost, Unsynced::kept});
}

/// One random life after another, on one seed.
class RandomLives {
 public:
  explicit RandomLives(std::uint64_t seed) : random_(seed * 7919), ledger_(seed), tiny_(random_.below(2) == 0) {
    Options& options = ledger_.t.options;
    options.segment_bytes = 4096 + 8 * random_.below(1000);
    options.first_segment_bytes = 4096;
    options.batch_bytes_max = 4096;
    options.spare_segments = static_cast<std::uint32_t>(1 + random_.below(3));
  }

  void run() {
    for (int life = 0; life < 6 && !::testing::Test::HasFailure(); ++life) {
      const bool fails = random_.below(2) == 0;
      if (fails) {
        const std::uint64_t repeat = random_.below(3) == 0 ? 1 : UINT64_MAX;
        disk().fail_operation(1 + random_.below(150), Error{Code::unavailable, "chance"}, repeat);
      }
      if (ledger_.open()) {
        live();
      } else {
        ASSERT_TRUE(fails);
        ledger_.end_life(any_end());
      }
    }
    disk().fail_operation(0, Error{Code::internal, ""}, 0);
    ASSERT_TRUE(ledger_.open());
  }

 private:
  sys::SimDisk& disk() { return ledger_.t.sim.disk(); }
  Unsynced any_end() { return static_cast<Unsynced>(random_.below(4)); }

  void live() {
    for (std::uint64_t steps = random_.below(tiny_ ? 4 : 40); steps > 0; --steps) step();
    if (random_.below(4) == 0) return ledger_.close();
    if (random_.below(2) == 0) {  // dies between write and sync
      HF_ASSERT(ledger_.t.sim.world().faults.arm("log.before_sync=error"));
      append_some();
      ledger_.t.sim.run_ready();
      ledger_.t.sim.world().faults.disarm_all();
    }
    ledger_.end_life(any_end());
  }

  void step() {
    switch (random_.below(8)) {
      case 0:
        return ledger_.flush();
      case 1:
        return ledger_.let_run();
      case 2:
        return ledger_.t.sim.run_ready();
      case 3:
        return ledger_.read_some();
      case 4:
        return random_.below(3) == 0 ? ledger_.remove_some() : ledger_.flush();
      default:
        return append_some();
    }
  }

  /// Tiny records have the size of a mark and divide a sector: what a torn batch left behind lies just where the
  /// records of the next life lead to.
  void append_some() {
    for (std::uint64_t i = tiny_ ? random_.below(40) : 1; i > 0; --i) {
      ledger_.append(tiny_ ? 8 : random_.below(1200), random_.below(4) == 0 ? Urgency::lazy : Urgency::now);
    }
  }

  sys::SeededRandom random_;
  Ledger ledger_;
  const bool tiny_;
};

TEST(Faults, RandomLives) {
  for (std::uint64_t seed = 1; seed <= 1500 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomLives(seed).run();
  }
}

TEST(Faults, AfterAFailedSyncNothingIsTakenAndEverybodyIsTold) {
  TestLog t;
  ASSERT_TRUE(t.open());
  t.sim.run_ready();
  std::vector<std::string> told;
  t->on_failed([&](const Error& error) { told.push_back(error.message); });
  t.sim.disk().fail_operation(2, Error{Code::unavailable, "input/output error"});  // the write works, the sync fails
  const Result<Position> position = t->append(1, {as_bytes("lost")});
  ASSERT_TRUE(position);
  const Result<void> waited = t.sim.run_until_done(t->durable(*position));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Code::unavailable);
  EXPECT_EQ(told.size(), 1U);
  const std::uint64_t operations = t.sim.disk().operations();
  const Result<Position> next = t->append(1, {as_bytes("next")});
  EXPECT_EQ(next.error().code, Code::unavailable);
  EXPECT_FALSE(t.sim.run_until_done(t->flush()));
  EXPECT_FALSE(t.sim.run_until_done(t->close()));
  EXPECT_EQ(t.sim.disk().operations(), operations) << "no retry";
}

TEST(Faults, AFullDiskIsRefusedEarlyAndLosesNothing) {
  TestLog t;
  t.sim.disk().set_capacity(3 * 4096 + 1000);  // three segments, no fourth
  ASSERT_TRUE(t.open());
  Result<Position> position = Error{Code::internal, ""};
  std::size_t taken = 0;
  for (;; ++taken) {
    position = t->append(1, {as_bytes(std::string(300, 'x'))});
    if (!position) break;
    t.flush();
    t.sim.run_for(2s);
  }
  EXPECT_EQ(position.error().code, Code::exhausted);
  EXPECT_NE(position.error().message.find("no space left"), std::string::npos) << position.error().message;
  EXPECT_GT(taken, 30U);
  EXPECT_EQ(t.scanned().size(), taken);
  EXPECT_TRUE(t->append(1, {as_bytes("small")})) << "what still fits is still taken";
  t.flush();
  t.sim.disk().set_capacity(UINT64_MAX);
  EXPECT_TRUE(t.sim.run_until_done(t->wait_for_room(300, t.sim.clock().now() + 10s)));
  t.put_durable(std::string(300, 'y'));
  t.crash(Unsynced::lost);
  ASSERT_TRUE(t.open());
  EXPECT_EQ(t.replayed().size(), taken + 2);
}

TEST(Faults, AFullDiskAtTheFirstOpenIsSaidClearly) {
  TestLog t;
  t.sim.disk().set_capacity(1000);
  const Result<void> opened = t.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::exhausted);
  EXPECT_NE(opened.error().message.find(TestLog::kDir), std::string::npos) << opened.error().message;
  t.sim.disk().set_capacity(UINT64_MAX);
  EXPECT_TRUE(t.open());
}

TEST(Faults, AReadOnlyFolderIsSaidClearly) {
  TestLog t;
  ASSERT_TRUE(t.open());
  t.put_durable("x");
  t.crash(Unsynced::lost);
  t.sim.disk().fail_operation(2, Error{Code::denied, "read-only file system"}, UINT64_MAX);
  const Result<void> opened = t.open();
  EXPECT_EQ(opened.error().code, Code::denied);
  EXPECT_NE(opened.error().message.find(TestLog::kDir), std::string::npos) << opened.error().message;
}

TEST(Faults, ASecondOpenerIsAConflictThatNamesTheFolder) {
  TestLog t;
  ASSERT_TRUE(t.open());
  const auto second =
      Log::open(t.sim.world(), TestLog::kDir, t.options, std::nullopt, [](const RecordView&) { return ok(); });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::conflict);
  EXPECT_NE(second.error().message.find(TestLog::kDir), std::string::npos) << second.error().message;
}

}  // namespace
}  // namespace hf::log
