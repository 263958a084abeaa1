#include "participant/barrier.h"

#include <gtest/gtest.h>

#include "sql/test_url.h"
#include "sys/sim.h"

namespace hf::participant {
namespace {

struct Case {
  const char* what;
  Op op;
  bool origin, current;
  Verdict verdict;
};
constexpr Case kCases[] = {
    // what happened                            op             origin  current  verdict
    {"first try runs", Op::try_, false, true, Verdict::run},
    {"repeated try does nothing", Op::try_, false, false, Verdict::duplicate},
    {"confirm runs", Op::confirm, false, true, Verdict::run},
    {"repeated confirm does nothing", Op::confirm, false, false, Verdict::duplicate},
    {"cancel after try undoes it", Op::cancel, false, true, Verdict::run},
    {"cancel before try undoes nothing", Op::cancel, true, true, Verdict::null_undo},
    {"repeated cancel does nothing", Op::cancel, false, false, Verdict::duplicate},
    {"cancel whose own row outlived the try's", Op::cancel, true, false, Verdict::null_undo},
    {"compensate after action", Op::compensate, false, true, Verdict::run},
    {"compensate before action", Op::compensate, true, true, Verdict::null_undo},
    {"rollback after action", Op::rollback, false, true, Verdict::run},
    {"rollback before action", Op::rollback, true, true, Verdict::null_undo},
    {"message", Op::msg, false, true, Verdict::run},
    {"message after query-prepared rolled it back", Op::msg, false, false, Verdict::duplicate},
};
TEST(Barrier, Decide) {
  for (const Case& c : kCases) EXPECT_EQ(decide(c.op, c.origin, c.current), c.verdict) << c.what;
}

class BarrierTable : public ::testing::Test {
 protected:
  BarrierTable() : sim_(1), db_(std::move(sql::open(sim_.world(), sql::test_url("sqlite:a.db"), "/data").value())) {
    const std::vector<sql::Migration> tables = {
        {1, "tables", {std::string(kBarrierTable), "CREATE TABLE log (entry VARCHAR(64) NOT NULL)"}}};
    EXPECT_TRUE(sim_.run_until_done(db_->migrate("test", tables)));
  }
  ~BarrierTable() override { sim_.run_until_done(db_->close()); }

  Result<Verdict> call(const std::string& gid, Op op, std::optional<Error> fails = {}) {
    std::function<Result<Verdict>(sql::Transaction&)> work = [=, this](sql::Transaction& tx) {
      Barrier barrier({gid, "01"}, sim_.clock().wall());
      return barrier.call(tx, op, [&](sql::Transaction& inside) -> Result<void> {
        HF_TRY(inside.execute("INSERT INTO log (entry) VALUES (?)", {gid + " " + std::string(to_string(op))}));
        if (fails) return *fails;
        return ok();
      });
    };
    return sim_.run_until_done(db_->write<Verdict>(std::move(work)));
  }
  std::vector<std::string> ran() {
    std::function<Result<sql::Rows>(sql::Reader&)> work = [](sql::Reader& r) {
      return r.query("SELECT entry FROM log");
    };
    std::vector<std::string> all;
    const Result<sql::Rows> rows = sim_.run_until_done(db_->read<sql::Rows>(std::move(work)));
    for (const sql::Row& row : *rows) {
      all.push_back(row.text(0));
    }
    return all;
  }
  bool committed(const std::string& gid) {
    std::function<Result<bool>(sql::Transaction&)> work = [=, this](sql::Transaction& tx) {
      return query_prepared(tx, {gid, "00"}, sim_.clock().wall());
    };
    return sim_.run_until_done(db_->write<bool>(std::move(work))).value();
  }

  sys::SimWorld sim_;
  std::unique_ptr<sql::Database> db_;
};

TEST_F(BarrierTable, EachOperationRunsOnce) {
  for (const Op op : {Op::try_, Op::try_, Op::confirm, Op::confirm}) ASSERT_TRUE(call("g", op));
  EXPECT_EQ(ran(), (std::vector<std::string>{"g try", "g confirm"}));
}

TEST_F(BarrierTable, ACancelThatComesFirstFencesTheTryOut) {
  EXPECT_EQ(*call("g", Op::cancel), Verdict::null_undo);
  EXPECT_EQ(*call("g", Op::try_), Verdict::duplicate) << "it came after its undo";
  EXPECT_EQ(*call("g", Op::cancel), Verdict::duplicate);
  EXPECT_TRUE(ran().empty());
}

TEST_F(BarrierTable, AFailedWorkLeavesNoRow) {
  EXPECT_FALSE(call("g", Op::try_, Error{Code::conflict, "no credit"}));
  EXPECT_EQ(*call("g", Op::cancel), Verdict::null_undo) << "nothing was frozen";
  EXPECT_TRUE(ran().empty());
}

TEST_F(BarrierTable, WorksOfOneOperationAreToldApart) {
  std::function<Result<void>(sql::Transaction&)> work = [&](sql::Transaction& tx) -> Result<void> {
    Barrier barrier({"g", "01"}, sim_.clock().wall());
    const Barrier::Work nothing = [](sql::Transaction&) { return ok(); };
    HF_TRY(const Verdict first, barrier.call(tx, Op::action, nothing));
    HF_TRY(const Verdict second, barrier.call(tx, Op::action, nothing));
    EXPECT_EQ(first, Verdict::run);
    EXPECT_EQ(second, Verdict::run);
    return ok();
  };
  ASSERT_TRUE(sim_.run_until_done(db_->write(std::move(work))));
}

TEST_F(BarrierTable, QueryPreparedTellsAndFences) {
  std::function<Result<Verdict>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
    Barrier barrier({"sent", "00"}, sim_.clock().wall());
    return barrier.call(tx, Op::msg, [](sql::Transaction&) { return ok(); });
  };
  EXPECT_EQ(sim_.run_until_done(db_->write<Verdict>(work)).value(), Verdict::run);
  EXPECT_TRUE(committed("sent"));
  EXPECT_TRUE(committed("sent"));
  EXPECT_FALSE(committed("never"));
  std::function<Result<Verdict>(sql::Transaction&)> late = [&](sql::Transaction& tx) {
    Barrier barrier({"never", "00"}, sim_.clock().wall());
    return barrier.call(tx, Op::msg, [](sql::Transaction&) { return ok(); });
  };
  EXPECT_EQ(sim_.run_until_done(db_->write<Verdict>(std::move(late))).value(), Verdict::duplicate)
      << "the business transaction must roll back";
}

TEST_F(BarrierTable, OldRowsAreRemoved) {
  ASSERT_TRUE(call("old", Op::cancel));
  sim_.run_for(1h);
  ASSERT_TRUE(call("new", Op::try_));
  std::function<Result<std::int64_t>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
    return remove_barriers(tx, sim_.clock().wall() - 30min, 100);
  };
  EXPECT_EQ(sim_.run_until_done(db_->write<std::int64_t>(std::move(work))).value(), 2);
}

}  // namespace
}  // namespace hf::participant
