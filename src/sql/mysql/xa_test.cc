#include "sql/xa.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "sql/mysql/mysql_test.h"
#include "sql/mysql/torn_session.h"
#include "sql/mysql/xa.h"

namespace hf::sql::mysql {
namespace {

using Branch = std::unique_ptr<XaBranch>;

class XaTest : public MysqlTest {
 protected:
  explicit XaTest(const std::string& options = "") : MysqlTest(options) {}
  void SetUp() override {
    ASSERT_TRUE(open());
    ASSERT_TRUE(create({"CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)"}));
    ASSERT_TRUE(execute("INSERT INTO account VALUES (1, 100), (2, 100)"));
    ASSERT_NE(db_->xa(), nullptr);
  }
  void TearDown() override {  // nothing prepared is left for the next test
    if (!db_) return;
    wait_until_detached(loop_, *another_client());
    const auto left = run(db_->xa()->recover());
    ASSERT_TRUE(left);
    for (const Xid& xid : *left) (void)run(db_->xa()->roll_back(xid));
  }

  Result<Branch> start(Xid xid) { return run(db_->xa()->start(std::move(xid))); }
  Result<std::int64_t> execute_in(XaBranch& branch, std::string sql, Params params = {}) {
    std::function<Result<std::int64_t>(Transaction&)> work = [sql, params](Transaction& tx) {
      return tx.execute(sql, params);
    };
    return run(branch.run<std::int64_t>(std::move(work)));
  }
  Result<std::int64_t> take(XaBranch& branch, int account, int amount) {
    return execute_in(branch, "UPDATE account SET amount = amount - ? WHERE id = ? AND amount >= ?",
                      {amount, account, amount});
  }
  /// A branch that took `amount` and voted.
  Branch prepared(const Xid& xid, int amount) {
    Result<Branch> branch = start(xid);
    EXPECT_TRUE(branch) << branch.error().to_string();
    EXPECT_EQ(*take(**branch, 1, amount), 1);
    const auto vote = run((*branch)->prepare());
    EXPECT_TRUE(vote) << vote.error().to_string();
    EXPECT_EQ(*vote, XaVote::prepared);
    EXPECT_TRUE((*branch)->attached());
    return std::move(*branch);
  }
  /// The same, and its owner is gone.
  void prepare(const Xid& xid, int amount) {
    prepared(xid, amount).reset();
    wait_until_detached(loop_, *another_client());
  }
  /// The same database for a user whom `read_only` stops.
  std::unique_ptr<Database> open_as_clerk(Connection& root) {
    EXPECT_TRUE(
        root.control("CREATE USER IF NOT EXISTS clerk@localhost; GRANT ALL ON *.* TO clerk@localhost; "
                     "REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM clerk@localhost"));
    std::string url = url_;
    url.replace(url.find("root"), 4, "clerk");
    Result<std::unique_ptr<Database>> clerk = sql::open(loop_.world(), url, dir_);
    EXPECT_TRUE(clerk) << clerk.error().to_string();
    return std::move(*clerk);
  }
  Result<XaEnd> commit(const Xid& xid) { return run(db_->xa()->commit(xid)); }
  Result<XaEnd> roll_back(const Xid& xid) { return run(db_->xa()->roll_back(xid)); }
  bool listed(const Xid& xid) {
    const auto all = run(db_->xa()->recover());
    EXPECT_TRUE(all) << all.error().to_string();
    return all && std::ranges::find(*all, xid) != all->end();
  }
  std::int64_t amount() { return number("SELECT amount FROM account WHERE id = 1"); }
};

/// The usual way, and the only one by which the server's OK can be taken at its word.
TEST_F(XaTest, ItsOwnSessionEndsABranchAndIsUsedAgain) {
  const Xid xid{"hf1.c1.1.own", "payment"};
  const Branch branch = prepared(xid, 30);
  EXPECT_EQ(*commit(xid), XaEnd::attached) << "to others it is not there yet";
  EXPECT_EQ(*run(branch->commit_prepared()), XaEnd::done);
  EXPECT_EQ(amount(), 70);
  EXPECT_FALSE(branch->attached());
  EXPECT_EQ(run(branch->commit_prepared()).error().code, Code::unavailable) << "it has nothing to say any more";
  EXPECT_EQ(*run(prepared(xid, 30)->roll_back_prepared()), XaEnd::done);
  EXPECT_EQ(amount(), 70);
  const auto watcher = another_client();
  const auto sessions = [&] {  // the server takes its time to forget one that was closed
    return watcher->control_query(
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()");
  };
  EXPECT_TRUE(eventually([&] { return sessions()->size() <= 4; }))
      << "writer, reader, and one each for branches and for ending those of others; not " << sessions()->size();
}

/// What the rule of sql/xa.h comes from. COM_RESET_CONNECTION leaves a session for good where its end is for some
/// microseconds: the branch is everybody's for the server, and still the session's for InnoDB.
TEST_F(XaTest, AnOkWhileTheOwnersSessionIsTakenDownIsWorthNothing) {
  const Xid xid{"hf1.c1.1.torn", "payment"};
  const TornSession owner(*parse_url(url_),
                          "XA START 'hf1.c1.1.torn','payment'; UPDATE account SET amount = 70 WHERE id = 1; "
                          "XA END 'hf1.c1.1.torn','payment'; XA PREPARE 'hf1.c1.1.torn','payment'");
  EXPECT_EQ(*commit(xid), XaEnd::done);
  EXPECT_EQ(amount(), 100) << "nothing was done";
  EXPECT_FALSE(listed(xid));
  EXPECT_EQ(execute("UPDATE account SET amount = 0 WHERE id = 1").error().code, Code::unavailable) << "row lock";
  test_server().kill_now();
  test_server();
  EXPECT_TRUE(listed(xid));
  EXPECT_EQ(*commit(xid), XaEnd::done);
  EXPECT_EQ(amount(), 70);
}

TEST_F(XaTest, ABranchThatLostItsSessionIsForOthersToEnd) {
  const Xid xid{"hf1.c1.1.lost", "payment"};
  const Branch branch = prepared(xid, 30);
  kill_sessions(*another_client());
  EXPECT_EQ(run(branch->commit_prepared()).error().code, Code::timeout) << "for all it knows";
  EXPECT_FALSE(branch->attached());
  wait_until_detached(loop_, *another_client());
  EXPECT_EQ(*commit(xid), XaEnd::done);
  EXPECT_EQ(amount(), 70);
}

TEST_F(XaTest, PreparedThenCommitted) {
  const Xid xid{"hf1.c1.1.a", "payment"};
  prepare(xid, 30);
  EXPECT_TRUE(listed(xid));
  EXPECT_EQ(amount(), 100);
  EXPECT_EQ(*commit(xid), XaEnd::done);
  EXPECT_EQ(amount(), 70);
  EXPECT_FALSE(listed(xid));
  EXPECT_EQ(*commit(xid), XaEnd::absent) << "a second commit is harmless, and says that it cannot tell";
  EXPECT_EQ(*roll_back(xid), XaEnd::absent);
  EXPECT_EQ(amount(), 70);
}

TEST_F(XaTest, PreparedThenRolledBack) {
  const Xid xid{"hf1.c1.1.b", ""};
  prepare(xid, 30);
  EXPECT_EQ(*roll_back(xid), XaEnd::done);
  EXPECT_EQ(amount(), 100);
}

TEST_F(XaTest, RolledBackBeforePrepareIsNeverListed) {
  Result<Branch> branch = start({"hf1.c1.1.c", "payment"});
  ASSERT_TRUE(branch);
  ASSERT_EQ(*take(**branch, 1, 30), 1);
  EXPECT_TRUE(run((*branch)->roll_back()));
  EXPECT_FALSE(listed({"hf1.c1.1.c", "payment"}));
  EXPECT_EQ(amount(), 100);
  EXPECT_EQ(run((*branch)->prepare()).error().code, Code::conflict) << "it has ended";
  EXPECT_EQ(execute_in(**branch, "DELETE FROM account").error().code, Code::conflict);
  prepare({"hf1.c1.1.c", "payment"}, 1);
}

TEST_F(XaTest, DestroyedBeforePrepareRollsBack) {
  {
    Result<Branch> branch = start({"hf1.c1.1.d", "payment"});
    ASSERT_TRUE(branch);
    ASSERT_EQ(*take(**branch, 1, 30), 1);
  }
  EXPECT_TRUE(execute("UPDATE account SET amount = amount - 1 WHERE id = 1")) << "its locks are free";
  EXPECT_EQ(amount(), 99);
  EXPECT_FALSE(listed({"hf1.c1.1.d", "payment"}));
}

TEST_F(XaTest, ABranchThatWroteNothingIsReadOnly) {
  Result<Branch> branch = start({"hf1.c1.1.e", "payment"});
  ASSERT_TRUE(branch);
  EXPECT_EQ(*take(**branch, 1, 1000), 0);
  std::function<Result<Rows>(Transaction&)> look = [](Transaction& tx) {
    return tx.query("SELECT amount FROM account WHERE id = 1 FOR UPDATE");
  };
  ASSERT_TRUE(run((*branch)->run<Rows>(look)));
  const auto vote = run((*branch)->prepare());
  ASSERT_TRUE(vote);
  EXPECT_EQ(*vote, XaVote::read_only);
  EXPECT_FALSE(listed({"hf1.c1.1.e", "payment"}));
}

/// Row B14, checklist 13: MariaDB alone would commit the first statement.
TEST_F(XaTest, AFailedStatementLeavesNothingOfTheOthers) {
  Result<Branch> branch = start({"hf1.c1.1.f", "payment"});
  ASSERT_TRUE(branch);
  ASSERT_EQ(*take(**branch, 1, 30), 1);
  std::function<Result<int>(Transaction&)> hides_it = [](Transaction& tx) -> Result<int> {
    if (tx.execute("INSERT INTO account VALUES (2, 0)")) return 1;
    return 2;  // as if nothing had happened
  };
  const Result<int> second = run((*branch)->run<int>(hides_it));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::conflict);
  EXPECT_EQ(take(**branch, 2, 1).error().code, Code::conflict) << "nothing runs after it";
  const auto vote = run((*branch)->prepare());
  ASSERT_FALSE(vote);
  EXPECT_EQ(vote.error().code, Code::conflict);
  EXPECT_FALSE(listed({"hf1.c1.1.f", "payment"}));
  EXPECT_EQ(amount(), 100);
}

TEST_F(XaTest, AnErrorOfTheWorkIsAFailureOfTheBranch) {
  Result<Branch> branch = start({"hf1.c1.1.g", "payment"});
  ASSERT_TRUE(branch);
  std::function<Result<void>(Transaction&)> refuses = [](Transaction& tx) -> Result<void> {
    HF_TRY(tx.execute("UPDATE account SET amount = 0"));
    return Error{Code::conflict, "Insufficient balance!"};
  };
  EXPECT_EQ(run((*branch)->run(refuses)).error().message, "Insufficient balance!");
  EXPECT_EQ(run((*branch)->prepare()).error().code, Code::conflict);
  EXPECT_EQ(amount(), 100);
}

TEST_F(XaTest, InsertIfAbsentIsNoFailure) {
  Result<Branch> branch = start({"hf1.c1.1.h", "payment"});
  ASSERT_TRUE(branch);
  std::function<Result<bool>(Transaction&)> insert = [](Transaction& tx) {
    return tx.insert_if_absent("INSERT INTO account VALUES (?, 0)", {2});
  };
  const Result<bool> inserted = run((*branch)->run<bool>(insert));
  ASSERT_TRUE(inserted) << inserted.error().to_string();
  EXPECT_FALSE(*inserted);
  ASSERT_EQ(*take(**branch, 1, 5), 1);
  EXPECT_EQ(*run((*branch)->prepare()), XaVote::prepared);
  EXPECT_EQ(*run((*branch)->commit_prepared()), XaEnd::done);
  EXPECT_EQ(amount(), 95);
}

TEST_F(XaTest, ALockWaitFailsTheBranchAndNothingElse) {
  prepare({"hf1.c1.1.i", "payment"}, 30);  // keeps the row
  Result<Branch> second = start({"hf1.c1.1.j", "payment"});
  ASSERT_TRUE(second);
  ASSERT_EQ(*take(**second, 2, 10), 1);
  const auto waits = take(**second, 1, 10);
  ASSERT_FALSE(waits);
  EXPECT_EQ(waits.error().code, Code::unavailable) << waits.error().to_string();
  EXPECT_EQ(run((*second)->prepare()).error().code, Code::conflict);
  EXPECT_EQ(*commit({"hf1.c1.1.i", "payment"}), XaEnd::done);
  EXPECT_EQ(amount(), 70);
  EXPECT_EQ(number("SELECT amount FROM account WHERE id = 2"), 100);
}

TEST_F(XaTest, ADeadlockLeavesOneBranchAlive) {
  // One that had waited for 1 s before the other begins to would be given up for that, and then the other, too.
  ASSERT_TRUE(reopen("lock_timeout_ms=9000"));
  Result<Branch> a = start({"hf1.c1.1.k", "a"}), b = start({"hf1.c1.1.k", "b"});
  ASSERT_TRUE(a);
  ASSERT_TRUE(b);
  ASSERT_EQ(*take(**a, 1, 1), 1);
  ASSERT_EQ(*take(**b, 2, 1), 1);
  std::optional<Result<std::int64_t>> results[2];
  auto cross = [](XaBranch& branch, int account, std::optional<Result<std::int64_t>>& out) -> asio::awaitable<void> {
    std::function<Result<std::int64_t>(Transaction&)> work = [account](Transaction& tx) {
      return tx.execute("UPDATE account SET amount = amount - 1 WHERE id = ?", {account});
    };
    out.emplace(co_await branch.run<std::int64_t>(std::move(work)));
  };
  asio::co_spawn(loop_.executor(), cross(**a, 2, results[0]), asio::detached);
  asio::co_spawn(loop_.executor(), cross(**b, 1, results[1]), asio::detached);
  ASSERT_TRUE(loop_.drain(30s));
  ASSERT_TRUE(results[0] && results[1]);
  EXPECT_NE(results[0]->has_value(), results[1]->has_value()) << "exactly one is the victim";
  const bool a_lives = results[0]->has_value();
  EXPECT_EQ(run((a_lives ? *b : *a)->prepare()).error().code, Code::conflict);
  EXPECT_EQ(*run((a_lives ? *a : *b)->prepare()), XaVote::prepared);
  EXPECT_EQ(*run((a_lives ? *a : *b)->commit_prepared()), XaEnd::done);
  EXPECT_EQ(amount(), 99);
}

TEST_F(XaTest, IdsThatExistAndIdsThatAreHostile) {
  const Xid xid{"hf1.c1.1.l", "payment"};
  prepare(xid, 1);
  EXPECT_EQ(start(xid).error().code, Code::conflict);
  for (const Xid& hostile : {Xid{"", "b"}, Xid{"a'b", "c"}, Xid{"a", "b\"c"}, Xid{"a b", ""}, Xid{"a\\", ""},
                             Xid{"ü", ""}, Xid{std::string(65, 'x'), ""}, Xid{"a", std::string(65, 'x')}}) {
    EXPECT_EQ(start(hostile).error().code, Code::invalid) << hostile.gtrid;
    EXPECT_EQ(commit(hostile).error().code, Code::invalid) << hostile.gtrid;
  }
  const Xid longest{std::string(64, 'g'), std::string(64, 'b')};
  EXPECT_EQ(*roll_back(xid), XaEnd::done);
  prepare(longest, 1);
  EXPECT_TRUE(listed(longest));
  EXPECT_EQ(*roll_back(longest), XaEnd::done);
}

TEST_F(XaTest, WhereTheIdIsSplitCounts) {
  prepare({"a", "bc"}, 1);
  EXPECT_EQ(*commit({"ab", "c"}), XaEnd::absent);
  EXPECT_TRUE(listed({"a", "bc"}));
  EXPECT_EQ(*commit({"a", "bc"}), XaEnd::done);
}

/// The server refuses (1397) although it lists the branch, until its owner's session has ended.
TEST_F(XaTest, ABranchWhoseOwnerIsConnectedIsAttached) {
  const Xid xid{"hf1.c1.1.m", "payment"};
  const auto owner = another_client();
  ASSERT_TRUE(
      owner->control("XA START 'hf1.c1.1.m','payment'; UPDATE account SET amount = 1 WHERE id = 1; "
                     "XA END 'hf1.c1.1.m','payment'; XA PREPARE 'hf1.c1.1.m','payment'"));
  EXPECT_TRUE(listed(xid));
  EXPECT_EQ(*commit(xid), XaEnd::attached);
  EXPECT_EQ(*roll_back(xid), XaEnd::attached);
  kill_sessions(*another_client());
  wait_until_detached(loop_, *another_client());
  EXPECT_EQ(*commit(xid), XaEnd::done) << "the format id of another makes no difference";
  EXPECT_EQ(amount(), 1);
}

/// 1402: such a branch is prepared, listed, and gone at disconnect. Ours are never prepared.
TEST_F(XaTest, APreparedBranchWithoutWritesIsRolledBackAtDisconnect) {
  {
    const auto owner = another_client();
    ASSERT_TRUE(owner->control("XA START 'ro'; SELECT * FROM account; XA END 'ro'; XA PREPARE 'ro'"));
  }
  wait_until_detached(loop_, *another_client());
  EXPECT_EQ(*commit({"ro", ""}), XaEnd::rolled_back);
}

TEST_F(XaTest, OfTwoEndsExactlyOneIsDone) {
  for (int i = 0; i < 20; ++i) {
    const Xid xid{fmt::format("hf1.c1.1.n{}", i), "payment"};
    prepare(xid, 1);
    std::vector<XaEnd> ends;
    auto end = [&](bool commits) -> asio::awaitable<void> {
      const Result<XaEnd> result = co_await (commits ? db_->xa()->commit(xid) : db_->xa()->roll_back(xid));
      EXPECT_TRUE(result) << result.error().to_string();
      if (result) ends.push_back(*result);
    };
    asio::co_spawn(loop_.executor(), end(true), asio::detached);
    asio::co_spawn(loop_.executor(), end(false), asio::detached);
    ASSERT_TRUE(loop_.drain(30s));
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_EQ(std::ranges::count(ends, XaEnd::done), 1) << i;
    const auto other = std::ranges::count(ends, XaEnd::absent) + std::ranges::count(ends, XaEnd::attached);
    EXPECT_EQ(other, 1) << i << ": the other came after it, or while it was at it";
  }
}

TEST_F(XaTest, AReadOnlyServerKeepsTheBranch) {
  const Xid xid{"hf1.c1.1.o", "payment"};
  prepare(xid, 7);
  const auto root = another_client();
  const auto clerk = open_as_clerk(*root);
  ASSERT_TRUE(root->control("SET GLOBAL read_only = 1"));
  const auto refused = run(clerk->xa()->commit(xid));
  EXPECT_TRUE(root->control("SET GLOBAL read_only = 0"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::denied) << refused.error().to_string();
  const auto again = run(clerk->xa()->commit(xid));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, XaEnd::done);
  run(clerk->close());
  EXPECT_EQ(amount(), 93);
}

TEST_F(XaTest, ItsOwnSessionKeepsABranchThatAReadOnlyServerRefusesToEnd) {
  const auto root = another_client();
  const auto clerk = open_as_clerk(*root);
  Result<Branch> branch = run(clerk->xa()->start({"hf1.c1.1.ro", "payment"}));
  ASSERT_TRUE(branch);
  ASSERT_EQ(*take(**branch, 1, 7), 1);
  ASSERT_EQ(*run((*branch)->prepare()), XaVote::prepared);
  ASSERT_TRUE(root->control("SET GLOBAL read_only = 1"));
  const auto refused = run((*branch)->commit_prepared());
  EXPECT_TRUE(root->control("SET GLOBAL read_only = 0"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::denied) << refused.error().to_string();
  EXPECT_TRUE((*branch)->attached());
  EXPECT_EQ(*run((*branch)->commit_prepared()), XaEnd::done);
  EXPECT_EQ(amount(), 93);
  branch->reset();
  run(clerk->close());
}

/// Checklist 28. The branch is in the log of the server: both ways of ending find it again, and its locks hold.
TEST_F(XaTest, PreparedBranchesSurviveKill9OfTheServer) {
  const Xid keep{"hf1.c1.1.p", "payment"};
  prepare(keep, 30);
  Result<Branch> active = start({"hf1.c1.1.q", "payment"});
  ASSERT_TRUE(active);
  ASSERT_EQ(*take(**active, 2, 30), 1);
  test_server().kill_now();
  EXPECT_EQ(commit(keep).error().code, Code::unavailable);
  EXPECT_EQ(run((*active)->prepare()).error().code, Code::timeout) << "lost: it may be prepared";
  test_server();  // starts it again
  EXPECT_TRUE(listed(keep));
  EXPECT_FALSE(listed({"hf1.c1.1.q", "payment"})) << "an active branch is nothing";
  EXPECT_EQ(execute("UPDATE account SET amount = 0 WHERE id = 1").error().code, Code::unavailable) << "row lock";
  EXPECT_EQ(*commit(keep), XaEnd::done);
  EXPECT_EQ(amount(), 70);
  EXPECT_EQ(number("SELECT amount FROM account WHERE id = 2"), 100);
}

class FewBranches : public XaTest {
 protected:
  FewBranches() : XaTest("branches=2") {}
};

TEST_F(FewBranches, WhenAllConnectionsAreTakenTheNextIsRefused) {
  Result<Branch> a = start({"x1", ""}), b = start({"x2", ""});
  ASSERT_TRUE(a);
  ASSERT_TRUE(b);
  EXPECT_EQ(start({"x3", ""}).error().code, Code::exhausted);
  ASSERT_EQ(*take(**a, 1, 1), 1);
  ASSERT_TRUE(run((*a)->prepare()));
  EXPECT_EQ(start({"x3", ""}).error().code, Code::exhausted) << "a prepared branch keeps its connection";
  EXPECT_EQ(*run((*a)->commit_prepared()), XaEnd::done);
  Result<Branch> c = start({"x3", ""});
  ASSERT_TRUE(c);
  b->reset();
  EXPECT_TRUE(start({"x4", ""}));
}

TEST(XaAnswer, EachRow) {
  const auto answer = [](unsigned number) {
    return read_answer(number, classify(Flavour::mariadb, Phase::xa, {number, "HY000", ""}));
  };
  EXPECT_EQ(answer(0), XaAnswer::done);
  EXPECT_EQ(answer(1397), XaAnswer::unknown_id);
  EXPECT_EQ(answer(1402), XaAnswer::rolled_back);
  EXPECT_EQ(answer(1613), XaAnswer::rolled_back);
  EXPECT_EQ(answer(1614), XaAnswer::rolled_back);
  EXPECT_EQ(answer(1399), XaAnswer::wrong_session);
  EXPECT_EQ(answer(2006), XaAnswer::wrong_session);
  EXPECT_EQ(answer(2013), XaAnswer::failed);
  EXPECT_EQ(answer(1290), XaAnswer::failed);
}

}  // namespace
}  // namespace hf::sql::mysql
