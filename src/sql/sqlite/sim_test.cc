/// The database on the simulated disk: power loss, torn writes, the N-th operation failing.

#include <gtest/gtest.h>

#include "sql/database.h"
#include "sys/sim.h"

namespace hf::sql {
namespace {

class SimSql : public ::testing::TestWithParam<int> {
 protected:
  explicit SimSql(std::uint64_t seed = 1) : sim_(seed) {}

  Result<void> open() {
    HF_TRY(db_, sql::open(sim_.world(), "sqlite:test.db", "/data"));
    return ok();
  }
  Result<std::int64_t> execute(std::string sql, Params params = {}) {
    std::function<Result<std::int64_t>(Transaction&)> work = [sql, params](Transaction& tx) {
      return tx.execute(sql, params);
    };
    return sim_.run_until_done(db_->write<std::int64_t>(std::move(work)));
  }
  Result<std::set<std::int64_t>> numbers() {
    std::function<Result<std::set<std::int64_t>>(Reader&)> work = [](Reader& r) -> Result<std::set<std::int64_t>> {
      HF_TRY(const Rows rows, r.query("SELECT number FROM t"));
      std::set<std::int64_t> all;
      for (const Row& row : rows) all.insert(row.integer(0));
      return all;
    };
    return sim_.run_until_done(db_->read<std::set<std::int64_t>>(std::move(work)));
  }
  Result<std::int64_t> insert(int number) {
    return execute("INSERT INTO t VALUES (?, ?)", {number, std::string(300, 'x')});
  }

  sys::SimWorld sim_;
  std::unique_ptr<Database> db_;
};

TEST_F(SimSql, RunsOnTheSimulatedDisk) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute("CREATE TABLE t (number INTEGER PRIMARY KEY, filler TEXT)"));
  ASSERT_TRUE(insert(1));
  EXPECT_EQ(numbers()->size(), 1U);
  EXPECT_GT(sim_.disk().syncs(), 0U);
  EXPECT_FALSE(sql::open(sim_.world(), "sqlite:test.db", "/data")) << "two owners";
  sim_.run_until_done(db_->close());
  db_.reset();
  ASSERT_TRUE(open());
  EXPECT_EQ(numbers()->size(), 1U);
}

TEST_F(SimSql, AReaderOfTheSameProcessSeesTheWriter) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute("CREATE TABLE t (number INTEGER PRIMARY KEY, filler TEXT)"));
  auto reader = sql::open(sim_.world(), "sqlite:test.db?mode=ro", "/data");
  ASSERT_TRUE(reader) << reader.error().to_string();
  ASSERT_TRUE(insert(1));
  std::function<Result<Rows>(Reader&)> count = [](Reader& r) { return r.query("SELECT count(*) FROM t"); };
  const Result<Rows> rows = sim_.run_until_done((*reader)->read<Rows>(count));
  ASSERT_TRUE(rows) << rows.error().to_string();
  EXPECT_EQ(rows->front().integer(0), 1);
}

class PowerLoss : public SimSql {
 protected:
  PowerLoss() : SimSql(static_cast<std::uint64_t>(GetParam())) {}
};

TEST_P(PowerLoss, KeepsWhatWasAcknowledged) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute("CREATE TABLE t (number INTEGER PRIMARY KEY, filler TEXT)"));
  std::set<std::int64_t> acknowledged;
  int next = 0;
  for (int life = 0; life < 4; ++life) {
    // The machine dies in the middle of some operation: from then on every one fails, and what was unsynced may be
    // torn.
    sim_.disk().fail_operation(1 + sim_.world().random.below(800), Error{Code::unavailable, "power"}, UINT64_MAX);
    for (int i = 0; i < 400; ++i) {
      const int number = ++next;
      if (!insert(number)) break;
      acknowledged.insert(number);
    }
    sim_.disk().crash(life % 2 == 0 ? sys::SimDisk::Unsynced::torn : sys::SimDisk::Unsynced::lost);
    db_.reset();
    ASSERT_TRUE(open());
    const auto there = numbers();
    ASSERT_TRUE(there) << there.error().to_string();
    for (const std::int64_t number : acknowledged) EXPECT_TRUE(there->contains(number)) << number;
    EXPECT_LE(there->size(), acknowledged.size() + static_cast<std::size_t>(life) + 1) << "one in flight per life";
    acknowledged = *there;
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, PowerLoss, ::testing::Range(1, 31));

TEST_F(SimSql, AfterAFailedSyncNothingIsWrittenUntilReopened) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute("CREATE TABLE t (number INTEGER PRIMARY KEY, filler TEXT)"));
  // Fail each operation of one commit in turn: the write, the sync, whatever there is.
  int ended = 0, next = 0;
  for (std::uint64_t n = 1; n <= 12; ++n) {
    sim_.disk().fail_operation(n, Error{Code::unavailable, "injected"});
    const auto first = insert(++next);
    sim_.disk().fail_operation(1'000'000, Error{Code::unavailable, "injected"});
    if (first) continue;
    const auto second = insert(++next);
    ASSERT_FALSE(second) << "operation " << n;
    EXPECT_EQ(second.error().code, Code::unavailable);
    EXPECT_NE(second.error().message.find("opened again"), std::string::npos) << second.error().message;
    ++ended;
    sim_.run_until_done(db_->close());
    db_.reset();
    ASSERT_TRUE(open());
    const auto there = numbers();
    ASSERT_TRUE(there);
    EXPECT_FALSE(there->contains(next)) << "refused, and yet there";
    if (there->contains(next - 1)) EXPECT_EQ(first.error().code, Code::timeout) << "operation " << n;
  }
  EXPECT_GT(ended, 1);
}

TEST_F(SimSql, AFullDiskRefusesAndRecovers) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute("CREATE TABLE t (number INTEGER PRIMARY KEY, filler TEXT)"));
  sim_.disk().set_capacity(200'000);
  int last = 0;
  Result<std::int64_t> result = 0;
  while ((result = insert(last + 1))) ++last;
  EXPECT_EQ(result.error().code, Code::exhausted);
  EXPECT_EQ(numbers()->size(), static_cast<std::size_t>(last));
  sim_.disk().set_capacity(UINT64_MAX);
  EXPECT_TRUE(insert(last + 1)) << "room again: no restart needed";
}

}  // namespace
}  // namespace hf::sql
