#include "reconcile/audit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/assert.h"
#include "reconcile/mode_audits.h"

namespace hf::reconcile {
namespace {

struct ClassInfo {
  Class kind;
  std::string_view name, promise;
  bool human;
};
constexpr ClassInfo kClasses[] = {
    {Class::notified_without_order, "notified_without_order", "P1", false},
    {Class::message_without_order, "message_without_order", "P1", false},
    {Class::order_without_marker, "order_without_marker", "P1", false},
    {Class::marker_without_order, "marker_without_order", "P1", false},
    {Class::order_without_message, "order_without_message", "P4", false},
    {Class::order_without_delivery, "order_without_delivery", "P4", false},
    {Class::order_without_notification, "order_without_notification", "P4", false},
    {Class::duplicate_notification, "duplicate_notification", "P5", false},
    {Class::duplicate_order_message, "duplicate_order_message", "P3", false},
    {Class::stock_mismatch, "stock_mismatch", "P6", false},
    {Class::stock_negative, "stock_negative", "P6", false},
    {Class::ledger_without_provider, "ledger_without_provider", "P5", false},
    {Class::provider_without_ledger, "provider_without_ledger", "P5", false},
    {Class::result_mismatch, "result_mismatch", "P3", false},
    {Class::order_message_open, "order_message_open", "P3", false},
    {Class::money_mismatch, "money_mismatch", "P6", false},
    {Class::order_in_one_store, "order_in_one_store", "P6", false},
    {Class::branch_left_prepared, "branch_left_prepared", "P3", false},
    {Class::decision_broken, "decision_broken", "P3", false},
    {Class::heuristic, "heuristic", "P3", true},
    {Class::parked_message, "parked_message", "P7", true},
    {Class::dead_letter, "dead_letter", "P7", true},
    {Class::parked_notification, "parked_notification", "P7", true},
};
const ClassInfo& info_of(Class c) {
  for (const ClassInfo& info : kClasses) {
    if (info.kind == c) return info;
  }
  HF_ASSERT(false);
}

/// Everything known of one order, joined from all sides.
struct Story {
  const OrderFact* order = nullptr;
  std::vector<const MessageFact*> messages;
  std::vector<const DeliveryFact*> deliveries;
  std::map<std::string, std::vector<const PhoneFact*>> seen;  ///< by channel

  bool confirmed() const { return order != nullptr && order->status == "confirmed"; }
  std::int64_t messages_in(std::string_view state) const {
    return std::count_if(messages.begin(), messages.end(), [&](const MessageFact* m) { return m->state == state; });
  }
};

class Audit {
 public:
  Audit(const Facts& facts, Window window) : facts_(facts) {
    report_.window = window;
    report_.mode = facts.mode;
  }

  Report run() {
    join();
    switch (facts_.mode) {
      case Mode::message:
        check_stock();
        check_markers();
        break;
      case Mode::outbox:
        audit_outbox(facts_, report_);
        break;
      case Mode::two_phase:
        audit_two_phase(facts_, report_);
        break;
    }
    for (const auto& [order_id, story] : stories_) {
      check_messages(order_id, story);
      for (const auto& [channel, seen] : story.seen) check_seen(order_id, story, channel, seen.size());
      if (story.confirmed()) check_confirmed(order_id, story);
    }
    check_ledger();
    std::sort(report_.latency_us.begin(), report_.latency_us.end());
    return std::move(report_);
  }

 private:
  void find(Class kind, std::string id, std::string text) {
    report_.findings.push_back({kind, std::move(id), std::move(text)});
  }
  void still_open(const std::string& what) { note_open(report_, what); }

  bool in_outbox() const { return facts_.mode != Mode::message; }

  void join() {
    for (const OrderFact& order : facts_.orders) {
      stories_[order.order_id].order = &order;
      if (order.status == "confirmed") {
        ++report_.confirmed;
      } else if (order.status == "processing") {
        still_open(fmt::format("order {} is being processed", order.order_id));
      } else {
        ++report_.refused[order.status == "aborted" ? order.status : order.reason];
      }
    }
    for (const MessageFact& message : facts_.messages) {
      stories_[message.key].messages.push_back(&message);
      ++report_.messages[message.state];
      if (message.checks > 0) ++report_.checked_back;
    }
    for (const DeliveryFact& delivery : facts_.deliveries) {
      ++report_.deliveries[delivery.state];
      if (!delivery.order_id.empty()) stories_[delivery.order_id].deliveries.push_back(&delivery);
    }
    for (const PhoneFact& phone : facts_.phone) {
      ++report_.notifications[phone.channel];
      const std::string order_id = order_id_in(phone.text);
      if (!order_id.empty()) stories_[order_id].seen[phone.channel].push_back(&phone);
    }
    for (const NotificationFact& entry : facts_.notifications) {
      ledger_by_event_[entry.event_id] = &entry;
      if (entry.state == "open") ledger_is_open_ = true;
    }
  }

  void check_stock() {
    std::map<std::int64_t, std::int64_t> ordered;
    for (const OrderFact& order : facts_.orders) {
      if (order.status == "confirmed") ordered[order.item] += order.quantity;
    }
    for (const StockFact& stock : facts_.stock) {
      report_.stock_initial += stock.initial;
      report_.stock_avail += stock.avail;
      report_.stock_sold += stock.sold;
      const std::string id = std::to_string(stock.item);
      if (stock.avail < 0) find(Class::stock_negative, id, fmt::format("{} pieces available", stock.avail));
      if (stock.avail + stock.sold != stock.initial || stock.sold != ordered[stock.item]) {
        find(Class::stock_mismatch, id,
             fmt::format("initial {}, available {}, sold {}; confirmed orders take {}", stock.initial, stock.avail,
                         stock.sold, ordered[stock.item]));
      }
    }
  }

  void check_markers() {
    std::unordered_map<std::string, std::string> state;
    for (const MarkerFact& marker : facts_.markers) state[marker.tx_id] = marker.state;
    std::set<std::string> confirmed;
    for (const OrderFact& order : facts_.orders) {
      if (order.status != "confirmed") continue;
      confirmed.insert(order.tx_id);
      const auto found = state.find(order.tx_id);
      if (found == state.end() || found->second != "committed") {
        find(Class::order_without_marker, order.order_id,
             fmt::format("confirmed, but its marker is {}", found == state.end() ? "absent" : found->second));
      }
    }
    for (const auto& [tx_id, marker] : state) {
      if (marker == "committed" && !confirmed.contains(tx_id)) {
        find(Class::marker_without_order, tx_id, "the marker says committed, there is no confirmed order");
      }
    }
  }

  void check_messages(const std::string& order_id, const Story& story) {
    for (const MessageFact* message : story.messages) {
      if (message->state == "parked") {
        find(Class::parked_message, message->message_id,
             in_outbox() ? fmt::format("the confirmation of order {} is blocked: holdfast outbox list", order_id)
                         : fmt::format("half message of order {} was checked {} times without an answer", order_id,
                                       message->checks));
      } else if (message->state == "committed" && !story.confirmed()) {
        find(Class::message_without_order, message->message_id,
             fmt::format("of order {}, which is not committed", order_id));
      } else if (message->state == "pending" && (!story.confirmed() || story.messages_in("committed") > 0)) {
        still_open(fmt::format("half message of {} is undecided", order_id));
      }
    }
    if (story.messages_in("committed") > 1) {
      find(Class::duplicate_order_message, order_id,
           fmt::format("{} committed messages", story.messages_in("committed")));
    }
  }

  void check_seen(const std::string& order_id, const Story& story, const std::string& channel, std::size_t times) {
    if (!story.confirmed()) {
      ++report_.without_order;
      find(Class::notified_without_order, order_id,
           fmt::format("{} {} to the customer, but the order is {}", times, channel,
                       story.order == nullptr ? "unknown" : story.order->status));
    }
    if (times > 1) {
      report_.duplicates += static_cast<std::int64_t>(times) - 1;
      find(Class::duplicate_notification, order_id, fmt::format("{} {} for one order", times, channel));
    }
  }

  void check_confirmed(const std::string& order_id, const Story& story) {
    const OrderFact& order = *story.order;
    std::vector<std::string> missing;
    for (const std::string& channel : order.channels) {
      const auto seen = story.seen.find(channel);
      if (seen == story.seen.end()) {
        missing.push_back(channel);
      } else {
        report_.latency_us.push_back(seen->second.front()->created_at_us - order.committed_at_us);
      }
    }
    if (order.committed_at_us < report_.window.from_us) return;
    // A row of an outbox is removed when it has done its work; a message of the broker is not, while we look.
    if (missing.empty() && (in_outbox() || story.messages_in("committed") > 0)) {
      const bool recorded = std::none_of(story.deliveries.begin(), story.deliveries.end(),
                                         [](const DeliveryFact* d) { return d->state == "waiting"; });
      if (!recorded) still_open(fmt::format("order {} was told; the router has yet to hear so", order_id));
      return;
    }
    const bool young = order.committed_at_us >= report_.window.until_us;
    const bool undecided = story.messages_in("pending") + story.messages_in("parked") > 0;
    const bool taken_over = in_outbox() && !story.deliveries.empty();
    if (story.messages_in("committed") == 0 && !undecided && !young && !taken_over) {
      find(Class::order_without_message, order_id, "confirmed, but there is no message that will tell");
      return;
    }
    const Progress progress = progress_of(order_id, story);
    if (progress.given_up) return;
    if (young || undecided || progress.on_its_way) return still_open(fmt::format("order {} is on its way", order_id));
    report_.without_notification += static_cast<std::int64_t>(missing.size());
    find(story.deliveries.empty() ? Class::order_without_delivery : Class::order_without_notification, order_id,
         fmt::format("confirmed, and no {} ever went out", fmt::join(missing, ", ")));
  }

  struct Progress {
    bool given_up = false, on_its_way = false;
  };
  Progress progress_of(const std::string& order_id, const Story& story) {
    Progress progress;
    for (const DeliveryFact* delivery : story.deliveries) {
      if (delivery->state == "dead") {
        progress.given_up = true;
        find(Class::dead_letter, delivery->delivery_id,
             fmt::format("delivery of order {} by rule {} was given up: {}", order_id, delivery->rule,
                         delivery->reason));
      }
      if (delivery->state == "waiting") progress.on_its_way = true;
      const auto entry = ledger_by_event_.find(delivery->delivery_id);
      if (entry == ledger_by_event_.end()) continue;
      if (entry->second->state == "parked") progress.given_up = true;
      if (entry->second->state == "open") progress.on_its_way = true;
    }
    return progress;
  }

  void check_ledger() {
    std::set<std::string> provider, ledger;
    for (const PhoneFact& phone : facts_.phone) provider.insert(phone.sid);
    for (const NotificationFact& entry : facts_.notifications) {
      if (!entry.sid.empty()) ledger.insert(entry.sid);
      if (entry.state == "created" && !provider.contains(entry.sid)) {
        find(Class::ledger_without_provider, entry.notification_id,
             fmt::format("the ledger has {}, the provider does not", entry.sid));
      }
      if (entry.state == "parked") {
        find(Class::parked_notification, entry.notification_id, "nobody could tell whether the customer got it");
      }
    }
    // While an outcome is unknown the provider may be ahead of the ledger: that is what resolving is for.
    if (ledger_is_open_) return;
    for (const PhoneFact& phone : facts_.phone) {
      if (!ledger.contains(phone.sid) && phone.created_at_us < report_.window.until_us) {
        find(Class::provider_without_ledger, phone.sid, "the provider sent what the ledger does not know");
      }
    }
  }

  const Facts& facts_;
  Report report_;
  std::map<std::string, Story> stories_;
  std::unordered_map<std::string, const NotificationFact*> ledger_by_event_;
  bool ledger_is_open_ = false;
};

}  // namespace

void note_open(Report& report, const std::string& what) {
  ++report.open;
  if (report.open_examples.size() < 10) report.open_examples.push_back(what);
}

std::string_view to_string(Class c) { return info_of(c).name; }
std::string_view promise_of(Class c) { return info_of(c).promise; }
bool needs_a_human(Class c) { return info_of(c).human; }

std::string order_id_in(std::string_view text) {
  constexpr std::string_view kBefore[] = {"Order #", "Order number "};
  constexpr std::string_view kAfter = " confirmed";
  for (const std::string_view before : kBefore) {
    const std::size_t found = text.find(before);
    if (found == std::string_view::npos) continue;
    const std::size_t start = found + before.size();
    const std::size_t end = text.find(kAfter, start);
    if (end != std::string_view::npos) return std::string(text.substr(start, end - start));
  }
  return "";
}

Report audit(const Facts& facts, Window window) { return Audit(facts, window).run(); }

}  // namespace hf::reconcile
