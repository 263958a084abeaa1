#pragma once

/// For the tests of sql: a folder of its own, a real loop, and a way to run a coroutine to its end.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "sql/database.h"
#include "sys/loop.h"

namespace hf::sql {

class SqlTest : public ::testing::Test {
 protected:
  SqlTest() {
    char name[] = "/tmp/hf_sql_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
  }
  ~SqlTest() override {
    if (db_) close();
    std::filesystem::remove_all(dir_);
  }

  Result<void> open(const std::string& url = "sqlite:test.db") {
    HF_TRY(db_, sql::open(loop_.world(), url, dir_));
    return ok();
  }
  void close() {
    loop_.run_until_done(db_->close());
    db_.reset();
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
  std::string file() const { return dir_ + "/test.db"; }

  std::string dir_;
  sys::Loop loop_;
  std::unique_ptr<Database> db_;
};

}  // namespace hf::sql
