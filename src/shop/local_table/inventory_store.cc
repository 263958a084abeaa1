#include "shop/local_table/inventory_store.h"

namespace hf::shop::local_table {
namespace {

std::vector<sql::Migration> migrations() {
  return {{1, "stock of the local message table", {R"(CREATE TABLE local_table_stock (
  id          BIGINT       NOT NULL PRIMARY KEY,
  name        VARCHAR(200) NOT NULL,
  price_minor BIGINT       NOT NULL,
  initial     BIGINT       NOT NULL,
  avail       BIGINT       NOT NULL CHECK (avail >= 0),
  sold        BIGINT       NOT NULL,
  CHECK (avail + sold = initial)))"}}};
}

/// Guarded: the row changes only if it can, so nothing is oversold whoever else is at it (P6).
Result<std::string> take_pieces(sql::Transaction& tx, const OrderTaken& order) {
  HF_TRY(const std::int64_t taken,
         tx.execute("UPDATE local_table_stock SET avail = avail - ?, sold = sold + ? WHERE id = ? AND avail >= ?",
                    {order.quantity, order.quantity, order.item, order.quantity}));
  if (taken == 1) return std::string();
  HF_TRY(const auto row, tx.query_one("SELECT id FROM local_table_stock WHERE id = ?", {order.item}));
  return std::string(row ? "sold_out" : "unknown_item");
}

}  // namespace

Task<> InventoryStore::open(std::vector<Item> items) {
  HF_CO_TRY(co_await database_.migrate("local_table_stock", migrations()));
  std::function<Result<void>(sql::Transaction&)> seed = [items =
                                                             std::move(items)](sql::Transaction& tx) -> Result<void> {
    for (const Item& item : items) {
      HF_TRY(tx.insert_if_absent(
          "INSERT INTO local_table_stock (id, name, price_minor, initial, avail, sold) VALUES (?, ?, ?, ?, ?, 0)",
          {item.id, item.name, item.price_minor, item.initial, item.initial}));
    }
    return ok();
  };
  co_return co_await database_.write(std::move(seed));
}

Task<InventoryStore::Taken> InventoryStore::take(OrderTaken order, std::int64_t received_at_us) {
  std::function<Result<Taken>(sql::Transaction&)> work = [this, order = std::move(order),
                                                          received_at_us](sql::Transaction& tx) {
    return take_in(tx, order, received_at_us);
  };
  co_return co_await database_.write<Taken>(std::move(work));
}

Result<InventoryStore::Taken> InventoryStore::take_in(sql::Transaction& tx, const OrderTaken& order,
                                                      std::int64_t received_at_us) const {
  const participant::Inbox::Effect effect = [&]() -> Result<std::string> {
    HF_TRY(std::string refusal, take_pieces(tx, order));
    const bool taken = refusal.empty();
    std::string result =
        to_json(StockResult{order.order_id, taken, std::move(refusal), received_at_us, to_us(world_.clock.wall())});
    HF_TRY(put_result(tx, order.order_id, result));
    return result;
  };
  HF_TRY(const participant::Handled handled, inbox_.once(tx, config_.inventory_group, order.order_id, effect));
  if (handled.replayed) {
    HF_TRY(const bool still_there, outbox_.resend(tx, result_message_id(order.order_id)));
    if (!still_there) HF_TRY(put_result(tx, order.order_id, handled.result));
  }
  HF_TRY(StockResult result, parse_stock_result(handled.result));
  return Taken{std::move(result), handled.replayed};
}

Result<void> InventoryStore::put_result(sql::Transaction& tx, const std::string& order_id, std::string result) const {
  participant::OutboxMessage message{.topic = config_.results_topic,
                                     .body = std::move(result),
                                     .aggregate = order_id,
                                     .id = result_message_id(order_id)};
  message.keys = {order_id};
  return outbox_.put(tx, std::move(message));
}

Task<std::vector<Item>> InventoryStore::items() {
  std::function<Result<std::vector<Item>>(sql::Reader&)> work = [](sql::Reader& reader) -> Result<std::vector<Item>> {
    HF_TRY(const sql::Rows rows,
           reader.query("SELECT id, name, price_minor, initial, avail, sold FROM local_table_stock ORDER BY id"));
    std::vector<Item> items;
    for (const sql::Row& row : rows) {
      items.push_back({row.integer(0), row.text(1), row.integer(2), row.integer(3), row.integer(4), row.integer(5)});
    }
    return items;
  };
  co_return co_await database_.read<std::vector<Item>>(std::move(work));
}

}  // namespace hf::shop::local_table
