#pragma once

/// The rows of a service's branches (docs/formats/participant.md): tables `branches` and `branch_heuristics`, in the
/// database of the resources they stand for.

#include <optional>
#include <string>
#include <vector>

#include "participant/branch_machine.h"
#include "participant/branches.h"
#include "sql/database.h"

namespace hf::participant {

struct StoredBranch {
  BranchState state = BranchState::aborted;  ///< prepared, committed, aborted
  std::string payload_hash, life, reason;
  std::int64_t changed_at_us = 0;
};

/// The static ones run inside a unit of work: database thread. The others: one strand. `database` outlives it.
class BranchStore {
 public:
  BranchStore(sql::Database& database, std::string name) : db_(database), name_(std::move(name)) {}

  /// Creates the tables. Errors: denied: the database may lose what it acknowledged (SQLite: synchronous below FULL;
  /// MySQL: innodb_flush_log_at_trx_commit is not 1), or spans several files, whose commit is not atomic.
  Task<> open();

  struct Key {
    std::string gtrid, name;
  };
  Key key(std::string gtrid) const { return {std::move(gtrid), name_}; }

  static Result<std::optional<StoredBranch>> find(sql::Reader& reader, const Key& key);
  /// Errors: conflict (the row exists).
  static Result<void> insert(sql::Transaction& tx, const Key& key, const StoredBranch& branch);
  /// prepared → `state`. Errors: unavailable (it is not prepared any more: look again).
  static Result<void> change(sql::Transaction& tx, const Key& key, BranchState state, std::int64_t now_us);
  /// Kept once a branch. True: it is new.
  static Result<bool> record(sql::Transaction& tx, const Key& key, const Heuristic& heuristic);
  /// Fills in what the coordinator decided in the end. True: it was not known before.
  static Result<bool> learn_decision(sql::Transaction& tx, const Key& key, wire::two_phase::Decision decision);

  Task<std::optional<StoredBranch>> find(std::string gtrid);
  /// For an answer: durable when this completes (a snapshot may show what is not, sql/database.h).
  Task<std::optional<StoredBranch>> find_durable(std::string gtrid);
  /// A row `aborted` unless there is a row already. Returns what the row says then.
  Task<StoredBranch> leave_tombstone(std::string gtrid, std::string reason, std::int64_t now_us);
  Task<std::vector<InDoubt>> in_doubt();
  Task<std::vector<std::string>> tombstones_among(std::vector<std::string> gtrids);
  Task<std::vector<Heuristic>> heuristics();
  /// Deletes ended rows older than that. Returns how many; a full portion means there may be more.
  Task<std::int64_t> purge(std::int64_t ended_before_us);

 private:
  Task<> check_durability();

  sql::Database& db_;
  const std::string name_;
};

}  // namespace hf::participant
