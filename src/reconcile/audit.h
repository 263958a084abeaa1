#pragma once

/// The audit: facts and a window in, findings out. Pure; it re-derives the promises from what is stored (P9) and shares
/// no code with the components that stored it. It is also the oracle of our own crash tests.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/facts.h"

namespace hf::reconcile {

enum class Class {
  notified_without_order,      ///< P1: the customer was told of an order that is not committed
  message_without_order,       ///< P1: a message is consumable whose transaction did not commit
  order_without_marker,        ///< P1: the business rows and the marker disagree
  marker_without_order,        ///< P1: the same, from the other side
  order_without_message,       ///< P4: nothing will ever tell the customer
  order_without_delivery,      ///< P4: the router never took it
  order_without_notification,  ///< P4: settled, and the customer saw nothing
  duplicate_notification,      ///< P5: the customer saw the same thing twice
  duplicate_order_message,     ///< P3: one order, two committed messages
  stock_mismatch,              ///< P6: avail + sold ≠ initial, or sold ≠ what orders say
  stock_negative,              ///< P6: oversold
  ledger_without_provider,     ///< P5: the ledger says created, the provider does not know it
  provider_without_ledger,     ///< P5: the provider has it, the ledger has not
  result_mismatch,             ///< P3: order service and inventory remember different results
  order_message_open,          ///< P3: the order is decided, the message row that asked is not done
  money_mismatch,              ///< P6: left + held + paid ≠ opening, or less than nothing is left
  order_in_one_store,          ///< P6: an order is in payment or inventory, not as it should be in both
  branch_left_prepared,        ///< P3: a branch waits for a transaction that is over
  decision_broken,             ///< P3: a store did the opposite of what was decided
  heuristic,                   ///< P3: ended against the decision, or by an operator's word
  parked_message,              ///< P7: a human must decide: holdfast tx list
  dead_letter,                 ///< P7: a human must decide: holdfast dlq list
  parked_notification,         ///< P7: the outcome could not be resolved
};
std::string_view to_string(Class c);
/// "P5": the promise that the class is about.
std::string_view promise_of(Class c);
/// True for the classes in which nothing is wrong but somebody has to decide.
bool needs_a_human(Class c);

struct Finding {
  Class kind;
  std::string id;  ///< of the order, message, SID or item
  std::string text;
};

/// Orders committed in [from_us, until_us) are judged; younger ones are only counted as still open.
struct Window {
  std::int64_t from_us = 0;
  std::int64_t until_us = INT64_MAX;
};

struct Report {
  Mode mode = Mode::message;
  Window window;
  std::vector<Finding> findings;
  std::int64_t open = 0;                   ///< orders on their way: younger than the window, or a retry is due
  std::vector<std::string> open_examples;  ///< at most 10: "order … is on its way"

  std::int64_t confirmed = 0;
  std::map<std::string, std::int64_t> refused;        ///< by reason
  std::map<std::string, std::int64_t> messages;       ///< by state
  std::int64_t checked_back = 0;                      ///< messages that were checked at least once
  std::map<std::string, std::int64_t> deliveries;     ///< by state
  std::map<std::string, std::int64_t> notifications;  ///< seen by customers, by channel
  std::int64_t duplicates = 0, without_order = 0, without_notification = 0;
  std::int64_t stock_initial = 0, stock_avail = 0, stock_sold = 0;
  std::int64_t stock_held = 0;                                                     ///< 2pc: voted, not decided
  std::int64_t money_opening = 0, money_left = 0, money_held = 0, money_paid = 0;  ///< 2pc
  std::vector<std::int64_t> latency_us;  ///< commit → created at the provider, sorted

  bool clean() const { return findings.empty(); }
};

/// What every mode has in common, and then what only its mode has (mode_audits.h).
Report audit(const Facts& facts, Window window);

/// The order id inside "Order #<id> confirmed" or, spoken, "Order number <id> confirmed"; "" if the text is none of
/// ours.
std::string order_id_in(std::string_view text);

}  // namespace hf::reconcile
