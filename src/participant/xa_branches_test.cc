/// On a real MariaDB. Numbers in comments: the checks of docs/protocols/two-phase-commit.md.

#include "participant/branches_fixture.h"
#include "sql/mysql/connection.h"
#include "sql/mysql/settings.h"
#include "sql/mysql/test_server.h"
#include "sql/mysql/torn_session.h"
#include "sql/xa.h"
#include "sys/wait.h"

namespace hf::participant {
namespace {

using sql::mysql::Connection;
using sql::mysql::test_server;

const std::string kTx = gtrid_of(1);

class XaBranchesTest : public BranchesTest {
 protected:
  XaBranchesTest() : url_(sql::mysql::fresh_url()) {
    open({.name = "inventory"}, url_);
    EXPECT_TRUE(loop_.run_until_done(db_->migrate("stock", {{1, "stock", stock_tables()}})));
  }
  ~XaBranchesTest() override {  // nothing prepared is left for the next test
    if (!db_) return;
    loop_.run_until_done(branches_->close());
    wait_until_detached();
    const auto left = loop_.run_until_done(db_->xa()->recover());
    EXPECT_TRUE(left);
    for (const sql::Xid& xid : *left) (void)loop_.run_until_done(db_->xa()->roll_back(xid));
  }
  std::unique_ptr<Branches> make(BranchConfig config) override {
    return make_xa_branches(loop_.world(), *db_, std::move(config));
  }
  void restart() {
    close();
    wait_until_detached();
    open({.name = "inventory"}, url_);
  }
  /// Until no prepared branch has a session any more. Who ends one earlier may be told OK for nothing (sql/xa.h).
  void wait_until_detached() { sql::mysql::wait_until_detached(loop_, *another_client()); }
  /// Another client of the same server.
  std::unique_ptr<Connection> another_client() {
    Result<std::unique_ptr<Connection>> client =
        Connection::open(*sql::mysql::parse_url(url_), sql::mysql::Purpose::write);
    EXPECT_TRUE(client) << client.error().to_string();
    return std::move(*client);
  }
  static void say(Connection& client, const std::string& statement) {
    const Result<void> done = client.control(statement);
    EXPECT_TRUE(done) << statement << ": " << done.error().to_string();
  }
  /// A branch that somebody else made, with its marker row, prepared.
  static std::string prepare_by_hand(const std::string& gtrid, const std::string& name) {
    return fmt::format(
        "XA START '{0}','{1}'; "
        "INSERT INTO branches (gtrid, bqual, state, payload_hash, life, reason, changed_at_us) "
        "VALUES ('{0}', '{1}', 'committed', '', '', '', 0); "
        "UPDATE stock SET avail = avail - 3, sold = sold + 3 WHERE item = 1; "
        "XA END '{0}','{1}'; XA PREPARE '{0}','{1}'",
        gtrid, name);
  }
  static void kill_and_start_the_server() {
    test_server().kill_now();
    test_server();
  }
  double outcomes(const std::string& outcome) {
    return loop_.world()
        .metrics
        .counter("holdfast_participant_branches_total", "", {{"participant", "inventory"}, {"outcome", outcome}})
        .value();
  }
  std::size_t prepared_at_server() { return loop_.run_until_done(db_->xa()->recover())->size(); }
  std::int64_t rows() { return number_of(loop_, *db_, "SELECT count(*) FROM branches"); }

  const std::string url_;
};

TEST_F(XaBranchesTest, TheWorkIsDoneInTheBranchAndSeenOnceItIsCommitted) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(stock(), "100/0/0");
  EXPECT_EQ(in_doubt().size(), 1U);
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
  EXPECT_TRUE(in_doubt().empty());
  EXPECT_EQ(rows(), 1);
}

// The server does not tell who prepared a branch: this life says so while it lasts, and nobody afterwards, until the
// marker is there.
TEST_F(XaBranchesTest, AVoteSaysWhoseItIsAsFarAsThatIsKnown) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  const std::string life = branches_->life();
  for (int i = 0; i < 2; ++i) {
    const Result<Voted> voted = loop_.run_until_done(branches_->prepare(kTx));
    ASSERT_TRUE(voted);
    EXPECT_EQ(voted->life, life);
  }
  restart();
  EXPECT_NE(branches_->life(), life);
  EXPECT_EQ(loop_.run_until_done(branches_->stored_vote(kTx)).value()->life, "");
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(loop_.run_until_done(branches_->stored_vote(kTx)).value()->life, life);
}

// An XA COMMIT of a process that died over it is still under way: not listed any more, its marker not visible yet.
TEST_F(XaBranchesTest, ACommitThatIsStillUnderWayIsWaitedForAndNotCalledLost) {
  const std::unique_ptr<Connection> dying = another_client();
  say(*dying, "START TRANSACTION");
  say(*dying, fmt::format("INSERT INTO branches (gtrid, bqual, state, payload_hash, life, reason, changed_at_us) "
                          "VALUES ('{}', 'inventory', 'committed', '', '', '', 0)",
                          kTx));
  EXPECT_TRUE(commit(kTx).starts_with("unavailable")) << "nobody can know yet";
  say(*dying, "COMMIT");
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_TRUE(loop_.run_until_done(branches_->heuristics())->empty());
}

TEST_F(XaBranchesTest, AbortLeavesNothingButATombstone) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(abort(kTx), "aborted");
  EXPECT_EQ(stock(), "100/0/0");
  EXPECT_EQ(prepared_at_server(), 0U);
  EXPECT_EQ(rows(), 1);
  EXPECT_EQ(run(kTx, take(1, 3)), "conflict: this branch is aborted");
}

// 9
TEST_F(XaBranchesTest, PrepareAndNotifyThreeTimesAnswerTheSameAndChangeOnce) {
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(run(other, take(2, 3)), "ok");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(prepare(kTx), "prepared");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(prepare(other), "prepared");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(abort(other), "aborted");
  EXPECT_EQ(stock(1), "97/0/3");
  EXPECT_EQ(stock(2), "10/0/0");
}

TEST_F(XaBranchesTest, SeveralCallsInOneBranchSeeOneAnother) {
  EXPECT_EQ(run(kTx, take(2, 6)), "ok");
  EXPECT_EQ(run(kTx, take(2, 6)), "conflict: Insufficient stock!");
  EXPECT_EQ(prepare(kTx), "aborted: Insufficient stock!");
  EXPECT_EQ(stock(2), "10/0/0");
}

// 10
TEST_F(XaBranchesTest, CommitBeforePrepareIsRefusedAndChangesNothing) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(commit(kTx), "not_prepared");
  EXPECT_EQ(prepare(kTx), "prepared");
}

// 11
TEST_F(XaBranchesTest, AbortBeforePrepareLeavesATombstone) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(abort(kTx), "aborted");
  EXPECT_EQ(prepare(kTx), "aborted: told to abort");
  const std::string unheard = gtrid_of(2);
  EXPECT_EQ(abort(unheard), "aborted");
  EXPECT_EQ(run(unheard, take(1, 3)), "conflict: this branch is aborted");
  restart();
  EXPECT_EQ(prepare(unheard), "aborted: told to abort");
  EXPECT_EQ(run(gtrid_of(3), take(1, 100)), "ok") << "and no lock is left";
}

// 12
TEST_F(XaBranchesTest, ABranchThatWroteNothingVotesReadOnlyAndKeepsNothing) {
  const Work look = [](BranchTx tx) -> Result<void> {
    HF_TRY(tx.sql.query("SELECT avail FROM stock WHERE item = 1 FOR UPDATE"));
    return ok();
  };
  EXPECT_EQ(run(kTx, look), "ok");
  EXPECT_EQ(prepare(kTx), "read-only");
  EXPECT_EQ(prepare(kTx), "read-only");
  EXPECT_EQ(prepared_at_server(), 0U);
  EXPECT_EQ(rows(), 0);
  EXPECT_EQ(run(gtrid_of(2), take(1, 1)), "ok") << "its lock is given back";
}

// 13: the server alone would prepare and commit the first statement.
TEST_F(XaBranchesTest, AFailedStatementAbortsTheBranchEvenIfTheWorkHidesIt) {
  const Work hides = [](BranchTx tx) -> Result<void> {
    HF_TRY(take(1, 1)(tx));
    (void)tx.sql.execute("INSERT INTO stock VALUES (1, 0, 0, 0)");
    return ok();
  };
  EXPECT_EQ(run(kTx, hides).substr(0, 9), "conflict:");
  EXPECT_EQ(prepare(kTx).substr(0, 8), "aborted:");
  EXPECT_EQ(stock(), "100/0/0");
  EXPECT_EQ(prepared_at_server(), 0U);
}

// 14
TEST_F(XaBranchesTest, AGuardThatFindsNothingVotesAborted) {
  EXPECT_EQ(run(kTx, take(2, 11)), "conflict: Insufficient stock!");
  EXPECT_EQ(run(kTx, take(2, 1)).substr(0, 9), "conflict:");
  EXPECT_EQ(prepare(kTx), "aborted: Insufficient stock!");
  EXPECT_EQ(stock(2), "10/0/0");
}

TEST_F(XaBranchesTest, ARowThatAnotherBranchHoldsIsWaitedForAndThenGivenUp) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(other, take(1, 3)).substr(0, 11), "unavailable");
  EXPECT_EQ(prepare(other).substr(0, 8), "aborted:");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
}

// 15
TEST_F(XaBranchesTest, ADeadlockAbortsOneBranchAndTheOtherGoesOn) {
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(kTx, take(1, 1)), "ok");
  EXPECT_EQ(run(other, take(2, 1)), "ok");
  std::vector<std::string> answers;
  const auto cross = [&](std::string gtrid, std::int64_t item) -> asio::awaitable<void> {
    Work work = take(item, 1);
    const Result<void> done = co_await branches_->run(gtrid, "{}", std::move(work));
    answers.push_back(done ? "ok" : std::string(to_string(done.error().code)));
  };
  const auto both = [&]() -> asio::awaitable<void> {
    sys::TaskGroup tasks(loop_.executor(), loop_.world().clock);
    tasks.spawn("one", cross(kTx, 2));
    tasks.spawn("other", cross(other, 1));
    co_await tasks.join();
  };
  loop_.run_until_done(both());
  std::ranges::sort(answers);
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0], "ok");
  EXPECT_NE(answers[1], "ok");
  const std::string one = prepare(kTx), two = prepare(other);
  EXPECT_NE(one == "prepared", two == "prepared") << one << ", " << two;
  EXPECT_EQ(commit(one == "prepared" ? kTx : other), "committed");
  EXPECT_EQ(stock(1), "99/0/1");
  EXPECT_EQ(stock(2), "9/0/1");
  EXPECT_EQ(prepared_at_server(), 0U);
}

// 22, 24, 25
TEST_F(XaBranchesTest, AfterARestartVotesAreThereAndActiveBranchesAreNot) {
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(run(other, take(2, 3)), "ok");
  restart();
  EXPECT_EQ(prepare(other), "not_found: Transaction-Unknown");
  ASSERT_EQ(in_doubt().size(), 1U);
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(commit(kTx), "committed");
  restart();
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(1), "97/0/3");
  EXPECT_EQ(stock(2), "10/0/0");
}

// 28
TEST_F(XaBranchesTest, AServerKilledAfterPrepareListsTheBranchAndCommitsIt) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(other, take(2, 3)), "ok");
  sql::mysql::LocalServer& server = test_server();
  server.kill_now();
  EXPECT_EQ(commit(kTx).substr(0, 8), "timeout:") << "on its own session, for all it knows";
  EXPECT_EQ(commit(kTx).substr(0, 12), "unavailable:");
  ASSERT_TRUE(server.start_again());
  ASSERT_EQ(in_doubt().size(), 1U);
  EXPECT_EQ(in_doubt().front().gtrid, kTx);
  EXPECT_EQ(prepare(other).substr(0, 8), "aborted:") << "what had not voted is gone with the server";
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(1), "97/0/3");
  EXPECT_EQ(stock(2), "10/0/0");
}

// 29
TEST_F(XaBranchesTest, AServerThatForgetsIsRefusedAtStart) {
  const auto client = another_client();
  loop_.run_until_done(branches_->close());
  for (const int setting : {0, 2}) {
    say(*client, fmt::format("SET GLOBAL innodb_flush_log_at_trx_commit = {}", setting));
    const Result<std::unique_ptr<sql::Database>> opened = sql::open(loop_.world(), url_, dir_);
    EXPECT_FALSE(opened);
    branches_ = make({.name = "inventory"});  // on connections that were opened before
    const Result<void> started = loop_.run_until_done(branches_->start());
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Code::denied);
    for (const Error& error : {opened.error(), started.error()}) {
      EXPECT_NE(error.message.find("innodb_flush_log_at_trx_commit"), std::string::npos) << error.message;
    }
  }
  say(*client, "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
}

// 30
TEST_F(XaBranchesTest, WhileItsOwnerIsConnectedABranchIsAskedForAgainAndNotCountedAsDone) {
  auto owner = another_client();
  say(*owner, prepare_by_hand(kTx, "inventory"));
  EXPECT_EQ(commit(kTx).substr(0, 11), "unavailable");
  EXPECT_EQ(in_doubt().size(), 1U);
  EXPECT_TRUE(heuristics().empty());
  owner.reset();
  wait_until_detached();
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
}

// Whoever believed the server's OK here would acknowledge a commit that was not done (sql/xa.h). Then the server would
// be restarted, list the branch, and everybody would call it lost.
TEST_F(XaBranchesTest, AnAcknowledgedCommitThatWasNotDoneIsNeitherAcknowledgedNorCalledLost) {
  const sql::mysql::TornSession owner(*sql::mysql::parse_url(url_), prepare_by_hand(kTx, "inventory"));
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(commit(kTx).starts_with("unavailable: the database server acknowledged")) << i;
  EXPECT_EQ(stock(), "100/0/0");
  EXPECT_EQ(outcomes("stuck"), 1);
  EXPECT_TRUE(heuristics().empty());
  kill_and_start_the_server();
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_EQ(stock(), "97/0/3");
  EXPECT_TRUE(heuristics().empty());
}

// The same for who comes later and knows nothing of that OK: the branch's marker is still under way.
TEST_F(XaBranchesTest, WhatIsStuckIsNotCalledLostByASuccessor) {
  const sql::mysql::TornSession owner(*sql::mysql::parse_url(url_), prepare_by_hand(kTx, "inventory"));
  say(*another_client(), fmt::format("XA COMMIT '{}','inventory'", kTx));
  EXPECT_TRUE(commit(kTx).starts_with("unavailable"));
  EXPECT_TRUE(heuristics().empty());
  kill_and_start_the_server();
  EXPECT_EQ(commit(kTx), "committed");
}

TEST_F(XaBranchesTest, ARollbackThatWasNotDoneIsNotAcknowledged) {
  const sql::mysql::TornSession owner(*sql::mysql::parse_url(url_), prepare_by_hand(kTx, "inventory"));
  EXPECT_TRUE(abort(kTx).starts_with("unavailable"));
  kill_and_start_the_server();
  EXPECT_EQ(abort(kTx), "aborted");
  EXPECT_EQ(stock(), "100/0/0");
  EXPECT_EQ(run(gtrid_of(2), take(1, 3)), "ok") << "no lock is left";
}

// 31, first half
TEST_F(XaBranchesTest, ABranchThatSomebodyCommittedIsDoneByItsMarker) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  restart();
  say(*another_client(), fmt::format("XA COMMIT '{}','inventory'", kTx));
  EXPECT_EQ(commit(kTx), "committed");
  EXPECT_TRUE(heuristics().empty());
  EXPECT_EQ(abort(kTx), "heuristic") << "and an abort of it is damage";
  ASSERT_EQ(heuristics().size(), 1U);
  EXPECT_EQ(heuristics().front().found, "committed");
}

// 31, second half
TEST_F(XaBranchesTest, ABranchThatIsGoneWithoutAMarkerIsDamage) {
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  restart();
  say(*another_client(), fmt::format("XA ROLLBACK '{}','inventory'", kTx));
  EXPECT_EQ(commit(kTx), "heuristic");
  EXPECT_EQ(commit(kTx), "heuristic");
  ASSERT_EQ(heuristics().size(), 1U);
  EXPECT_EQ(heuristics().front().decided, "commit");
  EXPECT_EQ(heuristics().front().found, "aborted");
  EXPECT_EQ(outcomes("heuristic"), 1);
  EXPECT_EQ(stock(), "100/0/0");
}

// 32
TEST_F(XaBranchesTest, WhatOthersPreparedIsNotTouched) {
  say(*another_client(), prepare_by_hand(kTx, "payment"));
  restart();
  EXPECT_TRUE(in_doubt().empty());
  EXPECT_EQ(resolve(kTx, Decision::abort, "x"), "not_found: there is no such branch");
  EXPECT_EQ(abort(kTx), "aborted") << "of ours, which never was";
  EXPECT_EQ(prepared_at_server(), 1U);
}

// 33
TEST_F(XaBranchesTest, TwoWhoCommitAtOnceAreBothTold) {
  const auto second = make({.name = "inventory"});
  ASSERT_TRUE(loop_.run_until_done(second->start()));
  for (int n = 1; n <= 10; ++n) {
    const std::string gtrid = gtrid_of(n);
    say(*another_client(), prepare_by_hand(gtrid, "inventory"));
    wait_until_detached();
    std::vector<std::string> answers;
    // Who meets the other one in the midst of it is `unavailable` after half a second, and asked again (branches.h).
    const auto end_by = [&](Branches& branches) -> asio::awaitable<void> {
      sys::Clock& clock = loop_.world().clock;
      std::string answer = spell(co_await branches.end(gtrid, Decision::commit));
      for (const Monotonic limit = clock.now() + 30s; answer.starts_with("unavailable") && clock.now() < limit;) {
        co_await clock.sleep_for(20ms);
        answer = spell(co_await branches.end(gtrid, Decision::commit));
      }
      answers.push_back(answer);
    };
    const auto both = [&]() -> asio::awaitable<void> {
      sys::TaskGroup tasks(loop_.executor(), loop_.world().clock);
      tasks.spawn("one", end_by(*branches_));
      tasks.spawn("other", end_by(*second));
      co_await tasks.join();
    };
    loop_.run_until_done(both());
    EXPECT_EQ(answers, (std::vector<std::string>{"committed", "committed"}));
  }
  EXPECT_EQ(stock(), "70/0/30");
  EXPECT_TRUE(heuristics().empty());
  loop_.run_until_done(second->close());
}

// 39
TEST_F(XaBranchesTest, AnOperatorsDecisionIsRecordedAndHeldAgainstTheCoordinators) {
  EXPECT_EQ(resolve(kTx, Decision::abort, "x"), "not_found: there is no such branch");
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(resolve(kTx, Decision::abort, "x"), "conflict: this branch is not in doubt");
  EXPECT_EQ(prepare(kTx), "prepared");
  EXPECT_EQ(resolve(kTx, Decision::abort, "coordinator's disk is gone"), "aborted");
  EXPECT_EQ(commit(kTx), "heuristic");
  ASSERT_EQ(heuristics().size(), 1U);
  EXPECT_EQ(heuristics().front().decided, "commit");
  EXPECT_EQ(heuristics().front().reason, "coordinator's disk is gone");
  const std::string other = gtrid_of(2);
  EXPECT_EQ(run(other, take(1, 3)), "ok");
  EXPECT_EQ(prepare(other), "prepared");
  EXPECT_EQ(resolve(other, Decision::commit, "by phone"), "committed");
  EXPECT_EQ(commit(other), "committed");
  EXPECT_EQ(heuristics().size(), 2U);
  EXPECT_EQ(stock(), "97/0/3");
}

// A PREPARE whose answer was lost, carried out after we had voted no.
TEST_F(XaBranchesTest, ABranchPreparedAfterWeVotedNoIsRolledBack) {
  close();
  {
    auto owner = another_client();
    say(*owner, fmt::format("XA START '{}','inventory'", kTx));
    say(*owner, "UPDATE stock SET avail = avail - 3, sold = sold + 3 WHERE item = 1");
    say(*owner, fmt::format("XA END '{}','inventory'", kTx));
    say(*owner, fmt::format("XA PREPARE '{}','inventory'", kTx));
    say(*another_client(),
        fmt::format("INSERT INTO branches (gtrid, bqual, state, payload_hash, life, reason, changed_at_us) "
                    "VALUES ('{}', 'inventory', 'aborted', '', '', 'no answer', 0)",
                    kTx));
  }
  wait_until_detached();
  open({.name = "inventory"}, url_);
  EXPECT_TRUE(in_doubt().empty()) << "it is decided";
  EXPECT_TRUE(eventually([&] { return prepared_at_server() == 0; })) << "it looks every 5 s";
  EXPECT_EQ(stock(), "100/0/0");
}

TEST_F(XaBranchesTest, AnActiveBranchIsGivenUpAfterItsTimeAndItsLocksAreFree) {
  close();
  open({.name = "inventory", .active_max = 100ms}, url_);
  EXPECT_EQ(run(kTx, take(1, 3)), "ok");
  EXPECT_TRUE(eventually([&] { return rows() > 0; }));
  EXPECT_EQ(run(kTx, take(1, 3)), "conflict: this branch is aborted");
  EXPECT_EQ(prepare(kTx), "aborted: no prepare came in time");
  EXPECT_EQ(run(gtrid_of(2), take(1, 3)), "ok");
}

// 28: killed at any moment under load, the server keeps what was acknowledged; sums stay.
TEST_F(XaBranchesTest, ThreeKillsOfTheServerUnderLoadLoseNothing) {
  constexpr int kWorkers = 6, kItems = 6;
  for (int item = 11; item < 11 + kItems; ++item) {
    EXPECT_TRUE(run_statements(loop_, *db_, {fmt::format("INSERT INTO stock VALUES ({}, 100000, 0, 0)", item)}));
  }
  int next = 1;
  std::set<std::string> voted, committed;
  const auto worker = [&](int item) -> asio::awaitable<void> {
    for (;;) {
      const std::string gtrid = gtrid_of(next++);
      Work work = take(item, 1);
      if (!co_await branches_->run(gtrid, "{}", std::move(work))) co_return;
      const Result<Voted> vote = co_await branches_->prepare(gtrid);
      if (!vote || vote->vote != Vote::prepared) co_return;
      voted.insert(gtrid);
      if (const Result<Ended> ended = co_await branches_->end(gtrid, Decision::commit); !ended) co_return;
      committed.insert(gtrid);
    }
  };
  sql::mysql::LocalServer& server = test_server();
  for (int round = 0; round < 3; ++round) {
    const auto load = [&]() -> asio::awaitable<void> {
      sys::Clock& clock = loop_.world().clock;
      sys::TaskGroup tasks(loop_.executor(), clock);
      for (int i = 0; i < kWorkers; ++i) tasks.spawn("worker", worker(11 + i % kItems));
      // By what is done, not by time: a slow machine would be killed before it had done anything.
      const std::size_t wanted = committed.size() + 10 + loop_.world().random.below(40);
      EXPECT_TRUE(co_await sys::eventually(clock, [&] { return committed.size() >= wanted; }))
          << "the server is there, and nothing is committed";
      server.kill_now();
      co_await tasks.join();
    };
    loop_.run_until_done(load());
    ASSERT_TRUE(server.start_again());
    restart();
    for (const std::string& gtrid : voted) EXPECT_EQ(commit(gtrid), "committed") << gtrid;
    for (const InDoubt& one : in_doubt()) {
      EXPECT_FALSE(voted.contains(one.gtrid));
      EXPECT_EQ(abort(one.gtrid), "aborted") << "prepared, and nobody heard: presumed aborted";
    }
    EXPECT_EQ(number_of(loop_, *db_, "SELECT sum(sold) FROM stock WHERE item > 10"),
              static_cast<std::int64_t>(voted.size()));
    EXPECT_TRUE(heuristics().empty());
  }
}

}  // namespace
}  // namespace hf::participant
