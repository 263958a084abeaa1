#include "participant/inbox.h"

#include <gtest/gtest.h>

#include "sql/test_url.h"
#include "sys/sim.h"

namespace hf::participant {
namespace {

class InboxTest : public ::testing::Test {
 protected:
  InboxTest() : sim_(1), db_(std::move(sql::open(sim_.world(), sql::test_url("sqlite:a.db"), "/data").value())) {
    const std::vector<std::string> statements = {
        "CREATE TABLE stock (id BIGINT NOT NULL PRIMARY KEY, taken BIGINT NOT NULL)",
        "INSERT INTO stock (id, taken) VALUES (1, 0)"};
    const std::vector<sql::Migration> tables = {{1, "stock", statements}};
    EXPECT_TRUE(sim_.run_until_done(db_->migrate("test", tables)));
    config_.keep = 1h;
    inbox_ = std::make_unique<Inbox>(sim_.world(), *db_, config_);
    EXPECT_TRUE(sim_.run_until_done(inbox_->start()));
  }
  ~InboxTest() override {
    sim_.run_until_done(inbox_->close());
    sim_.run_until_done(db_->close());
  }

  Result<Handled> handle(const std::string& key, std::optional<Error> fails = {}, const std::string& group = "g") {
    std::function<Result<Handled>(sql::Transaction&)> work = [=, this](sql::Transaction& tx) {
      return inbox_->once(tx, group, key, [&]() -> Result<std::string> {
        HF_TRY(tx.execute("UPDATE stock SET taken = taken + 1 WHERE id = 1"));
        if (fails) return *fails;
        return "took it for " + key;
      });
    };
    return sim_.run_until_done(db_->write<Handled>(std::move(work)));
  }
  std::int64_t count(const std::string& sql) {
    std::function<Result<std::int64_t>(sql::Reader&)> work = [sql](sql::Reader& reader) -> Result<std::int64_t> {
      HF_TRY(const auto row, reader.query_one(sql));
      return row->integer(0);
    };
    return sim_.run_until_done(db_->read<std::int64_t>(std::move(work))).value();
  }
  std::int64_t taken() { return count("SELECT taken FROM stock"); }

  sys::SimWorld sim_;
  std::unique_ptr<sql::Database> db_;
  InboxConfig config_;
  std::unique_ptr<Inbox> inbox_;
};

TEST_F(InboxTest, TheEffectRunsOnceAndAReplayReturnsItsResult) {
  const Result<Handled> first = handle("o1"), second = handle("o1");
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(first->replayed);
  EXPECT_TRUE(second->replayed);
  EXPECT_EQ(second->result, "took it for o1");
  EXPECT_EQ(taken(), 1);
}

TEST_F(InboxTest, EachConsumerHasItsOwnKeys) {
  ASSERT_TRUE(handle("o1", {}, "inventory"));
  EXPECT_FALSE(handle("o1", {}, "points")->replayed);
  EXPECT_EQ(taken(), 2);
}

TEST_F(InboxTest, AnErrorTakesTheKeyBack) {
  EXPECT_FALSE(handle("o1", Error{Code::unavailable, "lock wait"}));
  EXPECT_EQ(taken(), 0);
  EXPECT_FALSE(handle("o1")->replayed);
  EXPECT_EQ(taken(), 1);
}

TEST_F(InboxTest, ItFailsAtEachStepAndTheMessageComesAgain) {
  for (const char* point : {"inbox.between", "sql.before_commit", "sql.after_commit"}) {
    ASSERT_TRUE(sim_.world().faults.arm(fmt::format("{}=error:1", point)));
    EXPECT_FALSE(handle(point)) << point;
    sim_.world().faults.disarm_all();
    EXPECT_TRUE(handle(point)) << point;
  }
  EXPECT_EQ(taken(), 3);
}

TEST_F(InboxTest, AKeyIsNeeded) {
  EXPECT_EQ(handle("").error().code, Code::invalid);
  EXPECT_EQ(handle(std::string(129, 'k')).error().code, Code::invalid);
  EXPECT_EQ(taken(), 0);
}

TEST_F(InboxTest, KeysAreForgottenAfterRetention) {
  for (int i = 0; i < 1200; ++i) ASSERT_TRUE(handle(fmt::format("o{}", i)));
  sim_.run_for(50min);
  EXPECT_EQ(count("SELECT COUNT(*) FROM inbox"), 1200);
  sim_.run_for(15min);
  EXPECT_EQ(count("SELECT COUNT(*) FROM inbox"), 0);
}

}  // namespace
}  // namespace hf::participant
