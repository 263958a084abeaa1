#pragma once

/// What the outbox keeps, and in which order it is written: one table, `outbox` (docs/formats/participant.md).
///
/// Rows are claimed by an UPDATE with the owner's name and read by that name, so that several relays share a table on
/// any database (no SKIP LOCKED). No cursor: a row is found by its state, never by being newer than the last one seen,
/// so rows that commit out of order are all found.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "mq/message.h"
#include "participant/outbox.h"
#include "participant/outbox_machine.h"

namespace hf::participant {

/// A row that this relay may publish until its lease ends.
struct ClaimedRow {
  mq::Message message;
  std::string id, aggregate;
  Tried tried;
  std::int64_t put_at_us = 0;
};
struct Claimed {
  std::vector<ClaimedRow> rows;
  std::int64_t next_due_us = 0;  ///< when the next pending row is due, or its lease ends; 0: none is
};

/// What the scheduled scan sees, without writing.
struct Chores {
  std::int64_t next_due_us = 0;  ///< of a pending row; 0: none
  bool redo = false, held = false, remove = false;
  std::int64_t blocked = 0;
};

/// How a try ended.
struct Tally {
  std::string id, aggregate;
  Fate fate;
  bool refused = false;
  std::string error;       ///< empty: published
  std::int64_t at_us = 0;  ///< when the broker's verdict came
};

/// Units of work and their statements; all suspend until the database answered, but for put, done, resend.
class OutboxStore {
 public:
  OutboxStore(sys::World& world, sql::Database& database, const OutboxConfig& config);

  Task<> open();
  /// Where nobody else can be at work on them, rows that a relay before us had claimed are due now, and not when their
  /// lease ends. Completes with how many there were.
  Task<std::int64_t> take_over();
  /// Error: invalid, if `table` is not in this database.
  Task<> expect_table(std::string table);

  Result<void> put(sql::Transaction& tx, OutboxMessage message) const;
  Result<bool> done(sql::Transaction& tx, const std::string& id) const;
  Result<bool> resend(sql::Transaction& tx, const std::string& id) const;

  /// Up to `limit` due rows, oldest due first, ours for `lease`.
  Task<Claimed> claim(std::size_t limit);
  /// Rows that are still ours change as `tallies` say; the next row of each aggregate that goes on becomes pending.
  /// Completes with how many rows became pending.
  Task<std::int64_t> record(std::vector<Tally> tallies);

  /// The scheduled scan. Each of the last three: how many rows it moved.
  Task<Chores> look();
  Task<std::int64_t> redo_unanswered();
  /// Heads that nobody released, since their predecessor's end and their put overlapped; waits that a clock set back
  /// made longer than any that is planned.
  Task<std::int64_t> release_held();
  Task<std::int64_t> remove_finished();

  Task<std::optional<OutboxEntry>> find(std::string id);
  Task<std::vector<OutboxEntry>> list(std::string state, std::size_t limit);
  Task<std::map<std::string, std::int64_t>> counts();
  Task<OutboxEntry> unblock(std::string id);
  Task<OutboxEntry> skip(std::string id, std::string reason);

  const std::string& owner() const { return owner_; }

 private:
  std::int64_t now_us() const { return to_us(world_.clock.wall()); }
  Duration longest_wait() const { return std::max(config_.lease, config_.retry_max); }
  Result<Claimed> claim_in(sql::Transaction& tx, std::int64_t limit) const;
  Result<std::int64_t> record_in(sql::Transaction& tx, const std::vector<Tally>& tallies) const;
  Result<std::int64_t> release_next(sql::Transaction& tx, std::span<const std::string> aggregates) const;
  Result<OutboxEntry> decide_blocked(sql::Transaction& tx, const std::string& id, bool skip,
                                     const std::string& reason) const;

  sys::World& world_;
  sql::Database& database_;
  const OutboxConfig& config_;
  const std::string owner_;  ///< of this relay: its database's sole opening, the service's name, a random number
};

}  // namespace hf::participant
