/// Isolation as a caller of sql::Database meets it: at each level, on SQLite and on a MariaDB with several writers.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <filesystem>

#include "oceanbase/stub.h"
#include "sql/database.h"
#include "sql/mysql/local_server.h"
#include "sql/mysql/slow_machine.h"
#include "sys/loop.h"

namespace hf::anomalies {
namespace {

using sql::Transaction;
using sql::mysql::LocalServer;
using Work = std::function<Result<void>(Transaction&)>;

constexpr std::int64_t kInitial = 1'000'000;

struct Store {
  const char* name;
  const char* options;  ///< of the mysql:// URL; nullptr: SQLite
};
constexpr Store kSqlite{"Sqlite", nullptr};
constexpr Store kReadCommitted{"ReadCommitted", "writers=4"};
constexpr Store kRepeatableRead{"RepeatableRead", "writers=4&isolation=repeatable-read"};
constexpr Store kSerializable{"Serializable", "writers=4&isolation=serializable"};

class IsolationBase : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    char name[] = "/tmp/hf_isolation_XXXXXX";
    folder = ::mkdtemp(name);
    // Its default is what we refuse: ours must come from us.
    Result<std::unique_ptr<LocalServer>> started =
        LocalServer::start({.folder = folder + "/db", .more = {"--transaction-isolation=READ-UNCOMMITTED"}});
    if (!started) fmt::print(stderr, "{}\n", started.error().to_string());
    HF_ASSERT(started.has_value());  // a failed set-up would be counted as skipped tests
    server = std::move(*started);
  }
  static void TearDownTestSuite() {
    server.reset();
    std::filesystem::remove_all(folder);
  }
  ~IsolationBase() override { close(); }
  void close() {
    if (db_) loop_.run_until_done(db_->close());
    db_.reset();
  }

  static std::string fresh_name() {
    static int databases = 0;
    return fmt::format("iso{}", ++databases);
  }
  Result<void> open(const Store& store) {
    const std::string name = fresh_name();
    if (store.options == nullptr) return open_url("sqlite:" + name + ".db");
    return open_url(server->url(name, sql::mysql::patient(store.options)));
  }
  Result<void> open_url(const std::string& url) {
    HF_TRY(db_, sql::open(loop_.world(), url, folder));
    const std::vector<sql::Migration> tables = {
        {1,
         "stock",
         {"CREATE TABLE stock (id BIGINT PRIMARY KEY, avail BIGINT NOT NULL CHECK (avail >= 0), sold BIGINT NOT NULL)",
          "CREATE TABLE orders (id BIGINT PRIMARY KEY, item BIGINT NOT NULL)"}}};
    return loop_.run_until_done(db_->migrate("test", tables));
  }
  Result<void> write(Work work) { return loop_.run_until_done(db_->write(std::move(work))); }
  void stock(std::int64_t item, std::int64_t avail) {
    ASSERT_TRUE(write([=](Transaction& tx) -> Result<void> {
      HF_TRY(tx.execute("INSERT INTO stock VALUES (?, ?, 0)", {item, avail}));
      return ok();
    }));
  }
  std::int64_t number(const std::string& sql) {
    std::function<Result<std::int64_t>(sql::Reader&)> work = [sql](sql::Reader& reader) -> Result<std::int64_t> {
      HF_TRY(const auto row, reader.query_one(sql));
      return row->integer(0);
    };
    const Result<std::int64_t> value = loop_.run_until_done(db_->read<std::int64_t>(std::move(work)));
    EXPECT_TRUE(value) << value.error().to_string();
    return value.value_or(-1);
  }
  struct Ended {
    int done = 0, conflict = 0, asked_again = 0;
    double seconds = 0;
  };
  /// Asks for all of them at once. The driver runs a batch again for three seconds; beyond, a busy machine's caller
  /// hears `unavailable` and asks again, as callers do.
  Ended write_all(int count, const std::function<Work(int)>& unit) {
    Ended ended;
    const auto start = std::chrono::steady_clock::now();
    auto one = [&](int i) -> asio::awaitable<void> {
      constexpr int kTriesMax = 50;
      Result<void> result = ok();
      for (int tried = 0; tried < kTriesMax; ++tried) {
        Work work = unit(i);
        result = co_await db_->write(std::move(work));
        if (result || result.error().code != Code::unavailable) break;
        ++ended.asked_again;
      }
      if (result) {
        ++ended.done;
      } else if (result.error().code == Code::conflict) {
        ++ended.conflict;
      } else {
        ADD_FAILURE() << result.error().to_string();
      }
    };
    for (int i = 0; i < count; ++i) asio::co_spawn(loop_.executor(), one(i), asio::detached);
    EXPECT_TRUE(loop_.drain(60s));
    ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return ended;
  }
  double rolled_back() {
    double sum = 0;
    for (const char* what : {"retry_transaction", "retry_statement"}) {
      sum += loop_.world()
                 .metrics
                 .counter("holdfast_sql_rolled_back_total", "Batches that an error of the server ended, by its class",
                          {{"database", database()}, {"class", what}})
                 .value();
    }
    return sum;
  }
  std::string database() const {
    const std::string& url = db_->url();
    const std::size_t slash = url.find('/', url.find("//") + 2);
    return slash == std::string::npos ? url : url.substr(slash + 1, url.find('?') - slash - 1);
  }

  static inline std::string folder;
  static inline std::unique_ptr<LocalServer> server;
  sys::Loop loop_;
  std::unique_ptr<sql::Database> db_;
};

class Isolation : public IsolationBase, public ::testing::WithParamInterface<Store> {};
INSTANTIATE_TEST_SUITE_P(At, Isolation, ::testing::Values(kSqlite, kReadCommitted, kRepeatableRead, kSerializable),
                         [](const auto& store) { return store.param.name; });

/// What Holdfast itself does, everywhere: the condition is part of the statement.
Work order(std::int64_t id, std::int64_t item) {
  return [=](Transaction& tx) -> Result<void> {
    HF_TRY(tx.execute("INSERT INTO orders VALUES (?, ?)", {id, item}));
    HF_TRY(const std::int64_t taken,
           tx.execute("UPDATE stock SET avail = avail - 1, sold = sold + 1 WHERE id = ? AND avail >= 1", {item}));
    if (taken == 0) return Error{Code::conflict, "sold out"};
    return ok();
  };
}

TEST_P(Isolation, TwoOrdersOnTheLastUnit) {
  ASSERT_TRUE(open(GetParam()));
  for (int item = 1; item <= 50; ++item) {
    stock(item, 1);
    const Ended ended = write_all(2, [item](int i) { return order(item * 10 + i, item); });
    ASSERT_EQ(ended.done, 1);
    ASSERT_EQ(ended.conflict, 1) << "the other is told: sold out";
  }
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 50) << "nothing of the refused ones is left";
  EXPECT_EQ(number("SELECT SUM(avail) FROM stock"), 0);
  fmt::print("  {}: 50 items with one unit, two orders each: 50 sold, 50 told \"sold out\"\n", GetParam().name);
}

TEST_P(Isolation, AFailedSecondStatementLeavesNothingOfTheFirst) {
  ASSERT_TRUE(open(GetParam()));
  stock(1, 10);
  ASSERT_TRUE(write(order(7, 1)));
  const Ended ended = write_all(40, [](int i) -> Work {
    if (i % 2 == 0) return order(100 + i, 1);
    return [i](Transaction& tx) -> Result<void> {
      HF_TRY(tx.execute("UPDATE stock SET avail = avail - 1, sold = sold + 1 WHERE id = 1"));
      HF_TRY(tx.execute("INSERT INTO orders VALUES (7, ?)", {i}));  // that order is there
      return ok();
    };
  });
  EXPECT_EQ(ended.done, 9) << "the ten units, less the one sold before";
  EXPECT_EQ(number("SELECT avail FROM stock WHERE id = 1"), 0);
  EXPECT_EQ(number("SELECT sold FROM stock WHERE id = 1"), number("SELECT COUNT(*) FROM orders"));
  fmt::print("  {}: 20 units whose second statement failed left nothing; 9 beside them are whole\n", GetParam().name);
}

/// Read, think, write: the classical way to lose an update.
TEST_P(Isolation, ReadThenWriteLosesNothingWhereTheLevelForbidsIt) {
  constexpr int kUnits = 200;
  ASSERT_TRUE(open(GetParam()));
  stock(1, kInitial);
  const Ended ended = write_all(kUnits, [](int) -> Work {
    return [](Transaction& tx) -> Result<void> {
      HF_TRY(const auto row, tx.query_one("SELECT avail FROM stock WHERE id = 1"));
      HF_TRY(tx.execute("UPDATE stock SET avail = ? WHERE id = 1", {row->integer(0) - 1}));
      return ok();
    };
  });
  EXPECT_EQ(ended.done, kUnits);
  const std::int64_t lost = kUnits - (kInitial - number("SELECT avail FROM stock WHERE id = 1"));
  fmt::print("  {}: {} read-then-write units on one row: {} updates lost, {} transactions rolled back and run again\n",
             GetParam().name, kUnits, lost, rolled_back());
  const bool forbidden = std::string_view(GetParam().name) != "ReadCommitted";
  if (forbidden) EXPECT_EQ(lost, 0);
}

TEST_P(Isolation, ConstraintsHoldInEveryCommittedState) {
  constexpr int kUnits = 600;
  ASSERT_TRUE(open(GetParam()));
  for (int item = 1; item <= 4; ++item) stock(item, 50);
  int states = 0;
  bool loading = true;
  auto watch = [&]() -> asio::awaitable<void> {
    while (loading) {
      std::function<Result<std::vector<std::int64_t>>(sql::Reader&)> look =
          [](sql::Reader& reader) -> Result<std::vector<std::int64_t>> {
        HF_TRY(const auto sums, reader.query_one("SELECT MIN(avail), SUM(avail + sold), SUM(sold) FROM stock"));
        HF_TRY(const auto count, reader.query_one("SELECT COUNT(*) FROM orders"));
        return std::vector<std::int64_t>{sums->integer(0), sums->integer(1), sums->integer(2), count->integer(0)};
      };
      const auto seen = co_await db_->read<std::vector<std::int64_t>>(std::move(look));
      EXPECT_TRUE(seen) << seen.error().to_string();
      if (!seen) co_return;
      ++states;
      EXPECT_GE(seen->at(0), 0) << "oversold";
      EXPECT_EQ(seen->at(1), 200) << "avail + sold = initial";
      EXPECT_EQ(seen->at(2), seen->at(3)) << "as many sold as there are orders";
    }
  };
  asio::co_spawn(loop_.executor(), watch(), asio::detached);
  int left = kUnits, sold = 0, refused = 0;
  auto one = [&](int i) -> asio::awaitable<void> {
    Work work = order(i % 400, 1 + i % 4);  // ids come twice: the order's key is the guard
    const Result<void> result = co_await db_->write(std::move(work));
    (result ? sold : refused) += 1;
    if (--left == 0) loading = false;
  };
  for (int i = 0; i < kUnits; ++i) asio::co_spawn(loop_.executor(), one(i), asio::detached);
  ASSERT_TRUE(loop_.drain(60s));
  EXPECT_EQ(sold, 200);
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 200);
  fmt::print("  {}: {} committed states looked at under {} orders ({} sold, {} refused): all constraints held\n",
             GetParam().name, states, kUnits, sold, refused);
}

/// The database's own constraint is the last guard, for a statement that forgot its condition.
TEST_P(Isolation, TheCheckRefusesWhatAnUnguardedStatementWouldDo) {
  ASSERT_TRUE(open(GetParam()));
  stock(1, 0);
  const Result<void> result = write([](Transaction& tx) -> Result<void> {
    HF_TRY(tx.execute("UPDATE stock SET avail = avail - 1 WHERE id = 1"));
    return ok();
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::conflict) << result.error().to_string();
  EXPECT_EQ(number("SELECT avail FROM stock WHERE id = 1"), 0);
}

/// As an application does it: read what it needs (SERIALIZABLE locks that row), then take it. All at once.
TEST_P(Isolation, ThroughputOfReadThenGuardedUpdate) {
  constexpr int kUnits = 3000, kItems = 64;
  ASSERT_TRUE(open(GetParam()));
  for (int item = 1; item <= kItems; ++item) stock(item, kInitial);
  const Ended ended = write_all(kUnits, [](int i) -> Work {
    return [i](Transaction& tx) -> Result<void> {
      const std::int64_t item = 1 + i % kItems;
      HF_TRY(tx.query_one("SELECT avail FROM stock WHERE id = ?", {item}));
      return order(i, item)(tx);
    };
  });
  EXPECT_EQ(ended.done, kUnits);
  EXPECT_EQ(number("SELECT SUM(sold) FROM stock"), kUnits);
  fmt::print(
      "  {:<15} {} orders on {} items, all asked for at once, {}: {:.0f} orders/s, {} transactions rolled back and run "
      "again, {} asked for again\n",
      GetParam().name, kUnits, kItems,
      GetParam().options == nullptr ? "synchronous=FULL" : "4 writers, binary log, sync_binlog=1",
      kUnits / ended.seconds, rolled_back(), ended.asked_again);
}

// ---- settings
// --------------------------------------------------------------------------------------------------------

class Level : public IsolationBase {
 protected:
  std::string of_a_writer() {
    std::string level;
    EXPECT_TRUE(write([&](Transaction& tx) -> Result<void> {
      HF_TRY(const auto row, tx.query_one("SELECT @@tx_isolation"));
      level = row->text(0);
      return ok();
    }));
    return level;
  }
};

TEST_F(Level, IsReadCommittedByDefaultWhateverTheServersDefaultIs) {
  ASSERT_TRUE(open(kReadCommitted));
  EXPECT_EQ(of_a_writer(), "READ-COMMITTED") << "the server's own is READ-UNCOMMITTED";
}

TEST_F(Level, IsWhatTheUrlSays) {
  ASSERT_TRUE(open(kRepeatableRead));
  EXPECT_EQ(of_a_writer(), "REPEATABLE-READ");
  close();
  ASSERT_TRUE(open(kSerializable));
  EXPECT_EQ(of_a_writer(), "SERIALIZABLE");
}

TEST_F(Level, ReadUncommittedIsRefused) {
  const Result<void> opened = open_url(server->url(fresh_name(), "isolation=read-uncommitted"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::invalid);
  EXPECT_NE(opened.error().message.find("read-uncommitted is refused"), std::string::npos) << opened.error().message;
  fmt::print("  {}\n", opened.error().message);
}

/// The server ended the transaction, the unit hides it and goes on: its next statement must not run alone, and commit
/// at once.
TEST_F(Level, AStatementAfterALostTransactionDoesNotRunAlone) {
  auto stub = oceanbase::Stub::start({.upstream_socket = server->socket()});
  ASSERT_TRUE(stub);
  ASSERT_TRUE(open_url((*stub)->url(fresh_name())));
  stock(1, 10);
  (*stub)->play({.statement = "^INSERT INTO orders",
                 .effect = oceanbase::Effect::rolled_back,
                 .number = 1213,
                 .sqlstate = "40001",
                 .text = "Deadlock"});
  int runs = 0;
  EXPECT_TRUE(write([&](Transaction& tx) -> Result<void> {
    ++runs;
    HF_TRY(tx.execute("UPDATE stock SET avail = avail - 1, sold = sold + 1 WHERE id = 1"));
    (void)tx.execute("INSERT INTO orders VALUES (1, 1)");
    (void)tx.execute("INSERT INTO orders VALUES (2, 1)");
    return ok();
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(number("SELECT avail FROM stock WHERE id = 1"), 9);
  EXPECT_EQ(number("SELECT COUNT(*) FROM orders"), 2);
  EXPECT_TRUE((*stub)->violations().empty());
  close();
}

}  // namespace
}  // namespace hf::anomalies
