#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "sql/sqlite/test_world.h"
#include "sys/sim.h"

namespace hf::sql {
namespace {

constexpr const char* kTable = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER CHECK (n >= 0))";

TEST_F(SqlTest, EveryKindOfValueComesBack) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute("CREATE TABLE v (a, b, c, d, e)"));
  const std::string bytes("\0\xff'\n", 4);
  ASSERT_TRUE(execute("INSERT INTO v VALUES (?, ?, ?, ?, ?)", {nullptr, 42, 1.5, "Grüße", bytes}));
  const Result<Rows> rows = query("SELECT a, b, c, d, e FROM v");
  ASSERT_TRUE(rows);
  const Row& row = rows->front();
  EXPECT_EQ(row.size(), 5U);
  EXPECT_TRUE(row.is_null(0));
  EXPECT_EQ(row.integer_or(0, 7), 7);
  EXPECT_EQ(row.text_or(0, "none"), "none");
  EXPECT_EQ(row.integer(1), 42);
  EXPECT_DOUBLE_EQ(row.real(2), 1.5);
  EXPECT_DOUBLE_EQ(row.real(1), 42);
  EXPECT_EQ(row.text(3), "Grüße");
  EXPECT_EQ(row.text(4), bytes);
}

TEST_F(SqlTest, AReadSeesEveryWriteThatWasAcknowledgedBeforeIt) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  for (int i = 1; i <= 200; ++i) {
    ASSERT_TRUE(execute("INSERT INTO t VALUES (?, 'x', 0)", {i}));
    ASSERT_EQ(number("SELECT count(*) FROM t"), i);
  }
}

TEST_F(SqlTest, AFailedUnitTakesOnlyItselfBack) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  int conflicts = 0, done = 0;
  auto one = [&](int i) -> asio::awaitable<void> {
    std::function<Result<void>(Transaction&)> work = [i](Transaction& tx) -> Result<void> {
      HF_TRY(tx.execute("INSERT INTO t VALUES (?, 'first', 0)", {1000 + i}));
      HF_TRY(tx.execute("INSERT INTO t VALUES (?, 'second', 0)", {i % 10}));  // ten different ids for fifty units
      return ok();
    };
    const Result<void> result = co_await db_->write(std::move(work));
    if (result) ++done;
    if (!result && result.error().code == Code::conflict) ++conflicts;
  };
  for (int i = 0; i < 50; ++i) asio::co_spawn(loop_.executor(), one(i), asio::detached);
  ASSERT_TRUE(loop_.drain(10s));
  EXPECT_EQ(done, 10);
  EXPECT_EQ(conflicts, 40);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 20);
}

TEST_F(SqlTest, CallersOfOneBatchResumeTogetherOnTheirStrand) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  metrics::Counter& commits = loop_.world().metrics.counter("holdfast_sql_commits_total", "Commits of whole batches",
                                                            {{"database", "test.db"}, {"outcome", "done"}});
  const double before = commits.value();
  int done = 0;
  const auto thread = std::this_thread::get_id();
  auto one = [&](int i) -> asio::awaitable<void> {
    std::function<Result<std::int64_t>(Transaction&)> work = [i](Transaction& tx) {
      return tx.execute("INSERT INTO t VALUES (?, 'x', 0)", {i});
    };
    const Result<std::int64_t> result = co_await db_->write<std::int64_t>(std::move(work));
    EXPECT_EQ(std::this_thread::get_id(), thread);
    if (result && *result == 1) ++done;
  };
  for (int i = 0; i < 1000; ++i) asio::co_spawn(loop_.executor(), one(i), asio::detached);
  ASSERT_TRUE(loop_.drain(10s));
  EXPECT_EQ(done, 1000);
  EXPECT_LT(commits.value() - before, 500) << "group commit does not group";
}

TEST_F(SqlTest, AnErrorOfTheWorkItselfLeavesNothing) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  const Result<int> result = write<int>([](Transaction& tx) -> Result<int> {
    HF_TRY(tx.execute("INSERT INTO t VALUES (1, 'x', 0)"));
    return Error{Code::not_found, "the work says no"};
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::not_found);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);
}

TEST_F(SqlTest, ErrorsSayWhatACallerCanDo) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  ASSERT_TRUE(execute("CREATE TABLE child (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t(id))"));
  ASSERT_TRUE(execute("INSERT INTO t VALUES (1, 'x', 0)"));
  EXPECT_EQ(execute("INSERT INTO t VALUES (1, 'y', 0)").error().code, Code::conflict);
  EXPECT_EQ(execute("INSERT INTO child VALUES (1, 99)").error().code, Code::conflict);
  EXPECT_EQ(execute("INSERT INTO t VALUES (2, 'y', -1)").error().code, Code::conflict);
  EXPECT_EQ(execute("INSERT INTO t VALUES (2, NULL, 0)").error().code, Code::invalid);
  EXPECT_EQ(execute("INSRT INTO t").error().code, Code::invalid);
  EXPECT_EQ(execute("DELETE FROM t; DELETE FROM t").error().code, Code::invalid);
  EXPECT_EQ(execute("DELETE FROM t WHERE id = ?").error().code, Code::invalid);
  EXPECT_EQ(query("DELETE FROM t").error().code, Code::denied);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 1);
}

TEST_F(SqlTest, InsertIfAbsentLeavesWhatIsThere) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  auto insert = [this](const char* name, std::int64_t n) {
    return write<bool>([=](Transaction& tx) {
      return tx.insert_if_absent("INSERT INTO t (id, name, n) VALUES (?, ?, ?)", {1, name, n});
    });
  };
  EXPECT_TRUE(*insert("first", 1));
  EXPECT_FALSE(*insert("second", 2));
  EXPECT_EQ(insert("third", -1).error().code, Code::conflict) << "a check is not a duplicate";
  EXPECT_EQ(query("SELECT name FROM t")->front().text(0), "first");
}

TEST_F(SqlTest, AGuardedUpdateCountsItsRows) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  ASSERT_TRUE(execute("INSERT INTO t VALUES (1, 'x', 5)"));
  EXPECT_EQ(*execute("UPDATE t SET n = n - 3 WHERE id = 1 AND n >= 3"), 1);
  EXPECT_EQ(*execute("UPDATE t SET n = n - 3 WHERE id = 1 AND n >= 3"), 0);
  EXPECT_EQ(*execute("CREATE TABLE other (a)"), 0);
}

TEST_F(SqlTest, MigrationsRunOnceAndAreRemembered) {
  const std::vector<Migration> one = {{1, "start", {"CREATE TABLE a (x)"}}};
  std::vector<Migration> two = one;
  two.push_back({2, "more", {"CREATE TABLE b (x)", "INSERT INTO b VALUES (1)"}});
  ASSERT_TRUE(open());
  ASSERT_TRUE(loop_.run_until_done(db_->migrate("shop", one)));
  ASSERT_TRUE(loop_.run_until_done(db_->migrate("router", one)).error().code == Code::invalid) << "table a exists";
  close();
  ASSERT_TRUE(open());
  ASSERT_TRUE(loop_.run_until_done(db_->migrate("shop", two)));
  ASSERT_TRUE(loop_.run_until_done(db_->migrate("shop", two)));
  EXPECT_EQ(number("SELECT count(*) FROM b"), 1);
  const Result<void> older = loop_.run_until_done(db_->migrate("shop", one));
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Code::corrupt);
  EXPECT_NE(older.error().message.find("too old"), std::string::npos) << older.error().message;
  two[1].name = "another history";
  EXPECT_EQ(loop_.run_until_done(db_->migrate("shop", two)).error().code, Code::corrupt);
}

TEST_F(SqlTest, AFailedMigrationLeavesNothing) {
  ASSERT_TRUE(open());
  const std::vector<Migration> broken = {{1, "start", {"CREATE TABLE a (x)", "CREATE TABLE oops ("}}};
  EXPECT_EQ(loop_.run_until_done(db_->migrate("shop", broken)).error().code, Code::invalid);
  EXPECT_EQ(number("SELECT count(*) FROM sqlite_schema WHERE name = 'a'"), 0);
}

TEST_F(SqlTest, AfterCloseNothingIsTaken) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  loop_.run_until_done(db_->close());
  EXPECT_EQ(execute("DELETE FROM t").error().code, Code::unavailable);
  EXPECT_EQ(query("SELECT 1").error().code, Code::unavailable);
  db_.reset();
  ASSERT_TRUE(open());
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);
}

TEST_F(SqlTest, CloseFinishesWhatWaits) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  int done = 0;
  auto one = [&](int i) -> asio::awaitable<void> {
    std::function<Result<std::int64_t>(Transaction&)> work = [i](Transaction& tx) {
      return tx.execute("INSERT INTO t VALUES (?, 'x', 0)", {i});
    };
    const Result<std::int64_t> result = co_await db_->write<std::int64_t>(std::move(work));
    if (result) ++done;
  };
  auto all = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 500; ++i) asio::co_spawn(loop_.executor(), one(i), asio::detached);
    co_await loop_.world().clock.sleep_for(0ms);
    co_await db_->close();
    EXPECT_EQ(done, 500);
  };
  loop_.run_until_done(all());
  db_.reset();
  EXPECT_FALSE(std::filesystem::exists(file() + "-wal")) << "the last connection cleans up";
}

TEST_F(SqlTest, UrlsThatAreNotOurs) {
  const auto code = [this](const char* url) { return open(url).error(); };
  EXPECT_EQ(code("mysql://root@localhost/shop").code, Code::invalid);
  EXPECT_NE(code("mysql://root@localhost/shop").message.find("not built yet"), std::string::npos);
  EXPECT_EQ(code("postgres://x").code, Code::invalid);
  EXPECT_EQ(code("sqlite:").code, Code::invalid);
  EXPECT_EQ(code("sqlite:a.db?mode=rw").code, Code::invalid);
  ASSERT_TRUE(open("sqlite://" + dir_ + "/sub/folder/a.db"));
  EXPECT_EQ(db_->url(), "sqlite:" + dir_ + "/sub/folder/a.db");
}

TEST_F(SqlTest, AReaderBesideTheWriter) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  auto reader = sql::open(loop_.world(), "sqlite:test.db?mode=ro", dir_);
  ASSERT_TRUE(reader) << reader.error().to_string();
  ASSERT_TRUE(execute("INSERT INTO t VALUES (1, 'x', 0)"));
  std::function<Result<Rows>(Reader&)> count = [](Reader& r) { return r.query("SELECT count(*) FROM t"); };
  const Result<Rows> rows = loop_.run_until_done((*reader)->read<Rows>(count));
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->front().integer(0), 1);
  std::function<Result<std::int64_t>(Transaction&)> change = [](Transaction& tx) {
    return tx.execute("DELETE FROM t");
  };
  EXPECT_EQ(loop_.run_until_done((*reader)->write<std::int64_t>(change)).error().code, Code::denied);
  loop_.run_until_done((*reader)->close());
}

}  // namespace
}  // namespace hf::sql
