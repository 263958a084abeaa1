/// What happens to units of work when the server, its sessions or other clients do not behave.

#include <signal.h>

#include <thread>

#include "sql/mysql/mysql_test.h"

namespace hf::sql::mysql {
namespace {

constexpr const char* kTables[] = {
    "CREATE TABLE orders (id INTEGER PRIMARY KEY)", "CREATE TABLE outbox (id INTEGER PRIMARY KEY)",
    "CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)", "INSERT INTO item VALUES (1, 0), (2, 0)"};

class FailuresTest : public MysqlTest {
 protected:
  /// For what returns as soon as it is done. Below the TIMEOUT of the whole case.
  static constexpr Duration kAtMost = 200s;

  explicit FailuresTest(const std::string& options = "") : MysqlTest(options) {}
  void SetUp() override {
    ASSERT_TRUE(open());
    ASSERT_TRUE(create({std::begin(kTables), std::end(kTables)}));
  }

  /// An order is two rows: both or none.
  static std::function<Result<void>(Transaction&)> order(std::int64_t id) {
    return [id](Transaction& tx) -> Result<void> {
      HF_TRY(tx.execute("INSERT INTO orders VALUES (?)", {id}));
      HF_TRY(tx.execute("INSERT INTO outbox VALUES (?)", {id}));
      HF_TRY(tx.execute("UPDATE item SET n = n + 1 WHERE id = 1"));
      return ok();
    };
  }
  Result<void> add(std::int64_t id) {
    std::function<Result<void>(Transaction&)> work = order(id);
    return run(db_->write(std::move(work)));
  }
  /// As any caller would after `unavailable`: again. (The back-off of a server that was away has to pass.)
  Result<void> add_soon(std::int64_t id) {
    sys::Clock& clock = loop_.world().clock;
    Result<void> added = add(id);
    for (const Monotonic limit = clock.now() + 30s; !added && clock.now() < limit; added = add(id)) {
      loop_.run_until_done(clock.sleep_for(20ms));
    }
    return added;
  }
  double ambiguous(std::string resolved) {
    return counter("holdfast_sql_ambiguous_commits_total", "resolved", std::move(resolved));
  }
  double rolled_back(std::string error_class) {
    return counter("holdfast_sql_rolled_back_total", "class", std::move(error_class));
  }
};

TEST_F(FailuresTest, SessionsThatWereKilledAreReplaced) {
  const auto other = another_client();
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(add(i));
    ASSERT_EQ(number("SELECT COUNT(*) FROM orders"), i);
    kill_sessions(*other);
  }
  EXPECT_GT(rolled_back("retry_transaction"), 0);
}

TEST_F(FailuresTest, AUnitThatHidesALostSessionRunsAgain) {
  const auto other = another_client();
  int runs = 0;
  const Result<int> done = write<int>([&](Transaction& tx) -> Result<int> {
    ++runs;
    (void)tx.execute("INSERT INTO orders VALUES (1)");
    if (runs == 1) kill_sessions(*other);
    (void)tx.execute("INSERT INTO outbox VALUES (1)");  // on its own, it would be committed at once
    return runs;
  });
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(*done, 2);
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 1);
  EXPECT_EQ(number("SELECT COUNT(*) FROM outbox"), 1);
}

TEST_F(FailuresTest, StatementsOfTheDriverAreNotForUnits) {
  for (const char* sql : {"COMMIT", "rollback", "  BEGIN", "CREATE TABLE x (a INT)", "SET autocommit = 0", "XA RECOVER",
                          "SAVEPOINT a", "(DROP TABLE item)", "TRUNCATE item", "USE mysql"}) {
    EXPECT_EQ(execute(sql).error().code, Code::invalid) << sql;
    EXPECT_EQ(query(sql).error().code, Code::invalid) << sql;
  }
}

TEST_F(FailuresTest, RowsThatAWriteReturnsAreWritten) {
  const auto rows = write<Rows>([](Transaction& tx) { return tx.query("INSERT INTO orders VALUES (7) RETURNING id"); });
  ASSERT_TRUE(rows) << rows.error().to_string();
  EXPECT_EQ(rows->front().integer(0), 7);
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders WHERE id = 7"), 1);
}

/// Units that fail after a change, among others that do not: in a batch without savepoints, and in one with them.
TEST_F(FailuresTest, UnitsThatFailLateAreTakenBackAlone) {
  int done = 0, refused = 0;
  auto client = [&](int from) -> asio::awaitable<void> {
    for (int i = 0; i < 40; ++i) {
      std::function<Result<void>(Transaction&)> work = [id = from * 1000 + i](Transaction& tx) -> Result<void> {
        HF_TRY(tx.execute("INSERT INTO orders VALUES (?)", {id}));
        if (id % 5 == 0) return Error{Code::conflict, "sold out"};
        HF_TRY(tx.execute("INSERT INTO outbox VALUES (?)", {id}));
        return ok();
      };
      (co_await db_->write(std::move(work)) ? done : refused) += 1;
    }
  };
  for (int i = 0; i < 16; ++i) asio::co_spawn(loop_.executor(), client(i), asio::detached);
  ASSERT_TRUE(loop_.drain(kAtMost));
  EXPECT_EQ(refused, 16 * 8);
  EXPECT_EQ(done, 16 * 32);
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), done);
  EXPECT_EQ(number("SELECT COUNT(*) FROM outbox"), done);
}

TEST_F(FailuresTest, ALockedRowStopsOnlyWhoNeedsIt) {
  const auto other = another_client();
  ASSERT_TRUE(other->control("START TRANSACTION; UPDATE item SET n = 5 WHERE id = 2"));
  std::optional<Result<void>> blocked, free;
  auto one = [&](int item, std::optional<Result<void>>& out) -> asio::awaitable<void> {
    std::function<Result<void>(Transaction&)> work = [item](Transaction& tx) -> Result<void> {
      HF_TRY(tx.execute("UPDATE item SET n = n + 1 WHERE id = ?", {item}));
      return ok();
    };
    out.emplace(co_await db_->write(std::move(work)));
  };
  // A stall can use up the time that a batch of both has. Then both are asked for again: free passes beside blocked.
  Patience patience;
  do {
    asio::co_spawn(loop_.executor(), one(2, blocked), asio::detached);
    asio::co_spawn(loop_.executor(), one(1, free), asio::detached);
    ASSERT_TRUE(loop_.drain(kAtMost));
    ASSERT_TRUE(blocked && free);
  } while (!*blocked && patience.asks_again(*free));
  EXPECT_TRUE(*free) << free->error().to_string();
  ASSERT_FALSE(*blocked);
  EXPECT_EQ(blocked->error().code, Code::unavailable);
  ASSERT_TRUE(other->control("ROLLBACK"));
  EXPECT_TRUE(execute("UPDATE item SET n = n + 1 WHERE id = 2"));
  EXPECT_EQ(number("SELECT n FROM item WHERE id = 2"), 1);
  EXPECT_EQ(number("SELECT n FROM item WHERE id = 1"), 1);
}

TEST_F(FailuresTest, DeadlocksAreTriedAgain) {
  // Two processes that update the same two rows in opposite order, for as long as it takes to meet. That the other one
  // stalls with a row must not look like it: they wait long for a lock.
  ASSERT_TRUE(reopen("lock_timeout_ms=9000"));
  auto second = sql::open(loop_.world(), url_, dir_);
  ASSERT_TRUE(second);
  int done = 0;
  bool more = true;
  auto worker = [&](Database& db, int first, int other) -> asio::awaitable<void> {
    for (int i = 0; more && i < 2000; ++i) {
      std::function<Result<void>(Transaction&)> work = [first, other](Transaction& tx) -> Result<void> {
        HF_TRY(tx.execute("UPDATE item SET n = n + 1 WHERE id = ?", {first}));
        HF_TRY(tx.execute("UPDATE item SET n = n + 1 WHERE id = ?", {other}));
        return ok();
      };
      const Result<void> result = co_await db.write(std::move(work));
      EXPECT_TRUE(result) << result.error().to_string();
      if (result) ++done;
      if (rolled_back("retry_transaction") >= 3) more = false;
    }
  };
  asio::co_spawn(loop_.executor(), worker(*db_, 1, 2), asio::detached);
  asio::co_spawn(loop_.executor(), worker(**second, 2, 1), asio::detached);
  ASSERT_TRUE(loop_.drain(kAtMost));
  EXPECT_GE(rolled_back("retry_transaction"), 3);
  EXPECT_EQ(number("SELECT n FROM item WHERE id = 1"), done);
  EXPECT_EQ(number("SELECT n FROM item WHERE id = 2"), done);
  run((*second)->close());
}

class ImpatientTest : public FailuresTest {
 protected:
  /// Database and tables are there before it becomes impatient.
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(FailuresTest::SetUp());
    ASSERT_TRUE(
        reopen("statement_timeout_ms=2000&answer_timeout_ms=10000&connect_timeout_ms=5000&resolve_timeout_ms=500"));
  }
};

TEST_F(ImpatientTest, AStatementThatTakesTooLongIsGivenUp) {
  const Result<Rows> read = query("SELECT SLEEP(60)");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::unavailable) << read.error().to_string();
  EXPECT_EQ(number("SELECT COUNT(*) FROM item"), 2);
  const Result<Rows> written = write<Rows>([](Transaction& tx) -> Result<Rows> {
    HF_TRY(tx.execute("INSERT INTO orders VALUES (1)"));
    return tx.query("SELECT SLEEP(60)");
  });
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::unavailable);
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 0);
}

/// The server stops in the middle of COMMIT and does not come back in time: nobody can know.
TEST_F(ImpatientTest, ACommitThatCannotBeResolvedIsATimeout) {
  const Result<int> done = write<int>([](Transaction& tx) -> Result<int> {
    HF_TRY(tx.execute("INSERT INTO orders VALUES (1)"));
    ::kill(test_server().pid(), SIGSTOP);
    return 1;
  });
  ::kill(test_server().pid(), SIGCONT);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::timeout) << done.error().to_string();
  EXPECT_EQ(ambiguous("unknown"), 1);
  EXPECT_TRUE(add_soon(2)) << "and it goes on";
}

TEST_F(FailuresTest, ALostCommitAnswerIsLookedUp) {
  ASSERT_TRUE(loop_.world().faults.arm("sql.after_commit=error:1"));
  EXPECT_TRUE(add(1)) << "durable, the answer lost: the marker says so";
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 1);
  EXPECT_EQ(ambiguous("committed"), 1);
}

/// The session is killed between the last statement and COMMIT: the answer is lost, and there was nothing to answer.
TEST_F(FailuresTest, ACommitThatNeverArrivedIsLookedUpAndDoneAgain) {
  const auto other = another_client();
  int runs = 0;
  double looked_up_before = 0;
  Result<int> done = 0;
  Patience patience;
  do {
    runs = 0;
    looked_up_before = ambiguous("rolled_back");
    done = write<int>([&](Transaction& tx) -> Result<int> {
      HF_TRY(tx.execute("INSERT INTO orders VALUES (1)"));
      if (++runs == 1) kill_sessions(*other);
      return runs;
    });
  } while (patience.asks_again(done));
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(*done, 2);
  EXPECT_EQ(ambiguous("rolled_back") - looked_up_before, 1);
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 1);
}

TEST_F(FailuresTest, AnErrorBeforeTheCommitFailsTheWholeBatchAndNothingElse) {
  ASSERT_TRUE(loop_.world().faults.arm("sql.before_commit=error:1"));
  EXPECT_EQ(add(1).error().code, Code::unavailable);
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 0);
  EXPECT_TRUE(add(1));
}

TEST_F(FailuresTest, WithoutAServerEverythingIsUnavailableAtOnce) {
  ASSERT_TRUE(add(1));
  test_server().kill_now();
  const Monotonic start = loop_.world().clock.now();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(add(2).error().code, Code::unavailable);
    EXPECT_EQ(query("SELECT 1").error().code, Code::unavailable);
  }
  EXPECT_LT(loop_.world().clock.now() - start, 30s) << "nobody hangs on a server that is known to be gone";
  EXPECT_FALSE(sql::open(loop_.world(), url_, dir_));
  test_server();  // starts it again
  EXPECT_TRUE(add_soon(2)) << "it comes back by itself";
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 2);
}

TEST_F(FailuresTest, AServerThatMayForgetIsRefused) {
  const auto root = another_client();
  ASSERT_TRUE(root->control("SET GLOBAL innodb_flush_log_at_trx_commit = 2"));
  const auto lazy = sql::open(loop_.world(), url_, dir_);
  ASSERT_TRUE(root->control("SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 0"));
  const auto lazy_binlog = sql::open(loop_.world(), url_, dir_);
  ASSERT_TRUE(root->control("SET GLOBAL sync_binlog = 1"));
  ASSERT_FALSE(lazy);
  EXPECT_EQ(lazy.error().code, Code::invalid);
  EXPECT_NE(lazy.error().message.find("innodb_flush_log_at_trx_commit is 2"), std::string::npos);
  ASSERT_FALSE(lazy_binlog);
  EXPECT_NE(lazy_binlog.error().message.find("sync_binlog is 0"), std::string::npos) << lazy_binlog.error().message;
}

TEST_F(FailuresTest, LoginsThatFail) {
  const auto code = [&](std::string from, const std::string& to) {
    std::string url = url_;
    url.replace(url.find(from), from.size(), to);
    const auto opened = sql::open(loop_.world(), url, dir_);
    return opened ? Code::internal : opened.error().code;
  };
  EXPECT_EQ(code("root@", "nobody:wrong@"), Code::denied);
  EXPECT_EQ(code("create=1", "create=0"), Code::internal) << "the database is there already: it opens";
  url_.replace(url_.find("create=1"), 8, "create=0");
  EXPECT_EQ(code(database() + "?", "no-such?"), Code::invalid);
  EXPECT_EQ(code("mariadb.sock", "nothing.sock"), Code::unavailable);
}

/// Every acknowledged order is there, none is half there, none twice; who was told `unavailable` has none.
TEST_F(FailuresTest, KillingTheServerLosesNothingThatWasAcknowledged) {
  constexpr int kInFlight = 24, kKills = 6;
  std::set<std::int64_t> acknowledged, refused, unknown;
  std::int64_t next = 0;
  bool more = true;
  auto client = [&]() -> asio::awaitable<void> {
    while (more) {
      const std::int64_t id = ++next;
      std::function<Result<void>(Transaction&)> work = order(id);
      const Result<void> result = co_await db_->write(std::move(work));
      if (result) {
        acknowledged.insert(id);
        continue;
      }
      EXPECT_TRUE(result.error().code == Code::unavailable || result.error().code == Code::timeout)
          << result.error().to_string();
      (result.error().code == Code::timeout ? unknown : refused).insert(id);
      co_await loop_.world().clock.sleep_for(5ms);
    }
  };
  auto killer = [&]() -> asio::awaitable<void> {
    sys::Clock& clock = loop_.world().clock;
    for (int kill = 0; kill < kKills; ++kill) {
      const std::size_t before = acknowledged.size();
      while (acknowledged.size() < before + 200) co_await clock.sleep_for(1ms);
      std::this_thread::sleep_for(std::chrono::microseconds(loop_.world().random.below(2000)));  // anywhere in a batch
      test_server().kill_now();
      test_server();  // starts it again
    }
    more = false;
  };
  asio::co_spawn(loop_.executor(), killer(), asio::detached);
  for (int i = 0; i < kInFlight; ++i) asio::co_spawn(loop_.executor(), client(), asio::detached);
  ASSERT_TRUE(loop_.drain(kAtMost));

  std::set<std::int64_t> there;
  const Result<Rows> rows = query("SELECT id FROM orders");
  ASSERT_TRUE(rows) << rows.error().to_string();
  for (const Row& row : *rows) there.insert(row.integer(0));
  for (const std::int64_t id : acknowledged) EXPECT_TRUE(there.contains(id)) << id << " was acknowledged";
  for (const std::int64_t id : refused) EXPECT_FALSE(there.contains(id)) << id << " was refused";
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders LEFT JOIN outbox ON orders.id = outbox.id WHERE outbox.id IS NULL"), 0);
  EXPECT_EQ(number("SELECT COUNT(*) FROM outbox"), static_cast<std::int64_t>(there.size()));
  EXPECT_EQ(number("SELECT n FROM item WHERE id = 1"), static_cast<std::int64_t>(there.size())) << "each once";
  RecordProperty("acknowledged", static_cast<int>(acknowledged.size()));
  RecordProperty("ambiguous_committed", static_cast<int>(ambiguous("committed")));
  RecordProperty("ambiguous_rolled_back", static_cast<int>(ambiguous("rolled_back")));
  RecordProperty("unknown", static_cast<int>(unknown.size()));
}

/// The same with sessions killed under load: nobody notices.
TEST_F(FailuresTest, KillingSessionsUnderLoadIsNotNoticed) {
  const auto other = another_client();
  int done = 0;
  auto client = [&](int from) -> asio::awaitable<void> {
    for (int i = 0; i < 25; ++i) {
      Result<void> result = ok();
      Patience patience;
      do {
        std::function<Result<void>(Transaction&)> work = order(from * 1000 + i);
        result = co_await db_->write(std::move(work));
      } while (patience.asks_again(result));
      EXPECT_TRUE(result) << result.error().to_string();
      if (++done % 60 == 0) kill_sessions(*other);
    }
  };
  for (int i = 0; i < 16; ++i) asio::co_spawn(loop_.executor(), client(i), asio::detached);
  ASSERT_TRUE(loop_.drain(kAtMost));
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 400);
  EXPECT_EQ(number("SELECT n FROM item WHERE id = 1"), 400);
}

class TwoWriters : public FailuresTest {
 protected:
  /// They wait for one another's hot row, also for one who stalls with it.
  TwoWriters() : FailuresTest("writers=4&lock_timeout_ms=9000") {}
};

TEST_F(TwoWriters, WorkSideBySide) {
  int done = 0;
  auto client = [&](int from) -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      std::function<Result<void>(Transaction&)> work = order(from * 1000 + i);
      if (co_await db_->write(std::move(work))) ++done;
    }
  };
  for (int i = 0; i < 32; ++i) asio::co_spawn(loop_.executor(), client(i), asio::detached);
  ASSERT_TRUE(loop_.drain(kAtMost));
  EXPECT_EQ(done, 640);
  EXPECT_EQ(number("SELECT n FROM item WHERE id = 1"), 640);
}

class Isolations : public MysqlTest, public ::testing::WithParamInterface<std::pair<const char*, const char*>> {
 protected:
  Isolations() : MysqlTest(std::string("isolation=") + GetParam().first) {}
};
INSTANTIATE_TEST_SUITE_P(Each, Isolations,
                         ::testing::Values(std::pair("read-committed", "READ-COMMITTED"),
                                           std::pair("repeatable-read", "REPEATABLE-READ"),
                                           std::pair("serializable", "SERIALIZABLE")));

TEST_P(Isolations, IsWhatTheSessionsHave) {
  ASSERT_TRUE(open());
  const auto told =
      write<Rows>([](Transaction& tx) { return tx.query("SELECT @@tx_isolation, @@autocommit, @@time_zone"); });
  ASSERT_TRUE(told);
  EXPECT_EQ(told->front().text(0), GetParam().second);
  EXPECT_EQ(told->front().integer(1), 1);
  EXPECT_EQ(told->front().text(2), "+00:00");
  EXPECT_EQ(query("SELECT @@tx_isolation")->front().text(0), "REPEATABLE-READ") << "readers have snapshots";
}

}  // namespace
}  // namespace hf::sql::mysql
