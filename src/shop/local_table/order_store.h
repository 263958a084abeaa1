#pragma once

/// What the order service keeps (docs/formats/shop.md): local_table_orders and local_table_items, and in the same
/// database its outbox and inbox.
///
///     place() ──▶ processing ──┬─ result ok ──────▶ confirmed   with the event for the customer, in one transaction
///                              └─ result refused ─▶ refused     a repeated request hears it again

#include <optional>

#include "participant/inbox.h"
#include "participant/outbox.h"
#include "shop/config.h"
#include "shop/local_table/messages.h"
#include "shop/order.h"
#include "sql/database.h"

namespace hf::shop::local_table {

enum class OrderState { processing, confirmed, refused };
std::string_view to_string(OrderState state);

struct LocalOrder {
  std::string order_id;
  OrderState state = OrderState::processing;
  std::string reason;  ///< of a refusal: "sold_out"
  OrderRequest request;
  std::int64_t unit_price_minor = 0;
  std::optional<std::string> idempotency_key;
  /// When: admitted · written with its message row · the inventory got it and decided · its result was published ·
  /// came here and was written. 0: not yet.
  std::int64_t received_at_us = 0, placed_at_us = 0, inventory_received_at_us = 0, inventory_decided_at_us = 0,
               result_published_at_us = 0, decided_at_us = 0;
};

/// What place() found or made.
struct Placed {
  LocalOrder order;
  bool repeated = false;  ///< an order with this key was there
};

/// One strand; all suspend until the database answered. Everything given outlives it.
class OrderStore {
 public:
  OrderStore(sys::World& world, sql::Database& database, const LocalTableConfig& config, participant::Outbox& outbox,
             participant::Inbox& inbox)
      : world_(world), database_(database), config_(config), outbox_(outbox), inbox_(inbox) {}

  static std::vector<std::string> business_tables() { return {"local_table_orders", "local_table_items"}; }
  /// Creates the tables, puts `items` into the catalogue that are not known yet.
  Task<> open(std::vector<Item> items);

  /// Step 2: the order row and its message row, in one local transaction. Errors: not_found (no such item) · conflict
  /// (the key was used a moment ago: ask find_by_key) · timeout (it may be stored) · those of the database.
  Task<Placed> place(LocalOrder order);
  /// Step 7: the order's final state, its message row done and, if confirmed, the event for the customer, once, in one
  /// local transaction. False: it was applied before. Errors: not_found (no such order here); those of the database.
  Task<bool> apply(StockResult result, std::int64_t published_at_us);

  Task<std::optional<LocalOrder>> find(std::string order_id);
  Task<std::optional<LocalOrder>> find_by_key(std::string idempotency_key);
  /// The catalogue; `available` and `sold` as far as results have come back. The inventory knows the truth.
  Task<std::vector<Item>> items();

 private:
  Result<Placed> place_in(sql::Transaction& tx, LocalOrder order) const;
  Result<std::string> apply_in(sql::Transaction& tx, const StockResult& result, std::int64_t published_at_us) const;
  Task<std::optional<LocalOrder>> find_where(std::string where, std::string value);

  sys::World& world_;
  sql::Database& database_;
  const LocalTableConfig& config_;
  participant::Outbox& outbox_;
  participant::Inbox& inbox_;
};

}  // namespace hf::shop::local_table
