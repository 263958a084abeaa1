#pragma once

/// The shop's words: what is asked for, what is sold, what was decided.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "participant/marker.h"

namespace hf::shop {

inline constexpr std::int64_t kQuantityMax = 1'000'000;
inline constexpr std::int64_t kPriceMinorMax = 1'000'000'000'000;  // a total still fits 64 bits
inline constexpr std::size_t kBuyerMax = 64, kKeyMax = 255;

/// Well formed, and nothing more: whether the item exists and is in stock is for the database to say.
struct OrderRequest {
  std::string buyer;
  std::int64_t item = 0;
  std::int64_t quantity = 0;
  std::vector<std::string> channels;  ///< "sms", "whatsapp", "voice": at least one, each once, sorted
  std::string phone;                  ///< E.164
  bool operator==(const OrderRequest&) const = default;
};

/// "sms,voice": as a row has them.
std::string join_channels(const std::vector<std::string>& channels);
std::vector<std::string> split_channels(const std::string& joined);

struct Item {
  std::int64_t id = 0;
  std::string name;
  std::int64_t price_minor = 0;
  std::int64_t initial = 0;
  std::int64_t available = 0, sold = 0;
};

enum class OrderStatus { confirmed, refused };

/// A decided order, as it is stored; it never changes.
struct Order {
  std::string order_id;  ///< also the key of its message and of its tx_marker
  OrderStatus status = OrderStatus::refused;
  std::string reason;  ///< of a refusal: "sold_out"
  OrderRequest request;
  std::int64_t unit_price_minor = 0;
  std::optional<std::string> idempotency_key;
  std::string message_id;  ///< of its half message
  std::int64_t received_at_us = 0, half_at_us = 0, begun_at_us = 0, committed_at_us = 0;

  std::int64_t total_minor() const { return unit_price_minor * request.quantity; }
};

/// The durable state of a transaction: the row in tx_marker.
using participant::TxState;

/// What the local transaction is asked to do.
struct Attempt {
  std::string order_id;
  OrderRequest request;
  std::optional<std::string> idempotency_key;
  std::string message_id;
  std::int64_t received_at_us = 0, half_at_us = 0;
};

}  // namespace hf::shop
