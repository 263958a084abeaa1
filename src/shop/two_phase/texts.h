#pragma once

/// The texts of the wire contract (docs/protocols/two-phase-commit.md §1.1), and which of them decide an order.

#include <algorithm>
#include <iterator>
#include <string_view>

namespace hf::shop::two_phase {

inline constexpr std::string_view kOrderPlaced = "Order placed successfully!";
inline constexpr std::string_view kInvalidOrderRequest = "Invalid Order Request!";

inline constexpr std::string_view kCardNotFound = "Card not found!";
inline constexpr std::string_view kInsufficientBalance = "Insufficient balance!";
inline constexpr std::string_view kPaymentFailed = "Payment failed!";  ///< the order service, before payment's reason
inline constexpr std::string_view kPaymentUpdateFailed = "Payment update failed!";  ///< not the customer's fault

inline constexpr std::string_view kItemNotFound = "Item not found!";
inline constexpr std::string_view kInsufficientStock = "Insufficient stock!";
inline constexpr std::string_view kNothingTaken = "Item not found or insufficient quantity available.";
inline constexpr std::string_view kStockUpdatePrefix = "Error while updating stock: ";
inline constexpr std::string_view kInventoryUpdateFailed = "Inventory update failed!";

/// Ours: the price is no longer the one that getTotalPrice answered. A new transaction gets the new price.
inline constexpr std::string_view kPriceChanged = "Price changed!";

/// True for what no repetition changes: the card, the item, the balance, the stock. All else is passing (a lock wait, a
/// deadlock, a service that is away) and worth a new transaction.
inline bool is_refusal(std::string_view reason) {
  constexpr std::string_view kRefusals[] = {kCardNotFound, kInsufficientBalance, kItemNotFound, kInsufficientStock,
                                            kNothingTaken};
  return std::any_of(std::begin(kRefusals), std::end(kRefusals),
                     [&](std::string_view text) { return reason.ends_with(text); });
}

}  // namespace hf::shop::two_phase
