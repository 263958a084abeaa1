#pragma once

/// Marker and tombstone: the durable state of a local transaction, one row in `tx_marker`
/// (docs/formats/participant.md).
///
///     no row ──mark()──▶ committed          in the business transaction, before its first business statement
///        │                  └─take_back()─▶ rolled_back   the same transaction, which stores a refusal instead
///        └──check_back()──▶ rolled_back     the tombstone: a business transaction that comes later fails on it
///
/// Who asks what became of a transaction never *reads*: a plain read would answer "rolled back" for one that commits a
/// moment later (design.md §3). check_back() inserts, so it waits for a transaction that is still running, or fences it
/// out. The first final state wins (P3).
///
/// Free functions inside a unit of work (sql/database.h): they run, wait and fail with it, and keep nothing.

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "sql/database.h"

namespace hf::participant {

enum class TxState { committed, rolled_back };

/// The table, for the service's own migrations: it lives where the business tables live.
inline constexpr std::string_view kMarkerTable = R"(CREATE TABLE tx_marker (
  tx_id VARCHAR(64) NOT NULL PRIMARY KEY,
  state VARCHAR(16) NOT NULL,
  at_us BIGINT      NOT NULL))";

/// Begins the business transaction `tx_id`. Errors: `conflict`: its tombstone is in place, nothing of this transaction
/// may ever be stored; those of the database. `now`: for people.
Result<void> mark(sql::Transaction& tx, const std::string& tx_id, WallTime now);
/// The same transaction has decided to store no effect: who asks hears "rolled back". After mark().
Result<void> take_back(sql::Transaction& tx, const std::string& tx_id);

/// What became of `tx_id`, for certain once this unit of work is durable: inserts the tombstone if there is no row.
/// nullopt: a state that we do not know, so nothing is answered.
Result<std::optional<TxState>> check_back(sql::Transaction& tx, const std::string& tx_id, WallTime now);
/// What is there, for people. nullopt: nothing is decided, which it may be a moment later.
Result<std::optional<TxState>> find_marker(sql::Reader& reader, const std::string& tx_id);

/// The decision of check_back(), pure: a tombstone that was inserted, or what was there first.
std::optional<TxState> decide_check(bool inserted, std::optional<TxState> found);

}  // namespace hf::participant
