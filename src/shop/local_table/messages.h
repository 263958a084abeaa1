#pragma once

/// What the two services of the local message table say to each other (docs/formats/shop.md). Pure.

#include <string>
#include <string_view>

#include "base/result.h"

namespace hf::shop::local_table {

/// Topic shop-orders: an order was taken. {"order_id", "item", "quantity"}
struct OrderTaken {
  std::string order_id;
  std::int64_t item = 0, quantity = 0;
  bool operator==(const OrderTaken&) const = default;
};
/// Topic shop-order-results: what the inventory made of it.
/// {"order_id", "result": "ok" | "refused", "reason", "received_at_us", "decided_at_us"}
struct StockResult {
  std::string order_id;
  bool ok = false;
  std::string reason;  ///< of a refusal: "sold_out", "unknown_item"
  std::int64_t received_at_us = 0, decided_at_us = 0;
  bool operator==(const StockResult&) const = default;
};

std::string to_json(const OrderTaken& order);
std::string to_json(const StockResult& result);
/// Errors: invalid, naming what is wrong. Unknown fields are left to newer versions.
Result<OrderTaken> parse_order_taken(std::string_view body);
Result<StockResult> parse_stock_result(std::string_view body);

/// The outbox ids of an order's messages: the order, its result, the event for the customer.
inline std::string order_message_id(const std::string& order_id) { return order_id + ".order"; }
inline std::string result_message_id(const std::string& order_id) { return order_id + ".result"; }
inline std::string event_message_id(const std::string& order_id) { return order_id + ".confirmed"; }

}  // namespace hf::shop::local_table
