#pragma once

/// What reconciliation reads, as plain facts: one struct per stored thing, with the ids that join the story. Who fills
/// them: reconcile/readers.h. Nothing here knows the code that wrote the facts.

#include <cstdint>
#include <string>
#include <vector>

namespace hf::reconcile {

/// How the shop keeps orders consistent: which of the facts below there are.
enum class Mode { message, outbox, two_phase };

/// The shop's `items`.
struct StockFact {
  std::int64_t item = 0;
  std::int64_t initial = 0, avail = 0, sold = 0;
};
/// The shop's `orders`: confirmed ones and refusals alike.
struct OrderFact {
  std::string order_id{}, tx_id{};  ///< tx_id: in 2pc the global transaction
  std::string status{};             ///< "confirmed", "refused"; also "processing" (outbox, 2pc), "aborted" (2pc)
  std::string reason{};             ///< of a refusal: "sold_out"
  std::int64_t item = 0, quantity = 0;
  std::vector<std::string> channels{};  ///< "sms", "whatsapp", "voice"
  std::string phone{};
  std::int64_t committed_at_us = 0;  ///< outbox, 2pc: decided at; 0: not yet
  std::int64_t total = 0;            ///< 2pc: what the card pays
};
/// The shop's `tx_marker`.
struct MarkerFact {
  std::string tx_id{}, state{};  ///< "committed", "rolled_back" (a tombstone)
};
/// A transactional message as the broker remembers it; or the confirmation in the shop's outbox: "committed" when it is
/// published, "parked" when it is blocked.
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

// ---- outbox -------------------------------------------------------------------------------------------------------
/// The order service's `outbox`: what tells the inventory of an order.
struct OrderMessageFact {
  std::string order_id{}, state{};  ///< "pending", "held", "sent", "done", "blocked", "skipped"
};
/// The inventory's `inbox`: an order it has handled, once.
struct HandledFact {
  std::string order_id{};
  bool taken = false;  ///< false: refused
  std::int64_t at_us = 0;
};

// ---- two-phase commit ---------------------------------------------------------------------------------------------
/// An account of payment or an item of inventory: left + held + taken = opening.
struct HoldingFact {
  std::string store{}, id{};  ///< "payment", "card1"; "inventory", "4"
  std::int64_t left = 0, held = 0, taken = 0;
  std::int64_t opening = -1;  ///< -1: made by hand, nobody knows
};
/// What one branch took from one of them.
struct MovementFact {
  std::string store{}, gtrid{}, id{};
  std::int64_t amount = 0;
  bool held = false;  ///< voted, not decided
};
/// A branch that has voted and has no decision yet.
struct BranchFact {
  std::string store{}, gtrid{};
  std::int64_t since_us = 0;  ///< at the latest; 0: nobody can tell (XA, and not a transaction of ours)
};
/// A global transaction as the coordinator remembers it.
struct TransactionFact {
  std::string gtrid{}, decision{};
  bool finished = false;
};
/// What ended against a decision, or by an operator's word.
struct HeuristicFact {
  std::string where{}, gtrid{}, decided{}, found{}, reason{};
};

struct Facts {
  Mode mode = Mode::message;
  std::vector<StockFact> stock;
  std::vector<OrderFact> orders;
  std::vector<MarkerFact> markers;
  std::vector<MessageFact> messages;
  std::vector<DeliveryFact> deliveries;
  std::vector<NotificationFact> notifications;
  std::vector<PhoneFact> phone;

  std::vector<OrderMessageFact> order_messages;
  std::vector<HandledFact> handled;

  /// Read before payment and inventory (the shop's and the coordinator's), so that what was over by then must show.
  std::vector<OrderFact> orders_before;
  std::vector<TransactionFact> transactions;
  std::vector<HoldingFact> holdings;
  std::vector<MovementFact> movements;
  std::vector<BranchFact> prepared;
  std::vector<HeuristicFact> heuristics;
};

}  // namespace hf::reconcile
