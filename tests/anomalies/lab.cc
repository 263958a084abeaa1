#include "anomalies/lab.h"

#include <fmt/format.h>
#include <mysql.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdlib>

#include "base/assert.h"
#include "sql/mysql/classify.h"
#include "sql/mysql/local_server.h"
#include "sql/mysql/login.h"

namespace hf::anomalies {
namespace {

namespace my = sql::mysql;
using namespace std::chrono_literals;

class MariaDbSession final : public Session {
 public:
  MariaDbSession(const std::string& socket, MYSQL* watcher) : watcher_(watcher), connection_(::mysql_init(nullptr)) {
    HF_ASSERT(::mysql_real_connect(connection_, "localhost", "root", nullptr, nullptr, 0, socket.c_str(), 0) !=
              nullptr);
  }
  ~MariaDbSession() override { ::mysql_close(connection_); }

  std::future<Answer> start(std::string sql) override {
    waiting_before_ = waiting();
    return std::async(std::launch::async, [this, text = std::move(sql)] { return execute(connection_, text); });
  }
  bool waits() override { return waiting() > waiting_before_; }

  static Answer execute(MYSQL* connection, const std::string& sql) {
    if (::mysql_query(connection, sql.c_str()) != 0) return {.error = static_cast<int>(::mysql_errno(connection))};
    Answer answer;
    if (MYSQL_RES* result = ::mysql_store_result(connection)) {
      MYSQL_ROW row = ::mysql_fetch_row(result);
      if (row != nullptr && row[0] != nullptr) answer.value = std::strtoll(row[0], nullptr, 10);
      ::mysql_free_result(result);
    }
    return answer;
  }

 private:
  /// How many wait for a row lock now. (information_schema.innodb_trx is a cache that frequent reading keeps old.)
  std::int64_t waiting() const {
    return execute(watcher_,
                   "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
                   "WHERE VARIABLE_NAME = 'INNODB_ROW_LOCK_CURRENT_WAITS'")
        .value;
  }
  MYSQL *watcher_, *connection_;
  std::int64_t waiting_before_ = 0;
};

my::Isolation isolation_of(Level level) {
  switch (level) {
    case Level::read_uncommitted:
    case Level::read_committed:
      return my::Isolation::read_committed;
    case Level::repeatable_read:
      return my::Isolation::repeatable_read;
    case Level::serializable:
      return my::Isolation::serializable;
  }
  HF_ASSERT(false);
}

class MariaDbLab final : public Lab {
 public:
  explicit MariaDbLab(std::unique_ptr<my::LocalServer> server) : server_(std::move(server)) {
    watcher_ = ::mysql_init(nullptr);
    HF_ASSERT(::mysql_real_connect(watcher_, "localhost", "root", nullptr, nullptr, 0, server_->socket().c_str(), 0) !=
              nullptr);
    HF_ASSERT(MariaDbSession::execute(watcher_, "CREATE DATABASE lab").error == 0);
  }
  ~MariaDbLab() override { ::mysql_close(watcher_); }

  std::unique_ptr<Session> session(Level level) override {
    auto session = std::make_unique<MariaDbSession>(server_->socket(), watcher_);
    const my::SessionOptions options{.isolation = isolation_of(level), .lock_timeout = 30s};
    for (const std::string& setting : my::session_settings(my::Flavour::mariadb, options)) {
      HF_ASSERT(session->run(setting).error == 0);
    }
    if (level == Level::read_uncommitted) session->run("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
    HF_ASSERT(session->run("USE lab").error == 0);
    return session;
  }
  std::string conflict(int error) const override {
    const my::Verdict verdict =
        my::classify(my::Flavour::mariadb, my::Phase::statement, {static_cast<unsigned>(error), "", ""});
    if (verdict.error_class != my::ErrorClass::retry_transaction) return {};
    return error == 1213   ? "1213 deadlock"
           : error == 1020 ? "1020 row changed since snapshot"
                           : fmt::format("{}", error);
  }
  std::string begin() const override { return "BEGIN"; }

 private:
  std::unique_ptr<my::LocalServer> server_;
  MYSQL* watcher_ = nullptr;
};

class SqliteSession final : public Session {
 public:
  explicit SqliteSession(const std::string& file) {
    HF_ASSERT(::sqlite3_open(file.c_str(), &connection_) == SQLITE_OK);
    ::sqlite3_extended_result_codes(connection_, 1);
    execute("PRAGMA journal_mode = WAL");
    execute("PRAGMA synchronous = FULL");
  }
  ~SqliteSession() override { ::sqlite3_close(connection_); }
  std::future<Answer> start(std::string sql) override {
    std::promise<Answer> done;
    done.set_value(execute(sql));
    return done.get_future();
  }
  bool waits() override { return false; }  // it says "busy" at once

 private:
  Answer execute(const std::string& sql) {
    Answer answer;
    const auto first_value = [](void* to, int, char** values, char**) {
      static_cast<Answer*>(to)->value = values[0] == nullptr ? 0 : std::strtoll(values[0], nullptr, 10);
      return 0;
    };
    answer.error = ::sqlite3_exec(connection_, sql.c_str(), first_value, &answer, nullptr);
    return answer;
  }
  sqlite3* connection_ = nullptr;
};

class SqliteLab final : public Lab {
 public:
  explicit SqliteLab(std::string file) : file_(std::move(file)) {}
  std::unique_ptr<Session> session(Level) override { return std::make_unique<SqliteSession>(file_); }
  std::string conflict(int error) const override {
    if (error == SQLITE_BUSY_SNAPSHOT) return "517 snapshot too old";
    return error == SQLITE_BUSY ? "5 another writer" : "";
  }
  std::string begin() const override { return "BEGIN"; }

 private:
  std::string file_;
};

}  // namespace

std::optional<Answer> Session::step(const std::string& sql) {
  pending_ = start(sql);
  while (pending_.wait_for(1ms) != std::future_status::ready) {
    if (waits()) return std::nullopt;
  }
  return pending_.get();
}

std::string to_string(Level level) {
  switch (level) {
    case Level::read_uncommitted:
      return "READ UNCOMMITTED";
    case Level::read_committed:
      return "READ COMMITTED";
    case Level::repeatable_read:
      return "REPEATABLE READ";
    case Level::serializable:
      return "SERIALIZABLE";
  }
  HF_ASSERT(false);
}

std::unique_ptr<Lab> mariadb_lab(const std::string& folder, std::string& problem) {
  Result<std::unique_ptr<my::LocalServer>> server = my::LocalServer::start({.folder = folder + "/mariadb"});
  if (!server) {
    problem = server.error().to_string();
    return nullptr;
  }
  return std::make_unique<MariaDbLab>(std::move(*server));
}

std::unique_ptr<Lab> sqlite_lab(const std::string& folder) { return std::make_unique<SqliteLab>(folder + "/lab.db"); }

}  // namespace hf::anomalies
