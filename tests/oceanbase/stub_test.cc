/// The stub itself, with the client library alone.

#include "oceanbase/stub.h"

#include <gtest/gtest.h>
#include <mysql.h>
#include <stdlib.h>

#include <filesystem>

#include "oceanbase/dialect.h"
#include "sql/mysql/local_server.h"

namespace hf::oceanbase {
namespace {

using sql::mysql::LocalServer;

class StubTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    char name[] = "/tmp/hf_stub_XXXXXX";
    folder = ::mkdtemp(name);
    Result<std::unique_ptr<LocalServer>> started = LocalServer::start({.folder = folder + "/db"});
    if (!started) fmt::print(stderr, "{}\n", started.error().to_string());
    HF_ASSERT(started.has_value());  // a failed set-up would be counted as skipped tests
    server = std::move(*started);
  }
  static void TearDownTestSuite() {
    server.reset();
    std::filesystem::remove_all(folder);
  }
  void start(StubOptions options = {}) {
    options.upstream_socket = server->socket();
    Result<std::unique_ptr<Stub>> started = Stub::start(std::move(options));
    ASSERT_TRUE(started) << started.error().to_string();
    stub_ = std::move(*started);
  }
  struct Closer {
    void operator()(MYSQL* connection) const { ::mysql_close(connection); }
  };
  using Client = std::unique_ptr<MYSQL, Closer>;
  Client connect(const char* user = "app@shop#c1", const char* password = "secret") {
    Client client(::mysql_init(nullptr));
    if (::mysql_real_connect(client.get(), "127.0.0.1", user, password, nullptr, stub_->port(), nullptr, 0) ==
        nullptr) {
      error_ = ::mysql_errno(client.get());
      return nullptr;
    }
    return client;
  }
  static constexpr const char* kSetUp =
      "SET NAMES utf8mb4, SESSION autocommit = 1, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES', "
      "@@session.ob_query_timeout = 9000000, ob_trx_timeout = 9000000, ob_trx_idle_timeout = 99000000, "
      "ob_trx_lock_timeout = 1000000, "
      "ob_read_consistency = 'STRONG'";
  Client set_up() {
    Client client = connect();
    EXPECT_EQ(run(client, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"), 0U);
    EXPECT_EQ(run(client, kSetUp), 0U);
    EXPECT_EQ(run(client, "CREATE DATABASE IF NOT EXISTS stub"), 0U);
    EXPECT_EQ(::mysql_select_db(client.get(), "stub"), 0);
    return client;
  }
  /// The error's number, or 0.
  static unsigned run(const Client& client, const std::string& sql) {
    if (::mysql_query(client.get(), sql.c_str()) != 0) return ::mysql_errno(client.get());
    if (MYSQL_RES* result = ::mysql_store_result(client.get())) ::mysql_free_result(result);
    return 0;
  }
  static std::string value(const Client& client, const std::string& sql) {
    if (::mysql_query(client.get(), sql.c_str()) != 0) return ::mysql_error(client.get());
    MYSQL_RES* result = ::mysql_store_result(client.get());
    MYSQL_ROW row = ::mysql_fetch_row(result);
    std::string text = row == nullptr || row[0] == nullptr ? "" : row[0];
    ::mysql_free_result(result);
    return text;
  }

  static inline std::string folder;
  static inline std::unique_ptr<LocalServer> server;
  std::unique_ptr<Stub> stub_;
  unsigned error_ = 0;
};

TEST_F(StubTest, GreetsAsOceanBaseAndChecksNameAndPassword) {
  start();
  const Client client = connect();
  ASSERT_TRUE(client);
  EXPECT_STREQ(::mysql_get_server_info(client.get()), "5.7.25 OceanBase 4.3.1.0");
  EXPECT_FALSE(connect("app@shop#c1", "wrong"));
  EXPECT_EQ(error_, 1045U);
  EXPECT_FALSE(connect("app@other#c1"));
  EXPECT_EQ(stub_->logins(), (std::vector<std::string>{"app@shop#c1", "app@other#c1"}));
}

TEST_F(StubTest, AServerRefusesTheClustersName) {
  start({.is_proxy = false});
  EXPECT_FALSE(connect("app@shop#c1"));
  EXPECT_EQ(error_, 1045U);
  EXPECT_TRUE(connect("app@shop"));
}

TEST_F(StubTest, ASessionWorksOnlyAfterItWasToldEveryVariable) {
  start();
  Client client = connect();
  ASSERT_TRUE(client);
  EXPECT_EQ(run(client, "DO 1"), 1105U);
  EXPECT_EQ(run(client, kSetUp), 0U);
  EXPECT_EQ(run(client, "DO 1"), 1105U) << "no isolation yet";
  EXPECT_EQ(stub_->violations().size(), 2U);
  client = set_up();
  EXPECT_EQ(run(client, "DO 1"), 0U);
  EXPECT_EQ(value(client, "SELECT @@sql_mode"), "STRICT_ALL_TABLES") << "MariaDB was told its part";
  EXPECT_EQ(::mysql_reset_connection(client.get()), 0);
  EXPECT_EQ(run(client, "DO 1"), 1105U) << "a reset forgets";
}

TEST_F(StubTest, RefusesWhatOceanBaseLacks) {
  start();
  const Client client = set_up();
  EXPECT_EQ(run(client, "XA START 'a'"), 1064U);
  EXPECT_EQ(run(client, "SELECT GET_LOCK('a', 1)"), 1235U);
  EXPECT_EQ(run(client, "SELECT 1 FROM t FOR UPDATE SKIP LOCKED"), 1064U);
  EXPECT_EQ(run(client, "CREATE TABLE c (a INT) COLLATE=utf8mb4_0900_ai_ci"), 1273U);
  EXPECT_EQ(run(client, "CREATE OR REPLACE TABLE c (a INT) COLLATE=utf8mb4_bin"), 0U);
  EXPECT_EQ(stub_->violations().size(), 3U) << "probing for XA is allowed";
}

TEST_F(StubTest, PassesPreparedStatementsAndLargeResultsThrough) {
  start();
  const Client client = set_up();
  MYSQL_STMT* statement = ::mysql_stmt_init(client.get());
  const std::string sql = "SELECT seq, REPEAT('x', 100) FROM seq_1_to_5000 WHERE seq > ?";
  ASSERT_EQ(::mysql_stmt_prepare(statement, sql.data(), sql.size()), 0) << ::mysql_stmt_error(statement);
  int after = 1000;
  MYSQL_BIND bind{};
  bind.buffer_type = MYSQL_TYPE_LONG;
  bind.buffer = &after;
  for (int round = 0; round < 3; ++round) {
    ASSERT_FALSE(::mysql_stmt_bind_param(statement, &bind));
    ASSERT_EQ(::mysql_stmt_execute(statement), 0) << ::mysql_stmt_error(statement);
    ASSERT_EQ(::mysql_stmt_store_result(statement), 0);
    EXPECT_EQ(::mysql_stmt_num_rows(statement), 4000U);
    ::mysql_stmt_free_result(statement);
  }
  ::mysql_stmt_close(statement);
  EXPECT_EQ(value(client, "SELECT 7"), "7");
}

TEST_F(StubTest, SpoilsTheChosenAnswerBeforeOrAfterTheStatement) {
  start();
  const Client client = set_up();
  ASSERT_EQ(run(client, "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)"), 0U);
  stub_->play({.statement = "^INSERT", .number = 4038, .sqlstate = "HY000", .text = "not master", .skip = 1});
  stub_->play(
      {.statement = "^REPLACE", .effect = Effect::executed, .number = 4012, .sqlstate = "HY000", .text = "late"});
  EXPECT_EQ(run(client, "INSERT INTO t VALUES (1)"), 0U);
  EXPECT_EQ(run(client, "INSERT INTO t VALUES (2)"), 4038U);
  EXPECT_STREQ(::mysql_error(client.get()), "not master");
  EXPECT_EQ(value(client, "SELECT COUNT(*) FROM t"), "1");
  EXPECT_EQ(run(client, "INSERT INTO t VALUES (2)"), 0U) << "once";
  EXPECT_EQ(run(client, "REPLACE INTO t VALUES (3)"), 4012U);
  EXPECT_EQ(value(client, "SELECT COUNT(*) FROM t"), "3");
  EXPECT_EQ(stub_->played(), 2);
}

TEST_F(StubTest, ARolledBackTransactionIsReallyRolledBack) {
  start();
  const Client client = set_up();
  ASSERT_EQ(run(client, "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)"), 0U);
  stub_->play({.statement = "^INSERT", .effect = Effect::rolled_back, .number = 6002, .sqlstate = "40000", .skip = 1});
  EXPECT_EQ(run(client, "BEGIN"), 0U);
  EXPECT_EQ(run(client, "INSERT INTO t VALUES (1)"), 0U);
  EXPECT_EQ(run(client, "INSERT INTO t VALUES (2)"), 6002U);
  EXPECT_EQ(value(client, "SELECT COUNT(*) FROM t"), "0");
}

TEST_F(StubTest, CutsAConnectionBeforeOrAfterTheCommit) {
  start();
  const Client watcher = set_up();
  ASSERT_EQ(run(watcher, "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)"), 0U);
  for (const Effect effect : {Effect::none, Effect::executed}) {
    const Client client = set_up();
    stub_->play({.statement = "^COMMIT", .effect = effect, .answer = Answer::cut});
    EXPECT_EQ(run(client, "BEGIN"), 0U);
    EXPECT_EQ(run(client, "INSERT INTO t VALUES (1)"), 0U);
    EXPECT_EQ(run(client, "COMMIT"), 2013U);
    EXPECT_EQ(value(watcher, "SELECT COUNT(*) FROM t"), effect == Effect::executed ? "1" : "0");
  }
}

TEST_F(StubTest, ACommitOnItsWayIsExecutedWhenReleased) {
  start();
  const Client watcher = set_up();
  ASSERT_EQ(run(watcher, "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)"), 0U);
  const Client client = set_up();
  stub_->play({.statement = "^COMMIT", .effect = Effect::executed_on_release, .answer = Answer::cut});
  EXPECT_EQ(run(client, "BEGIN"), 0U);
  EXPECT_EQ(run(client, "INSERT INTO t VALUES (1)"), 0U);
  EXPECT_EQ(run(client, "COMMIT"), 2013U);
  EXPECT_EQ(value(watcher, "SELECT COUNT(*) FROM t"), "0");
  stub_->release();
  EXPECT_EQ(value(watcher, "SELECT COUNT(*) FROM t"), "1");
}

TEST_F(StubTest, CutsIdleSessions) {
  start();
  const Client client = set_up();
  stub_->cut_sessions();
  EXPECT_NE(run(client, "DO 1"), 0U);
  EXPECT_TRUE(connect());
}

TEST_F(StubTest, TheServersEndIsPassedOn) {
  start();
  const Client client = set_up();
  const Client other = set_up();
  ASSERT_EQ(run(other, "KILL CONNECTION " + value(client, "SELECT CONNECTION_ID()")), 0U);
  EXPECT_NE(run(client, "DO 1"), 0U);
}

TEST(StubDialect, FindsTheVariablesOfASetStatement) {
  EXPECT_EQ(variables_of("SET SESSION autocommit = 1, sql_mode = 'A,B', @@ob_trx_timeout=5"),
            (std::set<std::string>{"autocommit", "sql_mode", "ob_trx_timeout"}));
  EXPECT_EQ(variables_of("set session transaction isolation level read committed"), std::set<std::string>{"isolation"});
  EXPECT_EQ(variables_of("SET NAMES utf8mb4"), std::set<std::string>{"names"});
  EXPECT_EQ(split_statements("SET a = ';'; BEGIN;"), (std::vector<std::string>{"SET a = ';'", " BEGIN"}));
  EXPECT_EQ(for_mariadb("SET ob_read_consistency = 'STRONG', ob_trx_timeout = 2"), "DO 0");
  EXPECT_EQ(for_mariadb("SET a = 'x,y', ob_query_timeout = 1500000"), "SET a = 'x,y', max_statement_time = 2");
}

}  // namespace
}  // namespace hf::oceanbase
