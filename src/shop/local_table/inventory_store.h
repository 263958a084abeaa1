#pragma once

/// What the inventory service keeps (docs/formats/shop.md): local_table_stock, and in the same database its inbox (the
/// orders it has handled, with their results) and its outbox (the results on their way).

#include "participant/inbox.h"
#include "participant/outbox.h"
#include "shop/config.h"
#include "shop/local_table/messages.h"
#include "shop/order.h"
#include "sql/database.h"

namespace hf::shop::local_table {

/// One strand; all suspend until the database answered. Everything given outlives it.
class InventoryStore {
 public:
  InventoryStore(sys::World& world, sql::Database& database, const LocalTableConfig& config,
                 participant::Outbox& outbox, participant::Inbox& inbox)
      : world_(world), database_(database), config_(config), outbox_(outbox), inbox_(inbox) {}

  static std::vector<std::string> business_tables() { return {"local_table_stock"}; }
  /// Creates the table, puts `items` on sale that are not known yet.
  Task<> open(std::vector<Item> items);

  struct Taken {
    StockResult result;
    bool replayed = false;
  };
  /// Steps 4 to 6: takes the pieces if there are enough, once per order, and puts the result into the outbox, in one
  /// local transaction. An order that comes again gets its stored result published once more: who asks again may have
  /// lost it. Errors: those of the database; a refusal is a result.
  Task<Taken> take(OrderTaken order, std::int64_t received_at_us);

  Task<std::vector<Item>> items();

 private:
  Result<Taken> take_in(sql::Transaction& tx, const OrderTaken& order, std::int64_t received_at_us) const;
  Result<void> put_result(sql::Transaction& tx, const std::string& order_id, std::string result) const;

  sys::World& world_;
  sql::Database& database_;
  const LocalTableConfig& config_;
  participant::Outbox& outbox_;
  participant::Inbox& inbox_;
};

}  // namespace hf::shop::local_table
