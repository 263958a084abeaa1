/// What every substrate promises, on each of them.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "sql/mysql/test_server.h"
#include "sql/test_database.h"

namespace hf::sql {
namespace {

class Substrate : public DatabaseTest, public ::testing::WithParamInterface<const char*> {
 protected:
  Substrate() : DatabaseTest(is_mysql() ? mysql::fresh_url() : "sqlite:test.db") {}
  /// As metrics call it.
  std::string database() const {
    if (!is_mysql()) return "test.db";
    const std::size_t slash = url_.rfind('/', url_.find('?'));
    return url_.substr(slash + 1, url_.find('?') - slash - 1);
  }
  static bool is_mysql() { return std::string_view(GetParam()) == "mysql"; }
};
INSTANTIATE_TEST_SUITE_P(On, Substrate, ::testing::Values("sqlite", "mysql"),
                         [](const auto& p) { return std::string(p.param); });

constexpr const char* kTable = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER CHECK (n >= 0))";

TEST_P(Substrate, EveryKindOfValueComesBack) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({"CREATE TABLE v (a INTEGER, b INTEGER, c DOUBLE, d TEXT, e BLOB)"}));
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

TEST_P(Substrate, AReadSeesEveryWriteThatWasAcknowledgedBeforeIt) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  for (int i = 1; i <= 200; ++i) {
    ASSERT_TRUE(execute("INSERT INTO t VALUES (?, 'x', 0)", {i}));
    ASSERT_EQ(number("SELECT count(*) FROM t"), i);
  }
}

TEST_P(Substrate, AFailedUnitTakesOnlyItselfBack) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
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
  ASSERT_TRUE(loop_.drain(60s));
  EXPECT_EQ(done, 10);
  EXPECT_EQ(conflicts, 40);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 20);
}

TEST_P(Substrate, CallersOfOneBatchResumeTogetherOnTheirStrand) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  metrics::Counter& commits = loop_.world().metrics.counter("holdfast_sql_commits_total", "Commits of whole batches",
                                                            {{"database", database()}, {"outcome", "done"}});
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
  ASSERT_TRUE(loop_.drain(60s));
  EXPECT_EQ(done, 1000);
  EXPECT_LT(commits.value() - before, 500) << "group commit does not group";
}

TEST_P(Substrate, AnErrorOfTheWorkItselfLeavesNothing) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  const Result<int> result = write<int>([](Transaction& tx) -> Result<int> {
    HF_TRY(tx.execute("INSERT INTO t VALUES (1, 'x', 0)"));
    return Error{Code::not_found, "the work says no"};
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::not_found);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);
}

TEST_P(Substrate, ErrorsSayWhatACallerCanDo) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  ASSERT_TRUE(create({"CREATE TABLE child (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t(id))"}));
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

TEST_P(Substrate, IntegersAre64BitsAndSumsAreIntegers) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable, "CREATE TABLE empty (n INTEGER)"}));
  const std::int64_t large = std::int64_t{1} << 60;
  ASSERT_TRUE(execute("INSERT INTO t VALUES (1, 'x', ?), (2, 'y', 2)", {large}));
  EXPECT_EQ(number("SELECT SUM(n) FROM t"), large + 2);
  EXPECT_EQ(number("SELECT MAX(n) - 1 FROM t"), large - 1);
  EXPECT_EQ(number("SELECT COALESCE(SUM(n), 0) FROM empty"), 0);
  EXPECT_TRUE(query("SELECT SUM(n) FROM empty")->front().is_null(0));
  EXPECT_EQ(number("SELECT CASE WHEN n > 5 THEN 1 ELSE 0 END FROM t WHERE id = 1"), 1);
  EXPECT_DOUBLE_EQ(query("SELECT AVG(n) FROM t WHERE id = 2")->front().real(0), 2);
}

TEST_P(Substrate, TextsAreComparedByteByByte) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({"CREATE TABLE k (name VARCHAR(64) NOT NULL PRIMARY KEY)"}));
  for (const char* name : {"a", "A", "a ", "ä", "", "😀"})
    EXPECT_TRUE(execute("INSERT INTO k VALUES (?)", {name})) << name;
  EXPECT_EQ(execute("INSERT INTO k VALUES ('a')").error().code, Code::conflict);
  EXPECT_EQ(query("SELECT name FROM k WHERE name = ?", {"a"})->size(), 1U);
}

TEST_P(Substrate, LargeAndAwkwardTextsComeBack) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({"CREATE TABLE b (id INTEGER PRIMARY KEY, body TEXT NOT NULL)"}));
  const std::string large(1 << 20, 'x');
  for (const std::string& body : {large, std::string(), std::string("a\\'\"%_?\n"), std::string("\0b", 2)}) {
    ASSERT_TRUE(execute("DELETE FROM b"));
    ASSERT_TRUE(execute("INSERT INTO b VALUES (1, ?)", {body}));
    EXPECT_EQ(query("SELECT body FROM b")->front().text(0), body);
  }
  EXPECT_EQ(query("SELECT 'a' || '\\' || 'b'")->front().text(0), "a\\b") << "concatenation, and no escapes";
}

TEST_P(Substrate, ManyRowsAndManyStatements) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  const Result<int> filled = write<int>([](Transaction& tx) -> Result<int> {
    for (int i = 0; i < 2000; ++i) {
      HF_TRY(tx.execute("INSERT INTO t VALUES (?, ?, 0)", {i, std::string(static_cast<std::size_t>(i % 50), 'n')}));
    }
    return 2000;
  });
  ASSERT_TRUE(filled) << filled.error().to_string();
  const Result<Rows> rows = query("SELECT id, name FROM t ORDER BY id LIMIT ?", {1500});
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1500U);
  EXPECT_EQ(rows->at(1234).text(1).size(), 1234U % 50);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(number(fmt::format("SELECT {0} + {0} FROM t WHERE id = 1", i)), 2 * i);
}

TEST_P(Substrate, AReadSeesOneState) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  ASSERT_TRUE(execute("INSERT INTO t VALUES (1, 'x', 0)"));
  bool more = true;
  auto writer = [&]() -> asio::awaitable<void> {
    while (more) {
      std::function<Result<std::int64_t>(Transaction&)> work = [](Transaction& tx) {
        return tx.execute("UPDATE t SET n = n + 1");
      };
      EXPECT_TRUE(co_await db_->write<std::int64_t>(std::move(work)));
    }
  };
  auto reader = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 100; ++i) {
      std::function<Result<bool>(Reader&)> twice = [](Reader& r) -> Result<bool> {
        HF_TRY(const auto first, r.query_one("SELECT n FROM t"));
        HF_TRY(const auto second, r.query_one("SELECT n FROM t"));
        return first->integer(0) == second->integer(0);
      };
      const Result<bool> same = co_await db_->read<bool>(std::move(twice));
      EXPECT_TRUE(same && *same);
    }
    more = false;
  };
  asio::co_spawn(loop_.executor(), writer(), asio::detached);
  asio::co_spawn(loop_.executor(), reader(), asio::detached);
  ASSERT_TRUE(loop_.drain(60s));
}

TEST_P(Substrate, InsertIfAbsentLeavesWhatIsThere) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
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

TEST_P(Substrate, AGuardedUpdateCountsItsRows) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  ASSERT_TRUE(execute("INSERT INTO t VALUES (1, 'x', 5)"));
  EXPECT_EQ(*execute("UPDATE t SET n = n - 3 WHERE id = 1 AND n >= 3"), 1);
  EXPECT_EQ(*execute("UPDATE t SET n = n - 3 WHERE id = 1 AND n >= 3"), 0);
}

TEST_P(Substrate, MigrationsRunOnceAndAreRemembered) {
  const std::vector<Migration> one = {{1, "start", {"CREATE TABLE a (x INTEGER)"}}};
  std::vector<Migration> two = one;
  two.push_back({2, "more", {"CREATE TABLE b (x INTEGER)", "INSERT INTO b VALUES (1)"}});
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

TEST_P(Substrate, AfterCloseNothingIsTaken) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  loop_.run_until_done(db_->close());
  EXPECT_EQ(execute("DELETE FROM t").error().code, Code::unavailable);
  EXPECT_EQ(query("SELECT 1").error().code, Code::unavailable);
  db_.reset();
  ASSERT_TRUE(open());
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);
}

TEST_P(Substrate, CloseFinishesWhatWaits) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
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
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/test.db-wal")) << "the last connection cleans up";
}

TEST_P(Substrate, AReaderBesideTheWriter) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(create({kTable}));
  auto reader = sql::open(loop_.world(), url_ + (is_mysql() ? "&mode=ro" : "?mode=ro"), dir_);
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
