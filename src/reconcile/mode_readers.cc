// The stores of the modes "outbox" and "2pc": docs/formats/shop.md, participant.md, coordinator.md.

#include "reconcile/reading.h"
#include "sql/xa.h"
#include "wire/two_phase/messages.h"

namespace hf::reconcile {
namespace {

/// "660c….confirmed" → "660c…": the outbox id names the order.
std::string order_of(const std::string& outbox_id) { return outbox_id.substr(0, outbox_id.find('.')); }

std::string as_message_state(const std::string& outbox_state) {
  if (outbox_state == "sent" || outbox_state == "done") return "committed";
  if (outbox_state == "blocked") return "parked";
  return outbox_state == "skipped" ? outbox_state : "pending";
}

Result<void> outbox_rows(Reader& reader, const std::string& events_topic, Facts& facts) {
  HF_TRY(const sql::Rows rows, reader.query("SELECT id, topic, state, put_at_us FROM outbox"));
  for (const Row& row : rows) {
    const std::string order_id = order_of(row.text(0));
    if (row.text(1) == events_topic) {
      facts.messages.push_back({row.text(0), order_id, as_message_state(row.text(2)), row.integer(3), 0});
    } else {
      facts.order_messages.push_back({order_id, row.text(2)});
    }
  }
  return ok();
}

Result<void> outbox_orders(Reader& reader, Facts& facts) {
  HF_TRY(const sql::Rows rows, reader.query("SELECT order_id, state, reason, item, quantity, channels, phone, "
                                            "decided_at_us FROM local_table_orders"));
  for (const Row& row : rows) {
    OrderFact order;
    order.order_id = row.text(0);
    order.status = row.text(1);
    order.reason = row.text(2);
    order.item = row.integer(3);
    order.quantity = row.integer(4);
    order.channels = split(row.text(5));
    order.phone = row.text(6);
    order.committed_at_us = row.integer(7);
    facts.orders.push_back(std::move(order));
  }
  return ok();
}

Result<void> outbox_inventory_facts(Reader& reader, Facts& facts) {
  HF_TRY(const sql::Rows stock, reader.query("SELECT id, initial, avail, sold FROM local_table_stock"));
  for (const Row& row : stock) {
    facts.stock.push_back({row.integer(0), row.integer(1), row.integer(2), row.integer(3)});
  }
  HF_TRY(const sql::Rows handled, reader.query("SELECT message_key, result, at_us FROM inbox"));
  for (const Row& row : handled) {
    const bool taken = row.text(1).find(R"("result":"ok")") != std::string::npos;
    facts.handled.push_back({row.text(0), taken, row.integer(2)});
  }
  return ok();
}

Result<void> two_phase_orders(Reader& reader, std::vector<OrderFact>& orders) {
  HF_TRY(const sql::Rows rows, reader.query("SELECT order_id, gtrid, state, reason, item_id, qty, channels, phone, "
                                            "decided_at_us, total FROM two_phase_orders"));
  for (const Row& row : rows) {
    orders.push_back({row.text(0), row.text_or(1, ""), row.text(2), row.text(3), row.integer(4), row.integer(5),
                      split(row.text(6)), row.text(7), row.integer(8), row.integer_or(9, 0)});
  }
  return ok();
}

Result<void> coordinator_facts(Reader& reader, Facts& facts) {
  HF_TRY(const sql::Rows rows, reader.query("SELECT gtrid, decision, state FROM coordinator_tx"));
  for (const Row& row : rows) facts.transactions.push_back({row.text(0), row.text(1), row.text(2) == "finished"});
  HF_TRY(const sql::Rows damaged,
         reader.query("SELECT participant, gtrid, decided, found, reason FROM coordinator_heuristic"));
  for (const Row& row : damaged) {
    facts.heuristics.push_back({"coordinator, of " + row.text(0), row.text(1), row.text(2), row.text(3), row.text(4)});
  }
  return ok();
}

/// What payment and inventory have in common.
struct Holding {
  std::string store, amounts, openings, movements, held;
};
const Holding kPayment = {"payment", "SELECT cardno, amount FROM Payments",
                          "SELECT cardno, amount FROM payment_openings",
                          "SELECT gtrid, cardno, amount, state FROM payment_movements", "held"};
const Holding kInventory = {"inventory", "SELECT itemId, amount FROM Stock",
                            "SELECT itemId, amount FROM stock_openings",
                            "SELECT gtrid, itemId, amount, state FROM stock_movements", "reserved"};

/// A card is a text, an item a number.
std::string id_of(const Row& row, std::size_t column) {
  const auto* const number = std::get_if<std::int64_t>(&row.value(column));
  return number != nullptr ? std::to_string(*number) : row.text(column);
}

Result<void> branch_facts(Reader& reader, const std::string& store, Facts& facts) {
  HF_TRY(const sql::Rows prepared,
         reader.query("SELECT gtrid, changed_at_us FROM branches WHERE bqual = ? AND state = 'prepared'", {store}));
  for (const Row& row : prepared) facts.prepared.push_back({store, row.text(0), row.integer(1)});
  HF_TRY(const sql::Rows damaged,
         reader.query("SELECT gtrid, decided, found, reason FROM branch_heuristics WHERE bqual = ?", {store}));
  for (const Row& row : damaged) {
    facts.heuristics.push_back({store, row.text(0), row.text(1), row.text(2), row.text(3)});
  }
  return ok();
}

Result<void> holding_facts(Reader& reader, const Holding& holding, Facts& facts) {
  std::map<std::string, HoldingFact> all;
  HF_TRY(const sql::Rows amounts, reader.query(holding.amounts));
  for (const Row& row : amounts) {
    HoldingFact& fact = all[id_of(row, 0)];
    fact.store = holding.store;
    fact.id = id_of(row, 0);
    fact.left = row.integer_or(1, 0);
  }
  HF_TRY(const sql::Rows openings, reader.query(holding.openings));
  for (const Row& row : openings) {
    const auto found = all.find(id_of(row, 0));
    if (found != all.end()) found->second.opening = row.integer(1);
  }
  HF_TRY(const sql::Rows movements, reader.query(holding.movements));
  for (const Row& row : movements) {
    const bool held = row.text(3) == holding.held;
    facts.movements.push_back({holding.store, row.text(0), id_of(row, 1), row.integer(2), held});
    const auto found = all.find(id_of(row, 1));
    if (found != all.end()) (held ? found->second.held : found->second.taken) += row.integer(2);
  }
  for (auto& [id, fact] : all) facts.holdings.push_back(std::move(fact));
  return branch_facts(reader, holding.store, facts);
}

}  // namespace

Task<> read_outbox_shop(sql::Database& shop, std::string events_topic, Facts& facts) {
  Fill fill = [events_topic](Reader& reader, Facts& part) -> Result<void> {
    HF_TRY(outbox_orders(reader, part));
    return outbox_rows(reader, events_topic, part);
  };
  co_return co_await read_store(shop, facts, std::move(fill), "the shop");
}

Task<> read_outbox_inventory(sql::Database& inventory, Facts& facts) {
  co_return co_await read_store(inventory, facts, outbox_inventory_facts, "the inventory");
}

Task<> read_two_phase_shop_before(sql::Database& shop, Facts& facts) {
  Fill fill = [](Reader& reader, Facts& part) { return two_phase_orders(reader, part.orders_before); };
  co_return co_await read_store(shop, facts, std::move(fill), "the shop");
}

Task<> read_two_phase_shop(sql::Database& shop, std::string events_topic, Facts& facts) {
  Fill fill = [events_topic](Reader& reader, Facts& part) -> Result<void> {
    HF_TRY(two_phase_orders(reader, part.orders));
    return outbox_rows(reader, events_topic, part);
  };
  co_return co_await read_store(shop, facts, std::move(fill), "the shop");
}

Task<> read_coordinator(sql::Database& coordinator, Facts& facts) {
  co_return co_await read_store(coordinator, facts, coordinator_facts, "the coordinator");
}

Task<> read_payment(sql::Database& payment, Facts& facts) {
  Fill fill = [](Reader& reader, Facts& part) { return holding_facts(reader, kPayment, part); };
  co_return co_await read_store(payment, facts, std::move(fill), "payment");
}

Task<> read_two_phase_inventory(sql::Database& inventory, Facts& facts) {
  Fill fill = [](Reader& reader, Facts& part) { return holding_facts(reader, kInventory, part); };
  co_return co_await read_store(inventory, facts, std::move(fill), "the inventory");
}

Task<> read_xa_branches(sql::Database& database, std::string store, Duration active_max, Facts& facts) {
  sql::XaResource* const xa = database.xa();
  if (xa == nullptr) co_return ok();
  HF_CO_TRY(const std::vector<sql::Xid> prepared, co_await xa->recover());
  for (const sql::Xid& xid : prepared) {
    if (xid.bqual != store) continue;
    const std::optional<wire::two_phase::Gtrid> gtrid = wire::two_phase::parse_gtrid(xid.gtrid);
    const auto active_us = std::chrono::duration_cast<std::chrono::microseconds>(active_max).count();
    facts.prepared.push_back({store, xid.gtrid, gtrid ? gtrid->began_us() + active_us : 0});
  }
  co_return ok();
}

}  // namespace hf::reconcile
