#pragma once

/// The body of POST /orders, checked: what is wrong with it is said by field, before anything is stored (P8).

#include <string_view>
#include <variant>

#include "shop/json_input.h"
#include "shop/order.h"

namespace hf::shop {

/// {"buyer": text, "item": integer, "quantity": integer, "channel": text or list of texts, "phone": "+<7 … 15 digits>"}
std::variant<OrderRequest, BadRequest> parse_order_request(std::string_view body);

}  // namespace hf::shop
