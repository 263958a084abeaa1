#pragma once

/// What reconciliation reads, as plain facts: one struct per stored thing, with the ids that join the story. Who fills
/// them: reconcile/readers.h. Nothing here knows the code that wrote the facts.

#include <cstdint>
#include <string>
#include <vector>

namespace hf::reconcile {

/// The shop's `items`.
struct StockFact {
  std::int64_t item = 0;
  std::int64_t initial = 0, avail = 0, sold = 0;
};
/// The shop's `orders`: confirmed ones and refusals alike.
struct OrderFact {
  std::string order_id{}, tx_id{};
  std::string status{};  ///< "confirmed", "refused"
  std::string reason{};  ///< of a refusal: "sold_out"
  std::int64_t item = 0, quantity = 0;
  std::vector<std::string> channels{};  ///< "sms", "whatsapp", "voice"
  std::string phone{};
  std::int64_t committed_at_us = 0;
};
/// The shop's `tx_marker`.
struct MarkerFact {
  std::string tx_id{}, state{};  ///< "committed", "rolled_back" (a tombstone)
};
/// A transactional message as the broker remembers it.
struct MessageFact {
  std::string message_id{}, key{};  ///< key: the order id
  std::string state{};              ///< "pending", "committed", "rolled_back", "parked"
  std::int64_t stored_at_us = 0;
  std::int64_t checks = 0;
};
/// The router's deliveries.
struct DeliveryFact {
  std::string delivery_id{}, event_id{}, order_id{}, rule{};
  std::string state{};   ///< "waiting", "delivered", "dead"
  std::string reason{};  ///< of a dead one
  std::int64_t attempts = 0, created_at_us = 0;
};
/// The notifier's ledger.
struct NotificationFact {
  std::string notification_id{}, event_id{}, sid{}, channel{};
  std::string state{};  ///< "created", "failed", "open" (sending, unknown, to be sent), "parked"
  std::int64_t created_at_us = 0;
};
/// What the provider would have shown to the customer.
struct PhoneFact {
  std::string sid{}, channel{}, to{}, text{};
  std::int64_t created_at_us = 0;
};

struct Facts {
  std::vector<StockFact> stock;
  std::vector<OrderFact> orders;
  std::vector<MarkerFact> markers;
  std::vector<MessageFact> messages;
  std::vector<DeliveryFact> deliveries;
  std::vector<NotificationFact> notifications;
  std::vector<PhoneFact> phone;
};

}  // namespace hf::reconcile
