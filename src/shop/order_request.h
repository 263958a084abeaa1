#pragma once

/// The body of POST /orders, checked: what is wrong with it is said by field, before anything is stored (P8).

#include <string>
#include <string_view>
#include <variant>

#include "shop/order.h"

namespace hf::shop {

/// Why a request is refused.
struct BadRequest {
  int status;        ///< 400: not the shape · 422: the shape, but a value that cannot be
  std::string code;  ///< "invalid_json", "unknown_field", "missing_field", "wrong_type", "invalid_value", "invalid_key"
  std::string field;    ///< empty: the whole body
  std::string message;  ///< for people
};

/// {"buyer": text, "item": integer, "quantity": integer, "channel": text or list of texts, "phone": "+<7 … 15 digits>"}
std::variant<OrderRequest, BadRequest> parse_order_request(std::string_view body);

/// The Idempotency-Key header: 1 … 255 printable ASCII characters.
std::optional<BadRequest> check_key(std::string_view key);

}  // namespace hf::shop
