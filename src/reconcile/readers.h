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

/// From `admin` + "/admin/broker/transactions". `admin`: "http://127.0.0.1:8080"; `token` may be empty.
Task<> read_broker(sys::World world, std::string admin, std::string token, std::string topic, Facts& facts);

}  // namespace hf::reconcile
