#include "shop/local_table/order_store.h"

#include "shop/order_event.h"

namespace hf::shop::local_table {
namespace {

std::vector<sql::Migration> migrations() {
  return {{1,
           "orders and catalogue of the local message table",
           {R"(CREATE TABLE local_table_items (
  id          BIGINT       NOT NULL PRIMARY KEY,
  name        VARCHAR(200) NOT NULL,
  price_minor BIGINT       NOT NULL CHECK (price_minor >= 0),
  initial     BIGINT       NOT NULL,
  sold        BIGINT       NOT NULL))",
            R"(CREATE TABLE local_table_orders (
  order_id                 VARCHAR(64)  NOT NULL PRIMARY KEY,
  state                    VARCHAR(16)  NOT NULL,
  reason                   VARCHAR(32)  NOT NULL,
  buyer                    VARCHAR(64)  NOT NULL,
  item                     BIGINT       NOT NULL,
  quantity                 BIGINT       NOT NULL,
  channels                 VARCHAR(64)  NOT NULL,
  phone                    VARCHAR(16)  NOT NULL,
  unit_price_minor         BIGINT       NOT NULL,
  idempotency_key          VARCHAR(255) UNIQUE,
  received_at_us           BIGINT       NOT NULL,
  placed_at_us             BIGINT       NOT NULL,
  inventory_received_at_us BIGINT       NOT NULL,
  inventory_decided_at_us  BIGINT       NOT NULL,
  result_published_at_us   BIGINT       NOT NULL,
  decided_at_us            BIGINT       NOT NULL))"}}};
}

constexpr std::string_view kSelectOrder =
    "SELECT order_id, state, reason, buyer, item, quantity, channels, phone, unit_price_minor, idempotency_key, "
    "received_at_us, placed_at_us, inventory_received_at_us, inventory_decided_at_us, result_published_at_us, "
    "decided_at_us FROM local_table_orders ";

OrderState state_from(std::string_view text) {
  if (text == "confirmed") return OrderState::confirmed;
  return text == "refused" ? OrderState::refused : OrderState::processing;
}

LocalOrder order_from(const sql::Row& row) {
  LocalOrder order;
  order.order_id = row.text(0);
  order.state = state_from(row.text(1));
  order.reason = row.text(2);
  order.request = {row.text(3), row.integer(4), row.integer(5), split_channels(row.text(6)), row.text(7)};
  order.unit_price_minor = row.integer(8);
  if (!row.is_null(9)) order.idempotency_key = row.text(9);
  order.received_at_us = row.integer(10);
  order.placed_at_us = row.integer(11);
  order.inventory_received_at_us = row.integer(12);
  order.inventory_decided_at_us = row.integer(13);
  order.result_published_at_us = row.integer(14);
  order.decided_at_us = row.integer(15);
  return order;
}

Result<std::optional<LocalOrder>> find_in(sql::Reader& reader, std::string_view where, std::string value) {
  HF_TRY(const auto row, reader.query_one(std::string(kSelectOrder) + std::string(where), {std::move(value)}));
  return row ? std::optional(order_from(*row)) : std::nullopt;
}

Result<void> insert(sql::Transaction& tx, const LocalOrder& order) {
  const OrderRequest& request = order.request;
  sql::Value key = nullptr;
  if (order.idempotency_key) key = *order.idempotency_key;
  HF_TRY(
      tx.execute("INSERT INTO local_table_orders (order_id, state, reason, buyer, item, quantity, channels, phone, "
                 "unit_price_minor, idempotency_key, received_at_us, placed_at_us, inventory_received_at_us, "
                 "inventory_decided_at_us, result_published_at_us, decided_at_us) "
                 "VALUES (?, 'processing', '', ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0)",
                 {order.order_id, request.buyer, request.item, request.quantity, join_channels(request.channels),
                  request.phone, order.unit_price_minor, std::move(key), order.received_at_us, order.placed_at_us}));
  return ok();
}

}  // namespace

std::string_view to_string(OrderState state) {
  switch (state) {
    case OrderState::processing:
      return "processing";
    case OrderState::confirmed:
      return "confirmed";
    case OrderState::refused:
      return "refused";
  }
  return "";
}

Task<> OrderStore::open(std::vector<Item> items) {
  HF_CO_TRY(co_await database_.migrate("local_table_orders", migrations()));
  std::function<Result<void>(sql::Transaction&)> seed = [items =
                                                             std::move(items)](sql::Transaction& tx) -> Result<void> {
    for (const Item& item : items) {
      HF_TRY(tx.insert_if_absent(
          "INSERT INTO local_table_items (id, name, price_minor, initial, sold) VALUES (?, ?, ?, ?, 0)",
          {item.id, item.name, item.price_minor, item.initial}));
    }
    return ok();
  };
  co_return co_await database_.write(std::move(seed));
}

Task<Placed> OrderStore::place(LocalOrder order) {
  std::function<Result<Placed>(sql::Transaction&)> work = [this, order = std::move(order)](sql::Transaction& tx) {
    return place_in(tx, order);
  };
  co_return co_await database_.write<Placed>(std::move(work));
}

Result<Placed> OrderStore::place_in(sql::Transaction& tx, LocalOrder order) const {
  if (order.idempotency_key) {
    HF_TRY(std::optional<LocalOrder> known, find_in(tx, "WHERE idempotency_key = ?", *order.idempotency_key));
    if (known) return Placed{std::move(*known), true};
  }
  HF_TRY(const auto price,
         tx.query_one("SELECT price_minor FROM local_table_items WHERE id = ?", {order.request.item}));
  if (!price) return Error{Code::not_found, fmt::format("there is no item {}", order.request.item)};
  order.unit_price_minor = price->integer(0);
  order.placed_at_us = to_us(world_.clock.wall());
  HF_TRY(insert(tx, order));
  HF_TRY(world_.faults.reach_blocking("outbox.between"));
  participant::OutboxMessage message{.topic = config_.orders_topic,
                                     .body = to_json({order.order_id, order.request.item, order.request.quantity}),
                                     .aggregate = order.order_id,
                                     .id = order_message_id(order.order_id)};
  message.keys = {order.order_id};
  message.awaits_done = true;
  HF_TRY(outbox_.put(tx, std::move(message)));
  return Placed{std::move(order), false};
}

Task<bool> OrderStore::apply(StockResult result, std::int64_t published_at_us) {
  std::function<Result<bool>(sql::Transaction&)> work = [this, result = std::move(result),
                                                         published_at_us](sql::Transaction& tx) -> Result<bool> {
    const participant::Inbox::Effect effect = [&] { return apply_in(tx, result, published_at_us); };
    HF_TRY(const participant::Handled handled, inbox_.once(tx, config_.shop_group, result.order_id, effect));
    return !handled.replayed;
  };
  co_return co_await database_.write<bool>(std::move(work));
}

Result<std::string> OrderStore::apply_in(sql::Transaction& tx, const StockResult& result,
                                         std::int64_t published_at_us) const {
  const OrderState state = result.ok ? OrderState::confirmed : OrderState::refused;
  const WallTime now = world_.clock.wall();
  HF_TRY(const std::int64_t changed,
         tx.execute("UPDATE local_table_orders SET state = ?, reason = ?, inventory_received_at_us = ?, "
                    "inventory_decided_at_us = ?, result_published_at_us = ?, decided_at_us = ? "
                    "WHERE order_id = ? AND state = 'processing'",
                    {std::string(to_string(state)), result.reason, result.received_at_us, result.decided_at_us,
                     published_at_us, to_us(now), result.order_id}));
  if (changed != 1)
    return Error{Code::not_found, "there is no order " + result.order_id + " that waits for its result"};
  HF_TRY(outbox_.done(tx, order_message_id(result.order_id)));
  if (state == OrderState::refused) return std::string(to_string(state));
  HF_TRY(const std::optional<LocalOrder> order, find_in(tx, "WHERE order_id = ?", result.order_id));
  HF_ASSERT(order.has_value());
  HF_TRY(tx.execute("UPDATE local_table_items SET sold = sold + ? WHERE id = ?",
                    {order->request.quantity, order->request.item}));
  participant::OutboxMessage event{.topic = config_.events_topic,
                                   .body = order_event(order->order_id, order->request, now),
                                   .aggregate = order->order_id,
                                   .id = event_message_id(order->order_id),
                                   .tag = std::string(kEventDetailType)};
  event.keys = {order->order_id};
  event.properties = {{"source", std::string(kEventSource)}, {"detail-type", std::string(kEventDetailType)}};
  HF_TRY(outbox_.put(tx, std::move(event)));
  return std::string(to_string(state));
}

Task<std::optional<LocalOrder>> OrderStore::find(std::string order_id) {
  return find_where("WHERE order_id = ?", std::move(order_id));
}
Task<std::optional<LocalOrder>> OrderStore::find_by_key(std::string idempotency_key) {
  return find_where("WHERE idempotency_key = ?", std::move(idempotency_key));
}
Task<std::optional<LocalOrder>> OrderStore::find_where(std::string where, std::string value) {
  using Found = std::optional<LocalOrder>;
  std::function<Result<Found>(sql::Reader&)> work = [where = std::move(where), value = std::move(value)](
                                                        sql::Reader& reader) { return find_in(reader, where, value); };
  co_return co_await database_.read<Found>(std::move(work));
}

Task<std::vector<Item>> OrderStore::items() {
  std::function<Result<std::vector<Item>>(sql::Reader&)> work = [](sql::Reader& reader) -> Result<std::vector<Item>> {
    HF_TRY(const sql::Rows rows,
           reader.query("SELECT id, name, price_minor, initial, sold FROM local_table_items ORDER BY id"));
    std::vector<Item> items;
    for (const sql::Row& row : rows) {
      const std::int64_t initial = row.integer(3), sold = row.integer(4);
      items.push_back({row.integer(0), row.text(1), row.integer(2), initial, initial - sold, sold});
    }
    return items;
  };
  co_return co_await database_.read<std::vector<Item>>(std::move(work));
}

}  // namespace hf::shop::local_table
