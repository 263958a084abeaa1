#pragma once

/// What inventory keeps (docs/formats/shop.md): Stock, stock_movements, stock_openings.
///
///     Stock.amount ──branch──▶ reserved ──commit──▶ sold        XA: straight to sold, seen when the branch commits
///               ◀──────────────────┘ abort
///
/// For each item: amount + reserved + sold = opening, and amount ≥ 0, in every committed state (P6).

#include <optional>

#include "participant/branches.h"
#include "shop/two_phase/samples.h"
#include "sql/database.h"

namespace hf::shop::two_phase {

/// One item, for people and reconciliation; from one snapshot.
struct StockItem {
  std::int64_t item_id = 0, amount = 0, unit_price = 0, reserved = 0, sold = 0;
  std::optional<std::int64_t> opening;  ///< nothing: the row was made by hand
};

/// One strand. `db` outlives it.
class InventoryStore {
 public:
  explicit InventoryStore(sql::Database& db) : db_(db) {}

  /// Creates the tables, puts `stock` on sale that is not known yet.
  Task<> open(std::vector<SampleStock> stock);
  Task<std::vector<StockItem>> items();
  /// Unit price × quantity, as it is committed now. Errors: not_found ("Item not found!"), conflict ("Insufficient
  /// stock!").
  Task<std::int64_t> total_price(std::int64_t item_id, std::int64_t qty);

  /// The statements of POST /inventory/updateStock. `total`: takes place only if it still is the price. Errors:
  /// not_found, conflict ("Error while updating stock: …", "Price changed!").
  static participant::Work take(std::int64_t item_id, std::int64_t qty, std::optional<std::int64_t> total);
  static Result<void> settle(participant::BranchTx tx, wire::two_phase::Decision decision);

 private:
  sql::Database& db_;
};

}  // namespace hf::shop::two_phase
