/// Numbers in comments: the checks of docs/protocols/two-phase-commit.md.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "participant/branches_fixture.h"
#include "sys/sim.h"
#include "sys/wait.h"

namespace hf::participant {
namespace {

const std::string kTx = gtrid_of(1);

class ReservationTest : public BranchesTest {
 protected:
  ReservationTest() {
    open({.name = "inventory"});
    EXPECT_TRUE(run_statements(loop_, *db_, stock_tables()));
  }
  void restart() {
    close();
    open({.name = "inventory"});
  }
  std::int64_t rows() { return number_of(loop_, *db_, "SELECT count(*) FROM branches"); }
};

TEST_F(ReservationTest, NothingIsHeldBeforePrepareAndAllOfItIsAfterwards) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(stock(), "100/0/0");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(stock(), "97/3/0");
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
}

TEST_F(ReservationTest, AbortGivesBackWhatWasHeld) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(abort(kTx), "aborted");
  EXPECT_EQ(stock(), "100/0/0");
  EXPECT_EQ(number_of(loop_, *db_, "SELECT count(*) FROM reservation"), 0);
}

TEST_F(ReservationTest, TheCallerHearsAtOnceThatStockIsShort) {
  EXPECT_EQ(run(kTx, take(2, 11)), "conflict: Insufficient stock!");
}

TEST_F(ReservationTest, SeveralCallsInOneBranchSeeOneAnother) {
  EXPECT_EQ(run(kTx, take(2, 6)), "ok");
  EXPECT_EQ(run(kTx, take(2, 6)), "conflict: Insufficient stock!") << "6 + 6 of 10";
  EXPECT_EQ(prepare(kTx), "aborted: Insufficient stock!");
  EXPECT_EQ(stock(2), "10/0/0");
}

// 9
TEST_F(ReservationTest, PrepareAndNotifyThreeTimesAnswerTheSameAndChangeOnce) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(stock(), "97/3/0");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(other, take(1, 3)), "ok");
  EXPECT_EQ(prepare(other), "prepared");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(abort(other), "aborted");
  EXPECT_EQ(stock(), "97/0/3");
}

// 10
TEST_F(ReservationTest, CommitBeforePrepareIsRefusedAndChangesNothing) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(commit(kTx), "not_prepared");
  EXPECT_EQ(stock(), "100/0/0");
  EXPECT_EQ(rows(), 0);
  EXPECT_EQ(prepare(kTx), "prepared") << "and the branch is as it was";
}

// 8
TEST_F(ReservationTest, OfAnUnknownBranchNothingIsInvented) {
  EXPECT_EQ(prepare(kTx), "not_found: Transaction-Unknown");
  EXPECT_EQ(commit(kTx), "unknown");
  EXPECT_EQ(rows(), 0);
}

// 11
TEST_F(ReservationTest, AbortBeforePrepareLeavesATombstone) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(abort(kTx), "aborted");
  EXPECT_EQ(prepare(kTx), "aborted: told to abort");
  EXPECT_EQ(stock(), "100/0/0");
  const std::string unheard = gtrid_of(2);
  EXPECT_EQ(abort(unheard), "aborted") << "an abort may overtake everything";
  EXPECT_EQ(run(unheard, take(1, 3)), "conflict: this branch is aborted");
  EXPECT_EQ(prepare(unheard), "aborted: told to abort");
  restart();
  EXPECT_EQ(prepare(unheard), "aborted: told to abort");
}

// 12
TEST_F(ReservationTest, ABranchThatWroteNothingVotesReadOnlyAndKeepsNothing) {
  const Work look = [](BranchTx tx) -> Result<void> {
    HF_TRY(tx.sql.query("SELECT avail FROM stock WHERE item = 1"));
    return ok();
  };
  EXPECT_EQ(run(kTx, look), "ok");
  EXPECT_EQ(prepare(kTx), "read-only");
  EXPECT_EQ(prepare(kTx), "read-only") << "repeated: the same";
  EXPECT_EQ(rows(), 0);
  EXPECT_EQ(run(kTx, take(1, 1)), "conflict: this branch has voted");
}

// 13
TEST_F(ReservationTest, AFailedStatementAbortsTheBranchEvenIfTheWorkHidesIt) {
  const Work hides = [](BranchTx tx) -> Result<void> {
    HF_TRY(take(1, 1)(tx));
    (void)tx.sql.execute("UPDATE stock SET avail = -1 WHERE item = 1");
    return ok();
  };
  EXPECT_EQ(run(kTx, hides).substr(0, 9), "conflict:");
  EXPECT_EQ(run(kTx, take(1, 1)).substr(0, 9), "conflict:") << "and nothing more is taken in";
  EXPECT_EQ(prepare(kTx).substr(0, 8), "aborted:");
  EXPECT_EQ(stock(), "100/0/0");
}

// 13: the caller may go on as if it had not heard.
TEST_F(ReservationTest, ABranchOneOfWhoseCallsFailedVotesAborted) {
  EXPECT_EQ(run(kTx, take(1, 1)), "ok");
  EXPECT_EQ(run(kTx, take(2, 11)), "conflict: Insufficient stock!");
  EXPECT_EQ(prepare(kTx), "aborted: Insufficient stock!");
  EXPECT_EQ(prepare(kTx), "aborted: Insufficient stock!");
  restart();
  EXPECT_EQ(prepare(kTx), "aborted: Insufficient stock!");
}

// 14: what was there at the call is gone at prepare.
TEST_F(ReservationTest, AGuardThatFindsNothingAtPrepareVotesAborted) {
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(kTx, take(2, 6)), "ok");
  EXPECT_EQ(run(other, take(2, 6)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(prepare(other), "aborted: Insufficient stock!");
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(abort(other), "aborted");
  EXPECT_EQ(stock(2), "4/0/6");
}

TEST_F(ReservationTest, AnotherProcessThatPreparesTheSameWithAnotherRequestIsRefused) {
  const auto second = make_reservation_branches(loop_.world(), *db_, {.name = "inventory"}, settle_stock);
  ASSERT_TRUE(loop_.run_until_done(second->start()));
  EXPECT_EQ(run(kTx, take(1, 3), "three"), "ok");
  ASSERT_TRUE(loop_.run_until_done(second->run(kTx, "four", take(1, 4))));
  EXPECT_EQ(prepare(kTx), "prepared");
  const Result<Voted> theirs = loop_.run_until_done(second->prepare(kTx));
  ASSERT_FALSE(theirs);
  EXPECT_EQ(theirs.error().code, Code::conflict);
  EXPECT_EQ(stock(), "97/3/0");
  loop_.run_until_done(second->close());
}

TEST_F(ReservationTest, ABusyServiceRefusesEarlyAndTakesNoMoreOfThatTransaction) {
  close();
  open({.name = "inventory", .open_max = 1});
  EXPECT_EQ(run(kTx, take(1, 1)), "ok");
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(other, take(1, 1)), "exhausted: 1 branches are open at once");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(run(other, take(1, 1)), "conflict: a call in this transaction was refused");
  EXPECT_EQ(prepare(other), "not_found: Transaction-Unknown");
}

// 22: nothing of an active branch survives the process, so its prepare is not answered with a yes.
TEST_F(ReservationTest, AfterARestartAnActiveBranchIsUnknown) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  restart();
  EXPECT_EQ(prepare(kTx), "not_found: Transaction-Unknown");
  EXPECT_EQ(abort(kTx), "aborted");
}

// 23, 24, 25
TEST_F(ReservationTest, AfterARestartAVoteAndAnEndAreStillThere) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  restart();
  ASSERT_EQ(in_doubt().size(), 1U);
  EXPECT_EQ(in_doubt().front().gtrid, kTx);
  EXPECT_GT(in_doubt().front().prepared_at_us, 0);
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(commit(kTx), "committed");
  restart();
  EXPECT_TRUE(in_doubt().empty());
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
}

// 39
TEST_F(ReservationTest, AnOperatorsDecisionIsRecordedAndHeldAgainstTheCoordinators) {
  EXPECT_EQ(resolve(kTx, Decision::abort, "x"), "not_found: there is no such branch");
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(resolve(kTx, Decision::abort, "x"), "conflict: this branch is not in doubt");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(resolve(kTx, Decision::abort, "coordinator's disk is gone"), "aborted");
  EXPECT_EQ(stock(), "100/0/0");
  ASSERT_EQ(heuristics().size(), 1U);
  EXPECT_EQ(heuristics().front().decided, "");
  EXPECT_EQ(heuristics().front().found, "aborted");
  EXPECT_EQ(heuristics().front().reason, "coordinator's disk is gone");

  EXPECT_EQ(commit(kTx), "heuristic");
  EXPECT_EQ(commit(kTx), "heuristic") << "and again";
  EXPECT_EQ(stock(), "100/0/0");
  ASSERT_EQ(heuristics().size(), 1U);
  EXPECT_EQ(heuristics().front().decided, "commit");
  EXPECT_EQ(heuristics().front().reason, "coordinator's disk is gone");
  EXPECT_EQ(resolve(kTx, Decision::commit, "x"), "conflict: this branch is not in doubt");
}

TEST_F(ReservationTest, AnOperatorWhoWasRightLeavesARecordAndNoDamage) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(resolve(kTx, Decision::commit, "asked by phone"), "committed");
  EXPECT_EQ(commit(kTx), "committed");
  ASSERT_EQ(heuristics().size(), 1U);
  EXPECT_EQ(heuristics().front().decided, "commit");
  EXPECT_EQ(stock(), "97/0/3");
}

TEST_F(ReservationTest, AbortOfWhatAnOperatorCommittedIsDamage) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(resolve(kTx, Decision::commit, "asked by phone"), "committed");
  EXPECT_EQ(abort(kTx), "heuristic");
  EXPECT_EQ(heuristics().front().decided, "abort");
  EXPECT_EQ(heuristics().front().found, "committed");
}

// 44
TEST_F(ReservationTest, HostileIdsAreRefused) {
  const std::string hostile[] = {"", std::string(65, 'a'), "a b", "a'; DROP TABLE stock; --", "a/../b", "a\nb", "é"};
  for (const std::string& id : hostile) {
    EXPECT_EQ(run(id, take(1, 1)).substr(0, 8), "invalid:") << id;
    EXPECT_EQ(prepare(id).substr(0, 8), "invalid:") << id;
    EXPECT_EQ(commit(id).substr(0, 8), "invalid:") << id;
    EXPECT_EQ(abort(id).substr(0, 8), "invalid:") << id;
  }
  EXPECT_EQ(rows(), 0);
  EXPECT_EQ(run(std::string(64, 'a'), take(1, 1)), "ok");
}

TEST_F(ReservationTest, NamesThatNoBranchCanHaveAreRefused) {
  for (const std::string name : {"", "Inventory", "a b", "0123456789012345678901234567890123"}) {
    const auto branches = make_reservation_branches(loop_.world(), *db_, {.name = name}, settle_stock);
    const Result<void> started = loop_.run_until_done(branches->start());
    ASSERT_FALSE(started) << name;
    EXPECT_EQ(started.error().code, Code::invalid);
  }
}

// 42
TEST_F(ReservationTest, TheDatabaseSyncsBeforeItAnswers) {
  std::function<Result<std::int64_t>(sql::Transaction&)> ask = [](sql::Transaction& tx) -> Result<std::int64_t> {
    HF_TRY(const auto row, tx.query_one("PRAGMA synchronous"));
    return row->integer(0);
  };
  constexpr std::int64_t kFull = 2;
  EXPECT_EQ(*loop_.run_until_done(db_->write<std::int64_t>(std::move(ask))), kFull);
}

// 43: whatever fails at prepare or at the end, the branch's row and the resource stay together.
TEST_F(ReservationTest, BranchAndResourceChangeTogetherOrNotAtAll) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  ASSERT_TRUE(loop_.world().faults.arm("sql.before_commit=error:1"));
  EXPECT_EQ(prepare(kTx).substr(0, 11), "unavailable");
  EXPECT_EQ(rows(), 0);
  EXPECT_EQ(stock(), "100/0/0");
  loop_.world().faults.disarm_all();
  EXPECT_EQ(prepare(kTx), "prepared") << "asked again";
  ASSERT_TRUE(loop_.world().faults.arm("sql.before_commit=error:1"));
  EXPECT_EQ(commit(kTx).substr(0, 11), "unavailable");
  EXPECT_EQ(in_doubt().size(), 1U);
  EXPECT_EQ(stock(), "97/3/0");
  loop_.world().faults.disarm_all();
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
}

// 43: a settle that fails takes the branch's end with it.
TEST_F(ReservationTest, ASettleThatFailsLeavesTheBranchInDoubt) {
  close();
  db_ = std::move(*sql::open(loop_.world(), "sqlite:test.db", dir_));
  bool broken = true;
  const Settle settle = [&broken](BranchTx tx, Decision decision) -> Result<void> {
    HF_TRY(settle_stock(tx, decision));
    if (broken) return Error{Code::internal, "a defect"};
    return ok();
  };
  branches_ = make_reservation_branches(loop_.world(), *db_, {.name = "inventory"}, settle);
  ASSERT_TRUE(loop_.run_until_done(branches_->start()));
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(commit(kTx), "internal: a defect");
  EXPECT_EQ(in_doubt().size(), 1U);
  EXPECT_EQ(stock(), "97/3/0");
  broken = false;
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
}

TEST_F(ReservationTest, ManyBranchesOnTheLastUnitsSellNoMoreThanThereAre) {
  constexpr int kBuyers = 200;
  int prepared = 0;
  const auto buy = [&](int n) -> asio::awaitable<void> {
    const std::string gtrid = gtrid_of(n);
    if (!co_await branches_->run(gtrid, "{}", take(2, 1))) co_return;
    const Result<Voted> voted = co_await branches_->prepare(gtrid);
    if (!voted || voted->vote != Vote::prepared) co_return;
    ++prepared;
    EXPECT_TRUE(co_await branches_->end(gtrid, Decision::commit));
  };
  const auto all = [&]() -> asio::awaitable<void> {
    sys::TaskGroup buyers(loop_.executor(), loop_.world().clock);
    for (int n = 0; n < kBuyers; ++n) buyers.spawn("buyer", buy(n));
    co_await buyers.join();
  };
  loop_.run_until_done(all());
  EXPECT_EQ(prepared, 10);
  EXPECT_EQ(stock(2), "0/0/10");
}

// 42: twenty times: a child prepares and commits as fast as it can, is killed, and nothing it was told is gone.
struct Said {
  int number;
  char what;  // p: its prepare was answered, c: its commit was
};

[[noreturn]] void work_until_killed(const std::string& dir, int base, int pipe) {
  sys::Loop loop;
  auto db = std::move(*sql::open(loop.world(), "sqlite:test.db", dir));
  const auto branches = make_reservation_branches(loop.world(), *db, {.name = "inventory"}, settle_stock);
  HF_ASSERT(loop.run_until_done(branches->start()).has_value());
  const auto say = [pipe](int number, char what) {
    const Said said{number, what};
    HF_ASSERT(::write(pipe, &said, sizeof said) == sizeof said);
  };
  int next = base;
  const auto worker = [&]() -> asio::awaitable<void> {
    for (;;) {
      const int number = next++;
      const std::string gtrid = gtrid_of(number);
      HF_ASSERT((co_await branches->run(gtrid, "{}", take(1, 1))).has_value());
      HF_ASSERT((co_await branches->prepare(gtrid)).has_value());
      say(number, 'p');
      HF_ASSERT((co_await branches->end(gtrid, Decision::commit)).has_value());
      say(number, 'c');
    }
  };
  for (int i = 0; i < 8; ++i) asio::co_spawn(loop.executor(), worker(), asio::detached);
  loop.run();
  ::_exit(1);
}

std::map<int, char> run_and_kill(const std::string& dir, int base, std::size_t kill_after) {
  int pipe[2];
  HF_ASSERT(::pipe(pipe) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    work_until_killed(dir, base, pipe[1]);
  }
  ::close(pipe[1]);
  std::map<int, char> heard;
  std::size_t count = 0;
  for (Said said{}; ::read(pipe[0], &said, sizeof said) == sizeof said;) {
    heard[said.number] = said.what;
    if (++count == kill_after) ::kill(child, SIGKILL);
  }
  ::close(pipe[0]);
  HF_ASSERT(::waitpid(child, nullptr, 0) == child);
  return heard;
}

TEST(ReservationKillTest, TwentyKillsLoseNothing) {
  char name[] = "/tmp/hf_branches_XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const std::string dir = name;
  constexpr std::int64_t kStock = 1'000'000;
  {
    sys::Loop loop;
    auto db = std::move(*sql::open(loop.world(), "sqlite:test.db", dir));
    ASSERT_TRUE(run_statements(loop, *db, stock_tables()));
    ASSERT_TRUE(run_statements(loop, *db, {"UPDATE stock SET avail = 1000000 WHERE item = 1"}));
    loop.run_until_done(db->close());
  }
  for (int round = 0; round < 20; ++round) {
    const std::map<int, char> heard = run_and_kill(dir, round * 100'000, 1 + static_cast<std::size_t>(round) * 37);
    sys::Loop loop;
    auto db = std::move(*sql::open(loop.world(), "sqlite:test.db", dir));
    const auto branches = make_reservation_branches(loop.world(), *db, {.name = "inventory"}, settle_stock);
    ASSERT_TRUE(loop.run_until_done(branches->start()));
    for (const auto& [number, what] : heard) {
      const Result<std::optional<Voted>> vote = loop.run_until_done(branches->stored_vote(gtrid_of(number)));
      ASSERT_TRUE(vote && *vote) << number;
      if (what == 'c') EXPECT_EQ((**vote).vote, Vote::committed) << number;
    }
    EXPECT_EQ(number_of(loop, *db, "SELECT avail + reserved + sold FROM stock WHERE item = 1"), kStock);
    EXPECT_EQ(number_of(loop, *db, "SELECT reserved FROM stock WHERE item = 1"),
              number_of(loop, *db, "SELECT count(*) FROM branches WHERE state = 'prepared'"));
    EXPECT_EQ(number_of(loop, *db, "SELECT sold FROM stock WHERE item = 1"),
              number_of(loop, *db, "SELECT count(*) FROM branches WHERE state = 'committed'"));
    const Result<std::vector<InDoubt>> waiting = loop.run_until_done(branches->in_doubt());
    ASSERT_TRUE(waiting);
    for (const InDoubt& one : *waiting) {
      ASSERT_TRUE(loop.run_until_done(branches->end(one.gtrid, Decision::abort)));
    }
    EXPECT_EQ(number_of(loop, *db, "SELECT reserved FROM stock WHERE item = 1"), 0);
    loop.run_until_done(branches->close());
    loop.run_until_done(db->close());
    EXPECT_TRUE(loop.drain(30s));
  }
  std::filesystem::remove_all(dir);
}

// Time is simulated from here on.
class ReservationSimTest : public ::testing::Test {
 protected:
  ReservationSimTest() {
    db_ = std::move(*sql::open(sim_.world(), "sqlite:test.db", "/data"));
    branches_ = make_reservation_branches(sim_.world(), *db_, {.name = "inventory", .keep_ended = 1h}, settle_stock);
    std::function<Result<void>(sql::Transaction&)> create = [](sql::Transaction& tx) -> Result<void> {
      for (const std::string& statement : stock_tables()) HF_TRY(tx.execute(statement));
      return ok();
    };
    EXPECT_TRUE(sim_.run_until_done(db_->write(std::move(create))));
    EXPECT_TRUE(sim_.run_until_done(branches_->start()));
  }
  ~ReservationSimTest() override {
    sim_.run_until_done(branches_->close());
    sim_.run_until_done(db_->close());
  }
  std::size_t in_doubt() { return sim_.run_until_done(branches_->in_doubt())->size(); }

  sys::SimWorld sim_{7};
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Branches> branches_;
};

// 38: an active branch is given up, a prepared one never.
TEST_F(ReservationSimTest, TimeEndsWhatHasNotVotedAndNothingElse) {
  const std::string other = gtrid_of(2);
  ASSERT_TRUE(sim_.run_until_done(branches_->run(kTx, "{}", take(1, 3))));
  ASSERT_TRUE(sim_.run_until_done(branches_->run(other, "{}", take(1, 3))));
  ASSERT_TRUE(sim_.run_until_done(branches_->prepare(kTx)));
  sim_.run_for(5h);
  EXPECT_EQ(in_doubt(), 1U);
  const Result<Voted> late = sim_.run_until_done(branches_->prepare(other));
  EXPECT_FALSE(late) << "its tombstone is deleted after its time";
  EXPECT_EQ(*sim_.run_until_done(branches_->end(kTx, Decision::commit)), Ended::committed);
}

TEST_F(ReservationSimTest, WhatTimeEndedIsNotOpenedAgainByALateCall) {
  ASSERT_TRUE(sim_.run_until_done(branches_->run(kTx, "{}", take(1, 3))));
  sim_.run_for(62s);
  const Result<void> second = sim_.run_until_done(branches_->run(kTx, "{}", take(1, 1)));
  ASSERT_FALSE(second) << "half a transaction would commit";
  const Result<Voted> voted = sim_.run_until_done(branches_->prepare(kTx));
  ASSERT_TRUE(voted);
  EXPECT_EQ(voted->vote, Vote::aborted);
}

TEST_F(ReservationSimTest, EndedRowsAreKeptForTheirTimeAndThenDeleted) {
  ASSERT_TRUE(sim_.run_until_done(branches_->run(kTx, "{}", take(1, 3))));
  ASSERT_TRUE(sim_.run_until_done(branches_->prepare(kTx)));
  ASSERT_EQ(*sim_.run_until_done(branches_->end(kTx, Decision::commit)), Ended::committed);
  sim_.run_for(58min);
  EXPECT_EQ(*sim_.run_until_done(branches_->end(kTx, Decision::commit)), Ended::committed);
  sim_.run_for(5min);
  EXPECT_EQ(*sim_.run_until_done(branches_->end(kTx, Decision::commit)), Ended::unknown);
}

}  // namespace
}  // namespace hf::participant
