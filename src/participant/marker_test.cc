#include "participant/marker.h"

#include <gtest/gtest.h>

#include "sql/test_url.h"
#include "sys/sim.h"

namespace hf::participant {
namespace {

TEST(Marker, DecideCheck) {
  struct Case {
    const char* what;
    bool inserted;
    std::optional<TxState> found;
    std::optional<TxState> want;
  };
  constexpr Case kCases[] = {
      {"nothing was there: the tombstone is in place", true, std::nullopt, TxState::rolled_back},
      {"committed before", false, TxState::committed, TxState::committed},
      {"refused, or checked, before", false, TxState::rolled_back, TxState::rolled_back},
      {"a state of a newer program", false, std::nullopt, std::nullopt},
  };
  for (const Case& c : kCases) EXPECT_EQ(decide_check(c.inserted, c.found), c.want) << c.what;
}

class MarkerTable : public ::testing::Test {
 protected:
  MarkerTable() : sim_(1), db_(std::move(sql::open(sim_.world(), sql::test_url("sqlite:a.db"), "/data").value())) {
    const std::vector<sql::Migration> tables = {{1, "markers", {std::string(kMarkerTable)}}};
    EXPECT_TRUE(sim_.run_until_done(db_->migrate("test", tables)));
  }
  ~MarkerTable() override { sim_.run_until_done(db_->close()); }

  Result<void> write(std::function<Result<void>(sql::Transaction&)> work) {
    return sim_.run_until_done(db_->write(std::move(work)));
  }
  Result<void> begin(const std::string& id) {
    return write([&](sql::Transaction& tx) { return mark(tx, id, sim_.clock().wall()); });
  }
  std::optional<TxState> check(const std::string& id) {
    std::optional<TxState> found;
    EXPECT_TRUE(write([&](sql::Transaction& tx) -> Result<void> {
      HF_TRY(found, check_back(tx, id, sim_.clock().wall()));
      return ok();
    }));
    return found;
  }

  sys::SimWorld sim_;
  std::unique_ptr<sql::Database> db_;
};

TEST_F(MarkerTable, TheFirstFinalStateWins) {
  ASSERT_TRUE(begin("first"));
  EXPECT_EQ(check("first"), TxState::committed);
  EXPECT_EQ(check("late"), TxState::rolled_back) << "the tombstone";
  const Result<void> fenced = begin("late");
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().code, Code::conflict);
  EXPECT_EQ(check("late"), TxState::rolled_back);
}

TEST_F(MarkerTable, ATransactionThatTookItselfBackIsRolledBack) {
  ASSERT_TRUE(write([&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(mark(tx, "t", sim_.clock().wall()));
    return take_back(tx, "t");
  }));
  EXPECT_EQ(check("t"), TxState::rolled_back);
}

TEST_F(MarkerTable, AFailedTransactionLeavesNoMarker) {
  EXPECT_FALSE(write([&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(mark(tx, "t", sim_.clock().wall()));
    return Error{Code::exhausted, "no credit"};
  }));
  EXPECT_EQ(check("t"), TxState::rolled_back) << "nothing was there but the tombstone";
}

}  // namespace
}  // namespace hf::participant
