#pragma once

/// What the shop keeps, and in which order it is written (docs/formats/shop.md): items, orders, tx_marker.

#include "shop/decisions.h"
#include "sql/database.h"

namespace hf::shop {

/// The outcome of a local transaction that committed.
struct Placed {
  Order order;
  Verdict verdict = Verdict::refuse;
};

/// One strand; all calls suspend until the database answered. `db` and `world` outlive it.
class Store {
 public:
  Store(sys::World& world, sql::Database& db) : world_(world), db_(db) {}

  /// Creates the tables, puts `items` on sale that are not known yet.
  Task<> open(std::vector<Item> items);

  /// The local transaction, one unit of work: marker, order, guarded stock update, all or nothing (P6).
  /// Errors: conflict: fenced, its tombstone is in place, nothing was stored and nothing ever will be · not_found: no
  /// such item · timeout: the commit's answer was lost · exhausted, unavailable, corrupt: not committed.
  Task<Placed> place(Attempt attempt);

  /// Check-back: inserts the tombstone and looks at what is there, in one durable write. Never a plain read, which
  /// would answer "rolled back" for an order that commits a moment later (W2). nullopt: a state we do not know.
  Task<std::optional<TxState>> check(std::string tx_id);

  Task<std::optional<Order>> find(std::string order_id);
  Task<std::optional<Order>> find_by_key(std::string idempotency_key);
  /// For an order id without an order: what became of its transaction, if anything did.
  Task<std::optional<TxState>> marker(std::string tx_id);
  Task<std::vector<Item>> items();
  Task<bool> has_item(std::int64_t id);

 private:
  sys::World& world_;
  sql::Database& db_;
};

}  // namespace hf::shop
