#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "reconcile/mode_audits.h"

namespace hf::reconcile {
namespace {

/// The inventory is read before the order service: what it decided within so long before its last decision may have
/// been committed after the reading.
constexpr std::int64_t kBlurUs = 10'000'000;

class OutboxAudit {
 public:
  OutboxAudit(const Facts& facts, Report& report) : facts_(facts), report_(report) {
    for (const OrderFact& order : facts.orders) orders_[order.order_id] = &order;
    for (const OrderMessageFact& message : facts.order_messages) messages_[message.order_id] = &message;
    for (const HandledFact& handled : facts.handled) {
      handled_[handled.order_id] = &handled;
      newest_us_ = std::max(newest_us_, handled.at_us);
    }
  }

  void run() {
    for (const OrderFact& order : facts_.orders) {
      check_message(order);
      check_result(order);
    }
    check_strangers();
    check_stock();
  }

 private:
  void find(Class kind, std::string id, std::string text) {
    report_.findings.push_back({kind, std::move(id), std::move(text)});
  }

  void check_message(const OrderFact& order) {
    const auto found = messages_.find(order.order_id);
    const bool processing = order.status == "processing";
    if (found == messages_.end()) {  // a decided order's row is removed after its retention
      if (processing)
        find(Class::order_without_message, order.order_id, "processing, and its message row is not there");
      return;
    }
    const std::string& state = found->second->state;
    if (state == "blocked") {
      find(Class::parked_message, order.order_id + ".order", "the broker refuses it: holdfast outbox list");
    } else if (!processing && state != "done") {
      find(Class::order_message_open, order.order_id,
           fmt::format("the order is {}, its message row {}", order.status, state));
    }
  }

  void check_result(const OrderFact& order) {
    const auto found = handled_.find(order.order_id);
    const bool taken = found != handled_.end() && found->second->taken;
    if (found != handled_.end() && order.status != "processing" && taken != (order.status == "confirmed")) {
      find(
          Class::result_mismatch, order.order_id,
          fmt::format("the order is {}, the inventory has {}", order.status, taken ? "taken the stock" : "refused it"));
    }
    const bool forgotten = found == handled_.end() && order.status == "confirmed" &&
                           order.committed_at_us < newest_us_ - kBlurUs;  // the inbox removes old keys
    if (taken || forgotten) taken_[order.item] += order.quantity;
  }

  void check_strangers() {
    for (const auto& [order_id, message] : messages_) {
      if (!orders_.contains(order_id)) find(Class::message_without_order, order_id, "a message row without its order");
    }
    for (const auto& [order_id, handled] : handled_) {
      if (!orders_.contains(order_id)) {
        find(Class::message_without_order, order_id, "the inventory handled an order that the shop does not have");
      }
    }
  }

  void check_stock() {
    for (const StockFact& stock : facts_.stock) {
      report_.stock_initial += stock.initial;
      report_.stock_avail += stock.avail;
      report_.stock_sold += stock.sold;
      const std::string id = std::to_string(stock.item);
      if (stock.avail < 0) find(Class::stock_negative, id, fmt::format("{} pieces available", stock.avail));
      if (stock.avail + stock.sold != stock.initial || stock.sold != taken_[stock.item]) {
        find(Class::stock_mismatch, id,
             fmt::format("initial {}, available {}, sold {}; orders that were handled take {}", stock.initial,
                         stock.avail, stock.sold, taken_[stock.item]));
      }
    }
  }

  const Facts& facts_;
  Report& report_;
  std::unordered_map<std::string, const OrderFact*> orders_;
  std::unordered_map<std::string, const OrderMessageFact*> messages_;
  std::unordered_map<std::string, const HandledFact*> handled_;
  std::unordered_map<std::int64_t, std::int64_t> taken_;  ///< pieces by item
  std::int64_t newest_us_ = 0;
};

}  // namespace

void audit_outbox(const Facts& facts, Report& report) { OutboxAudit(facts, report).run(); }

}  // namespace hf::reconcile
