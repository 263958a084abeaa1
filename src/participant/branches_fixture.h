#pragma once

/// For the tests of branches: a shop's stock in a real database, and the business work on it.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "participant/branches.h"
#include "sql/database.h"
#include "sys/eventually.h"
#include "sys/loop.h"

namespace hf::participant {

using wire::two_phase::Decision;
using wire::two_phase::Vote;

inline std::string gtrid_of(int n) { return fmt::format("hf1.local.1.{:032x}", n); }

/// stock(item, avail, reserved, sold) with item 1 = 100 and item 2 = 10.
inline std::vector<std::string> stock_tables() {
  return {
      "CREATE TABLE stock (item BIGINT PRIMARY KEY, avail BIGINT NOT NULL, reserved BIGINT NOT NULL, "
      "sold BIGINT NOT NULL, CHECK (avail >= 0))",
      "CREATE TABLE reservation (gtrid VARCHAR(64) NOT NULL, item BIGINT NOT NULL, qty BIGINT NOT NULL)",
      "INSERT INTO stock VALUES (1, 100, 0, 0)", "INSERT INTO stock VALUES (2, 10, 0, 0)"};
}

/// Takes `qty`: from avail to reserved (reservation), or to sold (XA).
inline Work take(std::int64_t item, std::int64_t qty) {
  return [item, qty](BranchTx tx) -> Result<void> {
    const char* const into = tx.keeps == Keeps::xa ? "sold" : "reserved";
    HF_TRY(const std::int64_t changed,
           tx.sql.execute(
               fmt::format("UPDATE stock SET avail = avail - ?, {0} = {0} + ? WHERE item = ? AND avail >= ?", into),
               {qty, qty, item, qty}));
    if (changed != 1) return Error{Code::conflict, "Insufficient stock!"};
    if (tx.keeps == Keeps::xa) return ok();
    HF_TRY(tx.sql.execute("INSERT INTO reservation VALUES (?, ?, ?)", {tx.gtrid, item, qty}));
    return ok();
  };
}

/// reserved → sold, or back.
inline Result<void> settle_stock(BranchTx tx, Decision decision) {
  HF_TRY(const sql::Rows held, tx.sql.query("SELECT item, qty FROM reservation WHERE gtrid = ?", {tx.gtrid}));
  const char* const into = decision == Decision::commit ? "sold" : "avail";
  for (const sql::Row& row : held) {
    HF_TRY(tx.sql.execute(fmt::format("UPDATE stock SET reserved = reserved - ?, {0} = {0} + ? WHERE item = ?", into),
                          {row.integer(1), row.integer(1), row.integer(0)}));
  }
  HF_TRY(tx.sql.execute("DELETE FROM reservation WHERE gtrid = ?", {tx.gtrid}));
  return ok();
}

inline Result<void> run_statements(sys::Loop& loop, sql::Database& db, std::vector<std::string> statements) {
  std::function<Result<void>(sql::Transaction&)> work = [statements](sql::Transaction& tx) -> Result<void> {
    for (const std::string& statement : statements) HF_TRY(tx.execute(statement));
    return ok();
  };
  return loop.run_until_done(db.write(std::move(work)));
}

/// "avail/reserved/sold" of an item.
inline std::string stock_of(sys::Loop& loop, sql::Database& db, std::int64_t item) {
  std::function<Result<std::string>(sql::Reader&)> work = [item](sql::Reader& reader) -> Result<std::string> {
    HF_TRY(const auto row, reader.query_one("SELECT avail, reserved, sold FROM stock WHERE item = ?", {item}));
    return fmt::format("{}/{}/{}", row->integer(0), row->integer(1), row->integer(2));
  };
  const Result<std::string> answer = loop.run_until_done(db.read<std::string>(std::move(work)));
  return answer ? *answer : answer.error().to_string();
}

inline std::int64_t number_of(sys::Loop& loop, sql::Database& db, std::string sql) {
  std::function<Result<std::int64_t>(sql::Reader&)> work = [sql](sql::Reader& reader) -> Result<std::int64_t> {
    HF_TRY(const auto row, reader.query_one(sql));
    return row->integer(0);
  };
  const Result<std::int64_t> answer = loop.run_until_done(db.read<std::int64_t>(std::move(work)));
  EXPECT_TRUE(answer) << answer.error().to_string();
  return answer ? *answer : -1;
}

/// A folder of its own, a real loop, one database.
class BranchesTest : public ::testing::Test {
 protected:
  BranchesTest() {
    char name[] = "/tmp/hf_branches_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
  }
  ~BranchesTest() override {
    close();
    EXPECT_TRUE(loop_.drain(30s));
    std::filesystem::remove_all(dir_);
  }

  void open(BranchConfig config, std::string url = "sqlite:test.db") {
    db_ = std::move(*sql::open(loop_.world(), url, dir_));
    branches_ = make(std::move(config));
    const Result<void> started = loop_.run_until_done(branches_->start());
    ASSERT_TRUE(started) << started.error().to_string();
  }
  virtual std::unique_ptr<Branches> make(BranchConfig config) {
    return make_reservation_branches(loop_.world(), *db_, std::move(config), settle_stock);
  }
  void close() {
    if (branches_) loop_.run_until_done(branches_->close());
    branches_.reset();
    if (db_) loop_.run_until_done(db_->close());
    db_.reset();
  }

  std::string run(std::string gtrid, Work work, std::string payload = "{}") {
    const Result<void> done =
        loop_.run_until_done(branches_->run(std::move(gtrid), std::move(payload), std::move(work)));
    return done ? "ok" : fmt::format("{}: {}", to_string(done.error().code), done.error().message);
  }
  std::string prepare(std::string gtrid) {
    const Result<Voted> voted = loop_.run_until_done(branches_->prepare(std::move(gtrid)));
    if (!voted) return fmt::format("{}: {}", to_string(voted.error().code), voted.error().message);
    return std::string(to_string(voted->vote)) + (voted->reason.empty() ? "" : ": " + voted->reason);
  }
  static std::string spell(const Result<Ended>& ended) {
    if (!ended) return fmt::format("{}: {}", to_string(ended.error().code), ended.error().message);
    constexpr const char* kNames[] = {"committed", "aborted", "not_prepared", "unknown", "heuristic"};
    return kNames[static_cast<std::size_t>(*ended)];
  }
  std::string end(std::string gtrid, Decision decision) {
    return spell(loop_.run_until_done(branches_->end(std::move(gtrid), decision)));
  }
  std::string commit(std::string gtrid) { return end(std::move(gtrid), Decision::commit); }
  std::string abort(std::string gtrid) { return end(std::move(gtrid), Decision::abort); }
  std::string resolve(std::string gtrid, Decision decision, std::string reason) {
    return spell(loop_.run_until_done(branches_->resolve(std::move(gtrid), decision, std::move(reason))));
  }
  std::vector<InDoubt> in_doubt() {
    const Result<std::vector<InDoubt>> all = loop_.run_until_done(branches_->in_doubt());
    EXPECT_TRUE(all);
    return all ? *all : std::vector<InDoubt>();
  }
  std::vector<Heuristic> heuristics() {
    const Result<std::vector<Heuristic>> all = loop_.run_until_done(branches_->heuristics());
    EXPECT_TRUE(all);
    return all ? *all : std::vector<Heuristic>();
  }
  std::string stock(std::int64_t item = 1) { return stock_of(loop_, *db_, item); }
  template <class Condition>
  bool eventually(Condition met) {
    return sys::eventually(loop_, std::move(met));
  }

  std::string dir_;
  sys::Loop loop_;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Branches> branches_;
};

}  // namespace hf::participant
