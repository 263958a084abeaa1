#pragma once

/// Fills Facts from the stores themselves: SQL that knows the tables (docs/formats), not the code that writes them; and
/// the broker's transactions from its administration, because its log belongs to one process.

#include <string>

#include "net/http.h"
#include "reconcile/facts.h"
#include "sql/database.h"
#include "sys/world.h"

namespace hf::reconcile {

/// Each reads one consistent snapshot. Errors: those of sql::Database, with the store's name in front.
Task<> read_shop(sql::Database& shop, Facts& facts);
Task<> read_router(sql::Database& router, Facts& facts);
Task<> read_notifier(sql::Database& notifier, Facts& facts);
Task<> read_phone(sql::Database& phone, Facts& facts);

// Outbox: the order service's store and the inventory's. `events_topic`: where confirmations go; other rows tell the
// inventory of an order.
Task<> read_outbox_shop(sql::Database& shop, std::string events_topic, Facts& facts);
Task<> read_outbox_inventory(sql::Database& inventory, Facts& facts);

// Two-phase commit. `before`: into Facts::orders_before alone.
Task<> read_two_phase_shop_before(sql::Database& shop, Facts& facts);
Task<> read_two_phase_shop(sql::Database& shop, std::string events_topic, Facts& facts);
Task<> read_coordinator(sql::Database& coordinator, Facts& facts);
Task<> read_payment(sql::Database& payment, Facts& facts);
Task<> read_two_phase_inventory(sql::Database& inventory, Facts& facts);
/// Prepared XA branches, which no table shows. `store`: "payment"; `database` not read-only.
/// XA RECOVER tells no age, but our transactions' ids say when they began, and `active_max` how long after that a
/// branch can at most have been asked to prepare.
Task<> read_xa_branches(sql::Database& database, std::string store, Duration active_max, Facts& facts);

/// From `admin` + "/admin/broker/transactions". `admin`: "http://127.0.0.1:8080"; `token` may be empty.
Task<> read_broker(sys::World world, std::string admin, std::string token, std::string topic, Facts& facts);

}  // namespace hf::reconcile
