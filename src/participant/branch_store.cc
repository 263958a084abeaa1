#include "participant/branch_store.h"

#include <fmt/format.h>

namespace hf::participant {
namespace {

namespace two_phase = wire::two_phase;

constexpr std::size_t kReasonMax = 1000, kPurgeMax = 500;

const std::vector<sql::Migration>& migrations() {
  static const std::vector<sql::Migration> all = {
      {1,
       "branches",
       {"CREATE TABLE branches ("
        "gtrid VARCHAR(64) NOT NULL, bqual VARCHAR(32) NOT NULL, state VARCHAR(9) NOT NULL, "
        "payload_hash VARCHAR(64) NOT NULL, life VARCHAR(16) NOT NULL, reason VARCHAR(1000) NOT NULL, changed_at_us "
        "BIGINT NOT NULL, "
        "PRIMARY KEY (gtrid, bqual), CHECK (state IN ('prepared', 'committed', 'aborted')))",
        "CREATE INDEX branches_by_state ON branches (bqual, state, changed_at_us)",
        "CREATE TABLE branch_heuristics ("
        "gtrid VARCHAR(64) NOT NULL, bqual VARCHAR(32) NOT NULL, decided VARCHAR(9) NOT NULL, "
        "found VARCHAR(9) NOT NULL, reason VARCHAR(1000) NOT NULL, at_us BIGINT NOT NULL, "
        "PRIMARY KEY (gtrid, bqual))"}}};
  return all;
}

/// At most kReasonMax bytes, cut between characters.
std::string bounded(std::string text) {
  if (text.size() <= kReasonMax) return text;
  std::size_t end = kReasonMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text;
}

std::string text_of(BranchState state) { return std::string(to_string(state)); }

/// A row that the schema's CHECK would not let in.
Result<StoredBranch> to_branch(const sql::Row& row) {
  const std::optional<BranchState> state = stored_state_from(row.text(0));
  if (!state) return Error{Code::corrupt, fmt::format("a branch has the state '{}'", row.text(0))};
  return StoredBranch{*state, row.text(1), row.text(2), row.text(3), row.integer(4)};
}

Result<void> check_sqlite(sql::Reader& reader) {
  HF_TRY(const sql::Rows files, reader.query("PRAGMA database_list"));
  for (const sql::Row& file : files) {
    if (file.text(1) != "main" && file.text(1) != "temp") {
      return Error{Code::denied,
                   fmt::format("the database file {} is attached; a commit over several files is not atomic, so a "
                               "branch and what it reserves must be in one",
                               file.text_or(2, file.text(1)))};
    }
  }
  HF_TRY(const auto row, reader.query_one("PRAGMA synchronous"));
  constexpr std::int64_t kFull = 2;
  if (row && row->integer(0) >= kFull) return ok();
  return Error{Code::denied, "SQLite's synchronous is below FULL: it may forget what it acknowledged"};
}

/// Without the variable (OceanBase) there is no such setting: a commit is durable.
Result<void> check_mysql(sql::Reader& reader) {
  HF_TRY(const auto row, reader.query_one("SHOW VARIABLES LIKE 'innodb_flush_log_at_trx_commit'"));
  if (!row || row->text(1) == "1") return ok();
  return Error{Code::denied,
               fmt::format("innodb_flush_log_at_trx_commit is {} and must be 1: prepared branches would be lost when "
                           "the server dies",
                           row->text(1))};
}

}  // namespace

Task<> BranchStore::open() {
  HF_CO_TRY(co_await check_durability());
  std::vector<sql::Migration> all = migrations();
  co_return co_await db_.migrate("participant_branches", std::move(all));
}

Task<> BranchStore::check_durability() {
  const bool sqlite = db_.url().starts_with("sqlite:");
  // The writer's connection: nobody else commits.
  std::function<Result<void>(sql::Transaction&)> on_writer = [sqlite](sql::Transaction& tx) {
    return sqlite ? check_sqlite(tx) : check_mysql(tx);
  };
  co_return co_await db_.write(std::move(on_writer));
}

Result<std::optional<StoredBranch>> BranchStore::find(sql::Reader& reader, const Key& key) {
  HF_TRY(const auto row, reader.query_one("SELECT state, payload_hash, life, reason, changed_at_us FROM branches "
                                          "WHERE gtrid = ? AND bqual = ?",
                                          {key.gtrid, key.name}));
  if (!row) return std::optional<StoredBranch>();
  HF_TRY(StoredBranch branch, to_branch(*row));
  return std::optional<StoredBranch>(std::move(branch));
}

namespace {

constexpr std::string_view kInsert =
    "INSERT INTO branches (gtrid, bqual, state, payload_hash, life, reason, changed_at_us) VALUES (?, ?, ?, ?, ?, ?, "
    "?)";

sql::Params row_of(const BranchStore::Key& key, const StoredBranch& branch) {
  return {key.gtrid,           key.name,    text_of(branch.state),
          branch.payload_hash, branch.life, bounded(branch.reason),
          branch.changed_at_us};
}

}  // namespace

Result<void> BranchStore::insert(sql::Transaction& tx, const Key& key, const StoredBranch& branch) {
  HF_TRY(tx.execute(kInsert, row_of(key, branch)));
  return ok();
}

Result<void> BranchStore::change(sql::Transaction& tx, const Key& key, BranchState state, std::int64_t now_us) {
  HF_TRY(const std::int64_t changed,
         tx.execute("UPDATE branches SET state = ?, changed_at_us = ? WHERE gtrid = ? AND bqual = ? AND state = ?",
                    {text_of(state), now_us, key.gtrid, key.name, text_of(BranchState::prepared)}));
  if (changed == 1) return ok();
  return Error{Code::unavailable, "the branch changed under our hands"};
}

Result<bool> BranchStore::record(sql::Transaction& tx, const Key& key, const Heuristic& heuristic) {
  HF_TRY(const bool is_new,
         tx.insert_if_absent(
             "INSERT INTO branch_heuristics (gtrid, bqual, decided, found, reason, at_us) "
             "VALUES (?, ?, ?, ?, ?, ?)",
             {key.gtrid, key.name, heuristic.decided, heuristic.found, bounded(heuristic.reason), heuristic.at_us}));
  return is_new;
}

Result<bool> BranchStore::learn_decision(sql::Transaction& tx, const Key& key, two_phase::Decision decision) {
  HF_TRY(const std::int64_t learnt,
         tx.execute("UPDATE branch_heuristics SET decided = ? WHERE gtrid = ? AND bqual = ? AND decided = ''",
                    {std::string(two_phase::to_string(decision)), key.gtrid, key.name}));
  return learnt == 1;
}

Task<std::optional<StoredBranch>> BranchStore::find(std::string gtrid) {
  using Answer = std::optional<StoredBranch>;
  std::function<Result<Answer>(sql::Reader&)> work = [at = key(std::move(gtrid))](sql::Reader& reader) {
    return find(reader, at);
  };
  co_return co_await db_.read<Answer>(std::move(work));
}

Task<std::optional<StoredBranch>> BranchStore::find_durable(std::string gtrid) {
  using Answer = std::optional<StoredBranch>;
  std::function<Result<Answer>(sql::Transaction&)> work = [at = key(std::move(gtrid))](sql::Transaction& tx) {
    return find(tx, at);
  };
  co_return co_await db_.write<Answer>(std::move(work));
}

Task<StoredBranch> BranchStore::leave_tombstone(std::string gtrid, std::string reason, std::int64_t now_us) {
  StoredBranch tombstone{BranchState::aborted, {}, {}, bounded(std::move(reason)), now_us};
  std::function<Result<StoredBranch>(sql::Transaction&)> work =
      [at = key(std::move(gtrid)), tombstone = std::move(tombstone)](sql::Transaction& tx) -> Result<StoredBranch> {
    HF_TRY(const bool left, tx.insert_if_absent(kInsert, row_of(at, tombstone)));
    if (left) return tombstone;
    HF_TRY(const auto there, find(tx, at));
    if (there) return *there;
    return Error{Code::unavailable, "the branch changed under our hands"};
  };
  co_return co_await db_.write<StoredBranch>(std::move(work));
}

Task<std::vector<InDoubt>> BranchStore::in_doubt() {
  using Answer = std::vector<InDoubt>;
  std::function<Result<Answer>(sql::Reader&)> work = [name = name_](sql::Reader& reader) -> Result<Answer> {
    HF_TRY(const sql::Rows rows, reader.query("SELECT gtrid, changed_at_us FROM branches WHERE bqual = ? AND state = ? "
                                              "ORDER BY changed_at_us, gtrid",
                                              {name, text_of(BranchState::prepared)}));
    Answer all;
    for (const sql::Row& row : rows) all.push_back({row.text(0), row.integer(1)});
    return all;
  };
  co_return co_await db_.read<Answer>(std::move(work));
}

Task<std::vector<std::string>> BranchStore::tombstones_among(std::vector<std::string> gtrids) {
  using Answer = std::vector<std::string>;
  std::function<Result<Answer>(sql::Reader&)> work = [this, gtrids](sql::Reader& reader) -> Result<Answer> {
    Answer found;
    for (const std::string& gtrid : gtrids) {
      HF_TRY(const auto row, find(reader, key(gtrid)));
      if (row && row->state == BranchState::aborted) found.push_back(gtrid);
    }
    return found;
  };
  co_return co_await db_.read<Answer>(std::move(work));
}

Task<std::vector<Heuristic>> BranchStore::heuristics() {
  using Answer = std::vector<Heuristic>;
  std::function<Result<Answer>(sql::Reader&)> work = [name = name_](sql::Reader& reader) -> Result<Answer> {
    HF_TRY(const sql::Rows rows,
           reader.query("SELECT gtrid, decided, found, reason, at_us FROM branch_heuristics WHERE bqual = ? "
                        "ORDER BY at_us, gtrid",
                        {name}));
    Answer all;
    for (const sql::Row& row : rows) {
      all.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.integer(4)});
    }
    return all;
  };
  co_return co_await db_.read<Answer>(std::move(work));
}

Task<std::int64_t> BranchStore::purge(std::int64_t ended_before_us) {
  std::function<Result<std::int64_t>(sql::Transaction&)> work =
      [name = name_, ended_before_us](sql::Transaction& tx) -> Result<std::int64_t> {
    std::int64_t gone = 0;
    for (const BranchState state : {BranchState::committed, BranchState::aborted}) {
      HF_TRY(const sql::Rows rows,
             tx.query(fmt::format("SELECT gtrid FROM branches WHERE bqual = ? AND state = ? AND changed_at_us < ? "
                                  "LIMIT {}",
                                  kPurgeMax),
                      {name, text_of(state), ended_before_us}));
      for (const sql::Row& row : rows) {
        HF_TRY(const std::int64_t one, tx.execute("DELETE FROM branches WHERE gtrid = ? AND bqual = ? AND state = ?",
                                                  {row.text(0), name, text_of(state)}));
        gone += one;
      }
    }
    return gone;
  };
  co_return co_await db_.write<std::int64_t>(std::move(work));
}

}  // namespace hf::participant
