#pragma once

/// One batch of units as one transaction, to its end: durable, rolled back, or unknown.
///
///   begin ──▶ units ──▶ COMMIT ──▶ durable
///     │         │          └─ answer lost ──▶ look for the marker ──▶ durable | unknown
///     └────┬────┘                                    │
///          ▼ rolled back (deadlock, lock wait, connection lost)
///        again, within three seconds; the unit that was to blame alone and last
///
/// A failed unit is taken back by its savepoint. But a savepoint is a round trip of its own, a quarter of a small
/// unit's time, and most units do not fail, or fail before they changed anything. So batches run without; when a unit
/// fails after a change, its batch is rolled back and runs again with savepoints, and so do the next ones for a while.
///
/// In `begin` and `units` nothing is decided: an uncommitted transaction dies with its session. Nothing whose end is
/// unknown is ever repeated.

#include <atomic>
#include <span>

#include "sql/batch_queue.h"
#include "sql/mysql/commit_marker.h"
#include "sql/mysql/connector.h"

namespace hf::sql::mysql {

/// Any thread; a call per writer connection at a time.
class BatchWriter {
 public:
  BatchWriter(sys::World& world, const Settings& settings, const std::string& url, Connector& connector);

  /// Fills in every unit's result.
  void run(std::span<Unit* const> batch);
  /// Closes idle connections.
  void close() { pool_.clear(); }
  Pool& pool() { return pool_; }

 private:
  /// How one try ended.
  struct Try {
    std::optional<Error> failed = {};  ///< nullopt: durable, and each unit has its own result
    bool wants_savepoints = false;     ///< rolled back, for a unit failed that cannot be taken back alone
    bool again = false;                ///< certainly rolled back, by a reason that may pass
    Unit* to_blame = nullptr;          ///< the unit in which it happened
  };
  using Units = std::vector<Unit*>;
  enum class Savepoints : std::uint8_t { no, yes };

  /// Tries until `deadline`, but once.
  void settle(Units units, Monotonic deadline);
  Try attempt(const Units& units, Savepoints savepoints);
  Try run_units(Connection& connection, const Units& units, Savepoints savepoints);
  Try commit(std::unique_ptr<Connection> connection, const MarkerLedger::Batch& marker);
  Try resolved(const MarkerLedger::Batch& marker, const Error& lost);
  Ending resolve(const MarkerLedger::Batch& marker, const std::string& why);
  void roll_back(std::unique_ptr<Connection> connection, const MarkerLedger::Batch& marker);
  Try failure_of(const Connection& connection, Unit* to_blame);
  void pause(int tries);

  sys::World& world_;
  const Settings& settings_;
  const std::string& url_;
  Connector& connector_;
  Pool pool_;
  MarkerLedger markers_;
  std::atomic<int> careful_ = 0;  ///< so many further batches run with savepoints

  metrics::Counter& units_done_;
  metrics::Counter& units_failed_;
  metrics::Counter& commits_done_;
  metrics::Counter& commits_failed_;
  metrics::Histogram& commit_seconds_;
};

}  // namespace hf::sql::mysql
