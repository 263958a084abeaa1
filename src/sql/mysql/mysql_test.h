#pragma once

/// For the tests of MySQL as a substrate: a fresh database on the shared server, and a second connection that does what
/// other clients would do.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "sql/mysql/connection.h"
#include "sql/mysql/slow_machine.h"
#include "sql/mysql/test_server.h"
#include "sql/test_database.h"
#include "sys/eventually.h"

namespace hf::sql::mysql {

class MysqlTest : public DatabaseTest {
 protected:
  explicit MysqlTest(const std::string& options = "") : DatabaseTest(fresh_url(options)) {}

  /// The same database with further options: of one that is there twice the last counts.
  Result<void> reopen(const std::string& options) {
    if (db_) close();
    url_ += "&" + options;
    return open();
  }
  static std::unique_ptr<Connection> connect(const std::string& url, Purpose purpose = Purpose::write) {
    Result<Settings> settings = parse_url(url);
    HF_ASSERT(settings.has_value());
    Result<std::unique_ptr<Connection>> connection = Connection::open(*settings, purpose);
    HF_ASSERT(connection.has_value());
    return std::move(*connection);
  }
  /// Another client of the same database.
  std::unique_ptr<Connection> another_client() const { return connect(url_); }
  /// Ends the server's sessions of the database under test, but for `but`.
  void kill_sessions(Connection& by) {
    const auto rows = by.control_query(
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()");
    HF_ASSERT(rows.has_value());
    for (const Row& row : *rows) (void)by.control("KILL " + row.text(0));
  }
  /// "test7"
  std::string database() const { return parse_url(url_)->database; }
  double counter(const std::string& name, std::string label, std::string value) {
    return loop_.world()
        .metrics.counter(name, "", {{"database", database()}, {std::move(label), std::move(value)}})
        .value();
  }
  template <class T>
  T run(asio::awaitable<T> task) {
    return loop_.run_until_done(std::move(task));
  }
  template <class Condition>
  bool eventually(Condition met) {
    return sys::eventually(loop_, std::move(met));
  }
};

}  // namespace hf::sql::mysql
