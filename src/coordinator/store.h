#pragma once

/// What the coordinator writes, in which order, and how it is read back. Tables: docs/formats/coordinator.md.
///
/// Forced, before anybody is told: the epoch, a COMMIT (with all participants, one row), an operator's reason.
/// In passing, together, some time later: what is being prepared, ABORT, acknowledgements, END.
/// Every write proves that this process still has the identity: it touches the identity's row on the condition that the
/// epoch is ours, which another process that takes the next epoch waits for, or makes fail. So after a later epoch was
/// taken, nothing of an earlier one becomes durable.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/codec.h"
#include "coordinator/transaction.h"
#include "sql/database.h"

namespace hf::coordinator {

/// Coroutines complete on the caller's strand. Errors: those of sql/database.h, and denied: another process has taken
/// the identity (fenced): stop.
class Store {
 public:
  Store(sql::Database& database, std::string coordinator);

  Task<> migrate();
  /// The next epoch, durable. Every later call writes under it.
  Task<std::uint64_t> take_epoch(WallTime now);

  /// Forces the COMMIT record: `decided` is the transaction as it will be. Errors: conflict: an ABORT is recorded.
  /// timeout: it may be stored; ask resolve_commit().
  Task<> record_commit(Transaction decided);
  /// After a write whose end is not known: says what is recorded, and where nothing is, writes `aborted`, durably, so
  /// that no COMMIT can come later. Errors: not known yet; ask again.
  Task<Decision> resolve_commit(Transaction aborted);
  /// Forces heuristic records. One per participant and finding; a repetition adds nothing.
  Task<> record_heuristics(std::vector<Heuristic> heuristics);
  /// The rows as they are now, and what was found damaged, together. Never turns a decision round.
  Task<> save(std::vector<Transaction> transactions, std::vector<Heuristic> damages);

  /// All that are not finished. Errors: corrupt: a record is damaged; the coordinator must not start.
  Task<std::vector<Transaction>> unfinished();
  Task<std::optional<Transaction>> find(std::string gtrid);
  /// The newest first.
  Task<std::vector<Transaction>> finished(std::size_t limit);
  Task<std::vector<Heuristic>> heuristics(std::string gtrid, std::size_t limit);  ///< gtrid "": of all
  Task<std::int64_t> count_heuristics();
  /// Deletes finished rows that ended before `before`, but those with heuristic records; at most `limit`. Their number.
  Task<std::int64_t> forget(WallTime before, std::size_t limit);

 private:
  Result<void> prove_epoch(sql::Transaction& tx) const;

  sql::Database& database_;
  const std::string coordinator_;
  std::uint64_t epoch_ = 0;
};

}  // namespace hf::coordinator
