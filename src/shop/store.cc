#include "shop/store.h"

namespace hf::shop {
namespace {

std::vector<sql::Migration> migrations() {
  return {{1,
           "items, orders, markers",
           {R"(CREATE TABLE items (
  id          BIGINT       NOT NULL PRIMARY KEY,
  name        VARCHAR(200) NOT NULL,
  price_minor BIGINT       NOT NULL CHECK (price_minor >= 0),
  initial     BIGINT       NOT NULL,
  avail       BIGINT       NOT NULL CHECK (avail >= 0),
  sold        BIGINT       NOT NULL,
  CHECK (avail + sold = initial)))",
            std::string(participant::kMarkerTable),
            R"(CREATE TABLE orders (
  order_id         VARCHAR(64)  NOT NULL PRIMARY KEY,
  tx_id            VARCHAR(64)  NOT NULL,
  status           VARCHAR(16)  NOT NULL,
  reason           VARCHAR(32)  NOT NULL,
  buyer            VARCHAR(64)  NOT NULL,
  item             BIGINT       NOT NULL REFERENCES items (id),
  quantity         BIGINT       NOT NULL,
  channels         VARCHAR(64)  NOT NULL,
  phone            VARCHAR(16)  NOT NULL,
  unit_price_minor BIGINT       NOT NULL,
  idempotency_key  VARCHAR(255) UNIQUE,
  message_id       VARCHAR(64)  NOT NULL,
  received_at_us   BIGINT       NOT NULL,
  half_at_us       BIGINT       NOT NULL,
  begun_at_us      BIGINT       NOT NULL,
  committed_at_us  BIGINT       NOT NULL))"}}};
}

constexpr std::string_view kSelectOrder =
    "SELECT order_id, status, reason, buyer, item, quantity, channels, phone, unit_price_minor, idempotency_key, "
    "message_id, received_at_us, half_at_us, begun_at_us, committed_at_us FROM orders ";

std::string_view text_of(OrderStatus status) { return status == OrderStatus::confirmed ? "confirmed" : "refused"; }

Order order_from(const sql::Row& row) {
  Order order;
  order.order_id = row.text(0);
  order.status = row.text(1) == "confirmed" ? OrderStatus::confirmed : OrderStatus::refused;
  order.reason = row.text(2);
  order.request = {row.text(3), row.integer(4), row.integer(5), split_channels(row.text(6)), row.text(7)};
  order.unit_price_minor = row.integer(8);
  if (!row.is_null(9)) order.idempotency_key = row.text(9);
  order.message_id = row.text(10);
  order.received_at_us = row.integer(11);
  order.half_at_us = row.integer(12);
  order.begun_at_us = row.integer(13);
  order.committed_at_us = row.integer(14);
  return order;
}

Result<std::optional<Order>> find_where(sql::Reader& reader, std::string_view where, std::string value) {
  HF_TRY(const auto row, reader.query_one(std::string(kSelectOrder) + std::string(where), {std::move(value)}));
  return row ? std::optional(order_from(*row)) : std::nullopt;
}

Result<void> insert_order(sql::Transaction& tx, const Order& order) {
  const OrderRequest& request = order.request;
  sql::Value key = nullptr;
  if (order.idempotency_key) key = *order.idempotency_key;
  HF_TRY(tx.execute(
      "INSERT INTO orders (order_id, tx_id, status, reason, buyer, item, quantity, channels, phone, unit_price_minor, "
      "idempotency_key, message_id, received_at_us, half_at_us, begun_at_us, committed_at_us) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {order.order_id, order.order_id, std::string(text_of(order.status)), order.reason, request.buyer, request.item,
       request.quantity, join_channels(request.channels), request.phone, order.unit_price_minor, std::move(key),
       order.message_id, order.received_at_us, order.half_at_us, order.begun_at_us, order.committed_at_us}));
  return ok();
}

Order order_of(const Attempt& attempt, std::int64_t unit_price_minor, Verdict verdict) {
  Order order;
  order.order_id = attempt.order_id;
  order.status = verdict == Verdict::confirm ? OrderStatus::confirmed : OrderStatus::refused;
  order.reason = verdict == Verdict::confirm ? "" : "sold_out";
  order.request = attempt.request;
  order.unit_price_minor = unit_price_minor;
  order.idempotency_key = attempt.idempotency_key;
  order.message_id = attempt.message_id;
  order.received_at_us = attempt.received_at_us;
  order.half_at_us = attempt.half_at_us;
  return order;
}

/// The local transaction. The marker comes first: it waits for a check-back that is under way, or is fenced by it,
/// before any hot row is touched.
Result<Placed> place_in(sql::Transaction& tx, const Attempt& attempt, const sys::Clock& clock) {
  const WallTime begun_at = clock.wall();
  HF_TRY(participant::mark(tx, attempt.order_id, begun_at));

  std::optional<Order> known;
  if (attempt.idempotency_key) {
    HF_TRY(known, find_where(tx, "WHERE idempotency_key = ?", *attempt.idempotency_key));
  }
  HF_TRY(const auto price, tx.query_one("SELECT price_minor FROM items WHERE id = ?", {attempt.request.item}));
  if (!price) return Error{Code::not_found, fmt::format("there is no item {}", attempt.request.item)};
  std::int64_t taken = 0;
  if (!known) {
    const std::int64_t quantity = attempt.request.quantity;
    HF_TRY(taken, tx.execute("UPDATE items SET avail = avail - ?, sold = sold + ? WHERE id = ? AND avail >= ?",
                             {quantity, quantity, attempt.request.item, quantity}));
  }
  const Verdict verdict = decide_order({.key_known = known.has_value(), .stock_taken = taken == 1});
  if (state_of(verdict) == TxState::rolled_back) HF_TRY(participant::take_back(tx, attempt.order_id));
  if (verdict == Verdict::repeat) return Placed{std::move(*known), verdict};
  Order order = order_of(attempt, price->integer(0), verdict);
  order.begun_at_us = to_us(begun_at);
  order.committed_at_us = to_us(clock.wall());
  HF_TRY(insert_order(tx, order));
  return Placed{std::move(order), verdict};
}

}  // namespace

Task<> Store::open(std::vector<Item> items) {
  HF_CO_TRY(co_await db_.migrate("shop", migrations()));
  std::function<Result<void>(sql::Transaction&)> seed = [items =
                                                             std::move(items)](sql::Transaction& tx) -> Result<void> {
    for (const Item& item : items) {
      HF_TRY(tx.insert_if_absent(
          "INSERT INTO items (id, name, price_minor, initial, avail, sold) VALUES (?, ?, ?, ?, ?, 0)",
          {item.id, item.name, item.price_minor, item.initial, item.initial}));
    }
    return ok();
  };
  co_return co_await db_.write(std::move(seed));
}

Task<Placed> Store::place(Attempt attempt) {
  std::function<Result<Placed>(sql::Transaction&)> work = [this, attempt = std::move(attempt)](sql::Transaction& tx) {
    Result<Placed> placed = place_in(tx, attempt, world_.clock);
    if (placed) {
      if (Result<void> passed = world_.faults.reach_blocking("shop.before_commit"); !passed) placed = passed.error();
    }
    return placed;
  };
  co_return co_await db_.write<Placed>(std::move(work));
}

Task<std::optional<TxState>> Store::check(std::string tx_id) {
  using Answer = std::optional<TxState>;
  std::function<Result<Answer>(sql::Transaction&)> work = [this, id = std::move(tx_id)](sql::Transaction& tx) {
    return participant::check_back(tx, id, world_.clock.wall());
  };
  co_return co_await db_.write<Answer>(std::move(work));
}

Task<std::optional<Order>> Store::find(std::string order_id) {
  std::function<Result<std::optional<Order>>(sql::Reader&)> work = [id = std::move(order_id)](sql::Reader& reader) {
    return find_where(reader, "WHERE order_id = ?", id);
  };
  co_return co_await db_.read<std::optional<Order>>(std::move(work));
}

Task<std::optional<Order>> Store::find_by_key(std::string idempotency_key) {
  std::function<Result<std::optional<Order>>(sql::Reader&)> work =
      [key = std::move(idempotency_key)](sql::Reader& reader) {
        return find_where(reader, "WHERE idempotency_key = ?", key);
      };
  co_return co_await db_.read<std::optional<Order>>(std::move(work));
}

Task<std::optional<TxState>> Store::marker(std::string tx_id) {
  using Answer = std::optional<TxState>;
  std::function<Result<Answer>(sql::Reader&)> work = [id = std::move(tx_id)](sql::Reader& reader) {
    return participant::find_marker(reader, id);
  };
  co_return co_await db_.read<Answer>(std::move(work));
}

Task<std::vector<Item>> Store::items() {
  std::function<Result<std::vector<Item>>(sql::Reader&)> work = [](sql::Reader& reader) -> Result<std::vector<Item>> {
    HF_TRY(const sql::Rows rows,
           reader.query("SELECT id, name, price_minor, initial, avail, sold FROM items ORDER BY id"));
    std::vector<Item> items;
    for (const sql::Row& row : rows) {
      items.push_back({row.integer(0), row.text(1), row.integer(2), row.integer(3), row.integer(4), row.integer(5)});
    }
    return items;
  };
  co_return co_await db_.read<std::vector<Item>>(std::move(work));
}

Task<bool> Store::has_item(std::int64_t id) {
  std::function<Result<bool>(sql::Reader&)> work = [id](sql::Reader& reader) -> Result<bool> {
    HF_TRY(const auto row, reader.query_one("SELECT id FROM items WHERE id = ?", {id}));
    return row.has_value();
  };
  co_return co_await db_.read<bool>(std::move(work));
}

}  // namespace hf::shop
