#pragma once

/// A service's branches of global transactions, kept either by XA or as reservations. The service writes its business
/// statements once; what differs is in `BranchTx::keeps`.
///
///     business call ──▶ active (memory; XA: an open branch) ──prepare──▶ prepared (durable) ──┬─commit─▶ committed
///                          │ a statement failed, 0 rows: latched       │ voted: only the      └─abort──▶ aborted
///                          └────────────── abort, or this process dies: aborted ──────────────────────────┘
///
/// In `prepared` nobody decides by a timer: the coordinator says, or an operator does (P3). An abort that comes before
/// the prepare leaves a tombstone, so a late prepare answers `aborted`.
///
/// * **XA** (MariaDB, MySQL): the work runs in the branch at the business call and holds its row locks until the end.
///   How long it waits for those of others the database's URL says (`lock_timeout_ms`); then the branch has failed.
///   A marker row is written inside the branch: where the server no longer knows the branch, it tells committed from
///   lost.
/// * **Reservation** (SQLite, OceanBase, anything): at the business call the work is tried and taken back, so that the
///   caller hears "Insufficient stock!" at once; at prepare it runs for good, with the branch row, in one local
///   transaction. Commit and abort run the service's `settle` in one local transaction with the branch row's change.
///   No lock is held between the phases.
///
/// Sources: docs/protocols/two-phase-commit.md (rules of MariaDB and of reservation rows, both measured).

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/database.h"
#include "sys/world.h"
#include "wire/two_phase/messages.h"

namespace hf::participant {

enum class Keeps { xa, reservation };

/// What the work of a branch sees.
struct BranchTx {
  sql::Transaction& sql;
  const std::string& gtrid;
  Keeps keeps;
};
/// Business statements. An error (`conflict` with the text for the caller: "Insufficient stock!") makes the branch vote
/// aborted. A guarded UPDATE that changed no row is such an error: check what execute() returns.
/// It may run more than once (a trial, a batch that was rolled back), on a database thread, and as late as at prepare:
/// it owns what it captures, and has no effect but its SQL (an answer goes into a shared_ptr it captured by value).
using Work = std::function<Result<void>(BranchTx)>;
/// Reservation only: moves what the branch holds (reserved → sold, or back), in the local transaction of the decision.
using Settle = std::function<Result<void>(BranchTx, wire::two_phase::Decision)>;

struct BranchConfig {
  std::string name;            ///< the participant's: bqual of its branches, 1 … 32 of [a-z0-9-]; stable
  std::size_t open_max = 256;  ///< branches that are active at once; beyond: exhausted
  Duration active_max = 60s;   ///< an active branch whose prepare never came is rolled back (it has not voted)
  Duration keep_ended = 168h;  ///< committed and aborted branch rows, markers, tombstones: ≥ the coordinator's memory
};

struct Voted {
  wire::two_phase::Vote vote = wire::two_phase::Vote::aborted;
  std::string reason = {};  ///< of `aborted`: the work's error text
  std::string life = {};    ///< of `prepared`, `committed`: which Branches::life() gave it; "" if that is not known
};
/// What a decision met.
enum class Ended {
  committed,
  aborted,
  not_prepared,  ///< commit before prepare: nothing changed
  unknown,       ///< commit of a branch nobody heard of: nothing invented
  heuristic,     ///< it had ended the other way (an operator, or the server lost it): recorded, alarmed
};
/// A branch that voted and has no decision yet.
struct InDoubt {
  std::string gtrid;
  std::int64_t prepared_at_us = 0;  ///< 0: not known (XA RECOVER tells no age)
};
/// A branch that ended against the decision, or by an operator.
struct Heuristic {
  std::string gtrid;
  std::string decided;  ///< what the coordinator said: "commit", "abort", or "" while it has not
  std::string found;    ///< how the branch ended: "committed", "aborted"
  std::string reason;   ///< the operator's, or what was met
  std::int64_t at_us = 0;
};

/// One strand. `database` outlives it; business tables live in the same database (one file, one server).
class Branches {
 public:
  virtual ~Branches() = default;
  /// Creates tables, checks the database (XA: innodb_flush_log_at_trx_commit = 1, else `denied`; SQLite: synchronous),
  /// finds branches in doubt. Errors: those, and the database's.
  virtual Task<> start() = 0;
  /// Runs `work` in the branch (opening it). `payload` identifies what was asked (for replays of prepare). Errors: the
  /// work's own · conflict (the branch is prepared, ended or failed) · exhausted · unavailable (database, lock wait).
  virtual Task<> run(std::string gtrid, std::string payload, Work work) = 0;
  /// Of this object: what its branches hold in memory before they vote ends with it. Whoever was called in an earlier
  /// life has lost that part, and must not take a later life's vote for its own.
  virtual const std::string& life() const = 0;
  /// Repeated: the same answer. `not_found` for a branch nobody opened. Errors: unavailable, timeout (ask again).
  virtual Task<Voted> prepare(std::string gtrid) = 0;
  /// What is stored of its vote: nullopt if it has none, whatever is in memory. Errors: unavailable.
  virtual Task<std::optional<Voted>> stored_vote(std::string gtrid) = 0;
  /// Repeated: the same answer. Errors: unavailable, timeout (ask again for ever).
  virtual Task<Ended> end(std::string gtrid, wire::two_phase::Decision decision) = 0;
  virtual Task<std::vector<InDoubt>> in_doubt() = 0;
  virtual Task<std::vector<Heuristic>> heuristics() = 0;
  /// An operator decides a branch in doubt; the reason is recorded first. Errors: not_found, conflict (not in doubt).
  virtual Task<Ended> resolve(std::string gtrid, wire::two_phase::Decision decision, std::string reason) = 0;
  virtual asio::awaitable<void> close() = 0;
};

/// `database.xa()` must be there (asserted).
std::unique_ptr<Branches> make_xa_branches(sys::World world, sql::Database& database, BranchConfig config);
std::unique_ptr<Branches> make_reservation_branches(sys::World world, sql::Database& database, BranchConfig config,
                                                    Settle settle);

}  // namespace hf::participant
