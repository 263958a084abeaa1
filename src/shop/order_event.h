#pragma once

/// The message of an order: the EventBridge event that says it is confirmed.

#include <string>

#include "shop/order.h"

namespace hf::shop {

inline constexpr std::string_view kEventSource = "ecommerce.orders", kEventDetailType = "order.confirmed";

/// {"source":…,"detail-type":…,"time":…,"detail":{"order_id","buyer","item","quantity","channel":[…],"customer_phone"}}
/// One event for all channels: a pattern on detail.channel matches if any element does.
std::string order_event(const std::string& order_id, const OrderRequest& request, WallTime at);

}  // namespace hf::shop
