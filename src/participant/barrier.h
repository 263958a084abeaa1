#pragma once

/// Lets a branch operation take effect at most once, and never after its undo.
///
///   Barrier barrier({gid, branch_id});
///   Barrier::Work work = [&](sql::Transaction& tx) { return freeze(tx, account, amount); };
///   HF_TRY(const Verdict verdict, barrier.call(tx, Op::try_, work));       // inside a unit of work
///
/// Compiled and run: examples/barrier.cc. Table: docs/formats/participant.md.
///
/// Rule: dtm's sub-transaction barrier. Two rows go into `barrier` (unique on gid, branch_id, op, barrier_id) in the
/// same local transaction as the work: one for the operation being undone, if any, and one for this operation. So an
/// undo that comes first leaves the row of what it undoes, and the late original finds it there.
///
///     op              origin     the row of the origin was new   its own row was new   verdict
///     try, action …   none       –                               yes                   run
///                                –                               no                    duplicate (repeated, or undone)
///     cancel          try        yes                             –                     null_undo
///     compensate      action     no                              yes                   run
///     rollback        action     no                              no                    duplicate

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "sql/database.h"

namespace hf::participant {

/// dtm's operations of a branch; spelled as it spells them ("try").
enum class Op { try_, confirm, cancel, action, compensate, commit, rollback, msg };
std::string_view to_string(Op op);

enum class Verdict {
  run,        ///< the work ran
  duplicate,  ///< it ran before, or was undone before it came: nothing ran, answer as if it had
  null_undo,  ///< there is nothing to undo, and there never will be: nothing ran, answer success
};
/// The decision alone. `origin_new`, `current_new`: that row was absent before this transaction. Pure.
Verdict decide(Op op, bool origin_new, bool current_new);

/// The branch a call belongs to: dtm's query parameters `gid` and `branch_id`, `trans_type` for people.
struct BranchId {
  std::string gid, branch_id;
  std::string trans_type{};
};

/// The table, for the service's own migrations: it lives where the business tables live.
inline constexpr std::string_view kBarrierTable = R"(CREATE TABLE barrier (
  gid        VARCHAR(128) NOT NULL,
  branch_id  VARCHAR(128) NOT NULL,
  op         VARCHAR(45)  NOT NULL,
  barrier_id VARCHAR(45)  NOT NULL,
  trans_type VARCHAR(45)  NOT NULL,
  reason     VARCHAR(45)  NOT NULL,
  at_us      BIGINT       NOT NULL,
  PRIMARY KEY (gid, branch_id, op, barrier_id)))";

/// One per call of the branch: its calls are numbered "01", "02" …, so several works of one operation are told apart.
/// Lifetime: `tx` must stay open until call() returns; its unit of work commits. Database thread, no locking.
class Barrier {
 public:
  /// `now`: for people, and for removal.
  Barrier(BranchId branch, WallTime now) : branch_(std::move(branch)), now_(now) {}

  using Work = std::function<Result<void>(sql::Transaction&)>;
  /// Runs `work`, unless it already ran or was undone before it came (duplicate), or has nothing to undo (null_undo).
  /// Errors: whatever `work` returns, after which nothing of this transaction may be committed; `unavailable` if the
  /// rows cannot be written. Skipping is a Verdict, not an error.
  Result<Verdict> call(sql::Transaction& tx, Op op, const Work& work);

 private:
  Result<bool> insert(sql::Transaction& tx, Op op, Op reason, const std::string& barrier_id) const;

  const BranchId branch_;
  const WallTime now_;
  int calls_ = 0;
};

/// The sender of a 2-phase message asks what became of its local transaction (dtm's query-prepared): true if it
/// committed (Op::msg ran in it). False: it did not, and never can any more.
Result<bool> query_prepared(sql::Transaction& tx, const BranchId& branch, WallTime now);

/// Removes rows written before `before`, at most `limit`; how many. Not before the coordinator has forgotten their
/// transactions: a row that is gone guards nothing.
Result<std::int64_t> remove_barriers(sql::Transaction& tx, WallTime before, std::int64_t limit);

}  // namespace hf::participant
