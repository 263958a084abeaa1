#include "shop/two_phase/order_store.h"

#include "shop/order_event.h"

namespace hf::shop::two_phase {
namespace {

std::vector<sql::Migration> migrations() {
  return {{1,
           "orders by two-phase commit",
           {R"(CREATE TABLE two_phase_orders (
  order_id        VARCHAR(64)  NOT NULL PRIMARY KEY,
  state           VARCHAR(16)  NOT NULL,
  reason          VARCHAR(255) NOT NULL,
  card_no         VARCHAR(16)  NOT NULL,
  item_id         BIGINT       NOT NULL,
  qty             BIGINT       NOT NULL,
  channels        VARCHAR(64)  NOT NULL,
  phone           VARCHAR(16)  NOT NULL,
  gtrid           VARCHAR(64)  NOT NULL UNIQUE,
  tries           BIGINT       NOT NULL,
  total           BIGINT       NOT NULL,
  idempotency_key VARCHAR(255) UNIQUE,
  received_at_us  BIGINT       NOT NULL,
  decided_at_us   BIGINT       NOT NULL))",
            "CREATE INDEX two_phase_orders_state ON two_phase_orders (state)"}}};
}

constexpr std::string_view kSelect =
    "SELECT order_id, state, reason, card_no, item_id, qty, channels, phone, gtrid, tries, total, idempotency_key, "
    "received_at_us, decided_at_us FROM two_phase_orders WHERE ";
constexpr std::size_t kReasonMax = 255;

std::string join(const std::vector<std::string>& parts) { return fmt::format("{}", fmt::join(parts, ",")); }

std::vector<std::string> split(const std::string& joined) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < joined.size();) {
    const std::size_t end = std::min(joined.find(',', at), joined.size());
    parts.push_back(joined.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::optional<OrderState> state_from(std::string_view text) {
  for (const OrderState state :
       {OrderState::processing, OrderState::confirmed, OrderState::refused, OrderState::aborted}) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

PlacedOrder order_from(const sql::Row& row) {
  PlacedOrder order;
  order.order_id = row.text(0);
  const std::optional<OrderState> state = state_from(row.text(1));
  HF_ASSERT(state.has_value());  // nobody else writes this table
  order.state = *state;
  order.reason = row.text(2);
  order.request = {row.text(3), row.integer(4), row.integer(5), split(row.text(6)), row.text(7)};
  order.gtrid = row.text(8);
  order.tries = row.integer(9);
  order.total = row.integer(10);
  if (!row.is_null(11)) order.idempotency_key = row.text(11);
  order.received_at_us = row.integer(12);
  order.decided_at_us = row.integer(13);
  return order;
}

Result<std::optional<PlacedOrder>> find_in(sql::Reader& reader, std::string_view where, std::string value) {
  HF_TRY(const auto row, reader.query_one(std::string(kSelect) + std::string(where), {std::move(value)}));
  return row ? std::optional(order_from(*row)) : std::nullopt;
}

/// Error texts of others end up here: cut where a character begins.
std::string cut(std::string text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xc0) == 0x80) --bytes_max;
  text.resize(bytes_max);
  return text;
}

Result<bool> insert(sql::Transaction& tx, const PlacedOrder& order) {
  sql::Value key = nullptr;
  if (order.idempotency_key) key = *order.idempotency_key;
  const OrderRequest& request = order.request;
  return tx.insert_if_absent(
      "INSERT INTO two_phase_orders (order_id, state, reason, card_no, item_id, qty, channels, phone, gtrid, tries, "
      "total, idempotency_key, received_at_us, decided_at_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {order.order_id, std::string(to_string(order.state)), cut(order.reason, kReasonMax), request.card_no,
       request.item_id, request.qty, join(request.channels), request.phone, order.gtrid, order.tries, order.total,
       std::move(key), order.received_at_us, order.decided_at_us});
}

Result<void> put_in(sql::Transaction& tx, const PlacedOrder& order) {
  HF_TRY(const bool inserted, insert(tx, order));
  if (inserted) return ok();
  HF_TRY(const std::int64_t changed,
         tx.execute("UPDATE two_phase_orders SET state = ?, reason = ?, gtrid = ?, tries = ?, total = ?, "
                    "decided_at_us = ? WHERE order_id = ? AND state = 'processing'",
                    {std::string(to_string(order.state)), cut(order.reason, kReasonMax), order.gtrid, order.tries,
                     order.total, order.decided_at_us, order.order_id}));
  if (changed == 1) return ok();
  return Error{Code::conflict, "this Idempotency-Key belongs to another order, or the order is decided"};
}

participant::OutboxMessage confirmation(const PlacedOrder& order, const std::string& topic, WallTime at) {
  // The card stays here: the event goes to whoever subscribes.
  const shop::OrderRequest told{mask_card(order.request.card_no), order.request.item_id, order.request.qty,
                                order.request.channels, order.request.phone};
  participant::OutboxMessage message;
  message.topic = topic;
  message.body = order_event(order.order_id, told, at);
  message.aggregate = order.order_id;
  message.id = order.order_id;  // one confirmation an order, whoever writes it
  message.tag = kEventDetailType;
  message.properties = {{"source", std::string(kEventSource)}, {"detail-type", std::string(kEventDetailType)}};
  return message;
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
    case OrderState::aborted:
      return "aborted";
  }
  return "";
}

Task<> OrderStore::open() { co_return co_await db_.migrate("shop.orders", migrations()); }

Task<> OrderStore::put(PlacedOrder order) {
  std::function<Result<void>(sql::Transaction&)> work = [order = std::move(order)](sql::Transaction& tx) {
    return put_in(tx, order);
  };
  co_return co_await db_.write(std::move(work));
}

Task<bool> OrderStore::decide(std::string gtrid, OrderState state, std::string reason) {
  HF_ASSERT(state == OrderState::refused || state == OrderState::aborted);
  std::function<Result<bool>(sql::Transaction&)> work =
      [this, gtrid = std::move(gtrid), state,
       reason = cut(std::move(reason), kReasonMax)](sql::Transaction& tx) -> Result<bool> {
    // An aborted order is no answer to the request: the same key may try again.
    HF_TRY(const std::int64_t changed,
           tx.execute(std::string("UPDATE two_phase_orders SET state = ?, reason = ?, decided_at_us = ?") +
                          (state == OrderState::aborted ? ", idempotency_key = NULL" : "") +
                          " WHERE gtrid = ? AND state = 'processing'",
                      {std::string(to_string(state)), reason, to_us(world_.clock.wall()), gtrid}));
    return changed == 1;
  };
  co_return co_await db_.write<bool>(std::move(work));
}

Result<void> OrderStore::confirm_in(sql::Transaction& tx, const std::string& gtrid) const {
  const WallTime now = world_.clock.wall();
  HF_TRY(const std::int64_t changed, tx.execute("UPDATE two_phase_orders SET state = 'confirmed', decided_at_us = ? "
                                                "WHERE gtrid = ? AND state = 'processing'",
                                                {to_us(now), gtrid}));
  HF_TRY(const std::optional<PlacedOrder> order, find_in(tx, "gtrid = ?", gtrid));
  if (!order) return Error{Code::not_found, "no order has this transaction"};
  if (changed == 1) return outbox_.put(tx, confirmation(*order, topic_, now));
  if (order->state == OrderState::confirmed) return ok();
  return Error{Code::conflict, "the order of a committed transaction is " + std::string(to_string(order->state))};
}

Task<> OrderStore::confirm(std::string gtrid) {
  std::function<Result<void>(sql::Transaction&)> work = [this, gtrid = std::move(gtrid)](sql::Transaction& tx) {
    return confirm_in(tx, gtrid);
  };
  HF_CO_TRY(co_await db_.write(std::move(work)));
  outbox_.committed();
  co_return ok();
}

Task<std::optional<PlacedOrder>> OrderStore::find_where(std::string where, std::string value) {
  using Found = std::optional<PlacedOrder>;
  std::function<Result<Found>(sql::Reader&)> work = [where = std::move(where), value = std::move(value)](
                                                        sql::Reader& reader) { return find_in(reader, where, value); };
  co_return co_await db_.read<Found>(std::move(work));
}

Task<std::optional<PlacedOrder>> OrderStore::find(std::string order_id) {
  return find_where("order_id = ?", std::move(order_id));
}
Task<std::optional<PlacedOrder>> OrderStore::find_by_key(std::string idempotency_key) {
  return find_where("idempotency_key = ?", std::move(idempotency_key));
}
Task<std::optional<PlacedOrder>> OrderStore::find_by_gtrid(std::string gtrid) {
  return find_where("gtrid = ?", std::move(gtrid));
}

Task<std::vector<std::pair<std::string, std::string>>> OrderStore::processing() {
  using Found = std::vector<std::pair<std::string, std::string>>;
  std::function<Result<Found>(sql::Reader&)> work = [](sql::Reader& reader) -> Result<Found> {
    HF_TRY(const sql::Rows rows,
           reader.query("SELECT order_id, gtrid FROM two_phase_orders WHERE state = 'processing'"));
    Found found;
    for (const sql::Row& row : rows) found.emplace_back(row.text(0), row.text(1));
    return found;
  };
  co_return co_await db_.read<Found>(std::move(work));
}

}  // namespace hf::shop::two_phase
