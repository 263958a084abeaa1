#pragma once

/// The bodies of the three services, checked (P8). Wire contract: docs/protocols/shop-http.md.

#include <variant>

#include "shop/json_input.h"

namespace hf::shop::two_phase {

inline constexpr std::int64_t kIntMax = 2'147'483'647;  ///< the columns of Stock and Payments are INT
inline constexpr std::size_t kCardMax = 16;

/// {"cardNo": text, "itemId": int, "qty": int}, and of ours, both optional: "channel", "phone" (as in POST /orders).
struct OrderRequest {
  std::string card_no;
  std::int64_t item_id = 0, qty = 0;
  std::vector<std::string> channels;  ///< empty: as configured
  std::string phone;                  ///< empty: as configured
  bool operator==(const OrderRequest&) const = default;
};
/// {"cardNo": text, "amount": int}
struct PaymentRequest {
  std::string card_no;
  std::int64_t amount = 0;
};

/// qty ≤ 0 is refused with "Invalid Order Request!".
std::variant<OrderRequest, BadRequest> parse_order(std::string_view body);
std::variant<PaymentRequest, BadRequest> parse_payment(std::string_view body);
/// What the example sends: cardNo, itemId, qty.
std::string encode(const OrderRequest& request);
std::string encode(const PaymentRequest& request);

/// "card1" → "*ard1": for people. The whole number stays in the database.
std::string mask_card(std::string_view card_no);

}  // namespace hf::shop::two_phase
