#pragma once

/// For the tests of sql: a database of any substrate, a folder and a real loop, and ways to run a coroutine to its end.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "sql/database.h"
#include "sys/loop.h"

namespace hf::sql {

class DatabaseTest : public ::testing::Test {
 protected:
  explicit DatabaseTest(std::string url) : url_(std::move(url)) {
    char name[] = "/tmp/hf_sql_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
  }
  ~DatabaseTest() override {
    if (db_) close();
    std::filesystem::remove_all(dir_);
  }

  Result<void> open() { return open(url_); }
  Result<void> open(const std::string& url) {
    HF_TRY(db_, sql::open(loop_.world(), url, dir_));
    return ok();
  }
  void close() {
    loop_.run_until_done(db_->close());
    db_.reset();
  }
  /// Tables are made by migrations: DDL in a unit of work is not for every substrate.
  Result<void> create(std::vector<std::string> statements) {
    std::vector<Migration> one = {{1, "tables", std::move(statements)}};
    return loop_.run_until_done(db_->migrate(fmt::format("test{}", ++migrations_), std::move(one)));
  }
  template <class T>
  Result<T> write(std::function<Result<T>(Transaction&)> work) {
    return loop_.run_until_done(db_->write<T>(std::move(work)));
  }
  Result<std::int64_t> execute(std::string sql, Params params = {}) {
    std::function<Result<std::int64_t>(Transaction&)> work = [sql, params](Transaction& tx) {
      return tx.execute(sql, params);
    };
    return write<std::int64_t>(std::move(work));
  }
  Result<Rows> query(std::string sql, Params params = {}) {
    std::function<Result<Rows>(Reader&)> work = [sql, params](Reader& reader) { return reader.query(sql, params); };
    return loop_.run_until_done(db_->read<Rows>(std::move(work)));
  }
  /// The one integer that `sql` gives.
  std::int64_t number(std::string sql) {
    const Result<Rows> rows = query(std::move(sql));
    EXPECT_TRUE(rows) << rows.error().to_string();
    return rows && rows->size() == 1 ? rows->front().integer(0) : -1;
  }
  std::string dir_, url_;
  sys::Loop loop_;
  std::unique_ptr<Database> db_;
  int migrations_ = 0;
};

}  // namespace hf::sql
