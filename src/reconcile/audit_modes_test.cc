#include "reconcile/audit.h"

namespace hf::reconcile {
namespace {

/// What follows a confirmation in every mode: published, routed, delivered, seen.
void told(Facts& facts, const std::string& order) {
  facts.messages.push_back({.message_id = order + ".confirmed", .key = order, .state = "committed"});
  facts.deliveries.push_back({.delivery_id = "d" + order, .order_id = order, .state = "delivered"});
  facts.notifications.push_back(
      {.notification_id = "n" + order, .event_id = "d" + order, .sid = "SM" + order, .state = "created"});
  facts.phone.push_back({.sid = "SM" + order, .channel = "sms", .text = "Order #" + order + " confirmed."});
}

OrderFact order(std::string id, std::string status) {
  return {.order_id = id,
          .tx_id = "t" + id,
          .status = std::move(status),
          .reason = "sold_out",
          .item = 1,
          .quantity = 2,
          .channels = {"sms"},
          .committed_at_us = 1000,
          .total = 40};
}

/// One confirmed, one refused.
Facts outbox_facts() {
  Facts facts;
  facts.mode = Mode::outbox;
  facts.stock = {{.item = 1, .initial = 10, .avail = 8, .sold = 2}};
  facts.orders = {order("a", "confirmed"), order("b", "refused")};
  facts.order_messages = {{"a", "done"}, {"b", "done"}};
  facts.handled = {{"a", true, 900}, {"b", false, 950}};
  told(facts, "a");
  return facts;
}

/// One confirmed, one refused by payment.
Facts two_phase_facts() {
  Facts facts;
  facts.mode = Mode::two_phase;
  facts.orders = facts.orders_before = {order("a", "confirmed"), order("b", "refused")};
  facts.transactions = {{"ta", "commit", true}, {"tb", "abort", true}};
  facts.holdings = {{.store = "payment", .id = "card1", .left = 960, .taken = 40, .opening = 1000},
                    {.store = "inventory", .id = "1", .left = 98, .taken = 2, .opening = 100}};
  facts.movements = {{"payment", "ta", "card1", 40}, {"inventory", "ta", "1", 2}};
  told(facts, "a");
  return facts;
}

struct Case {
  const char* what;
  std::function<void(Facts&)> damage;
  std::vector<Class> want;
  std::int64_t open = 0;
};

void expect(const Case& c, Facts facts) {
  c.damage(facts);
  const Report report = audit(facts, {});
  std::vector<Class> found;
  for (const Finding& finding : report.findings) found.push_back(finding.kind);
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(c.want)) << c.what;
  EXPECT_EQ(report.open, c.open) << c.what;
}

const Case kOutbox[] = {
    {"nothing", [](Facts&) {}, {}},
    {"the message row of a waiting order is gone",
     [](Facts& f) { f.orders.push_back(order("c", "processing")); },
     {Class::order_without_message},
     1},
    {"a waiting order with its row",
     [](Facts& f) {
       f.orders.push_back(order("c", "processing"));
       f.order_messages.push_back({"c", "sent"});
     },
     {},
     1},
    {"a message row without its order",
     [](Facts& f) { f.order_messages.push_back({"c", "pending"}); },
     {Class::message_without_order}},
    {"decided, but the row is published on and on",
     [](Facts& f) { f.order_messages[1].state = "sent"; },
     {Class::order_message_open}},
    {"rows that were done are removed after a while", [](Facts& f) { f.order_messages.clear(); }, {}},
    {"stock taken twice",
     [](Facts& f) { f.stock[0] = {.item = 1, .initial = 10, .avail = 6, .sold = 4}; },
     {Class::stock_mismatch}},
    {"the services disagree",
     [](Facts& f) { f.handled[1].taken = true; },
     {Class::result_mismatch, Class::stock_mismatch}},
    {"the inventory handled what nobody ordered",
     [](Facts& f) { f.handled.push_back({"z", false, 990}); },
     {Class::message_without_order}},
    {"blocked at the broker", [](Facts& f) { f.order_messages[0].state = "blocked"; }, {Class::parked_message}},
    {"confirmed, the event row never written",
     [](Facts& f) {
       f.messages.clear();
       f.deliveries.clear();
       f.notifications.clear();
       f.phone.clear();
     },
     {Class::order_without_message}},
    {"told of a refused order",
     [](Facts& f) { told(f, "b"); },
     {Class::message_without_order, Class::notified_without_order}},
};

TEST(AuditModes, Outbox) {
  for (const Case& c : kOutbox) expect(c, outbox_facts());
}

const Case kTwoPhase[] = {
    {"nothing", [](Facts&) {}, {}},
    {"money vanished", [](Facts& f) { f.holdings[0].left -= 1; }, {Class::money_mismatch}},
    {"pieces appeared", [](Facts& f) { f.holdings[1].left += 1; }, {Class::stock_mismatch}},
    {"below nothing",
     [](Facts& f) { f.holdings[1] = {.store = "inventory", .id = "1", .left = -2, .taken = 102, .opening = 100}; },
     {Class::stock_negative}},
    {"reserved counts",
     [](Facts& f) {
       f.holdings[0].left -= 5;
       f.holdings[0].held += 5;
     },
     {}},
    {"made by hand: no opening to compare with",
     [](Facts& f) { f.holdings.push_back({.store = "payment", .id = "card9", .left = 7}); },
     {}},
    {"paid, but not sold",
     [](Facts& f) {
       f.movements.pop_back();
       f.holdings[1] = {.store = "inventory", .id = "1", .left = 100, .opening = 100};
     },
     {Class::order_in_one_store}},
    {"confirmed, and payment still holds", [](Facts& f) { f.movements[0].held = true; }, {Class::order_in_one_store}},
    {"another amount than ordered", [](Facts& f) { f.movements[1].amount = 1; }, {Class::order_in_one_store}},
    {"refused, but one store has it",
     [](Facts& f) { f.movements.push_back({"inventory", "tb", "1", 2, true}); },
     {Class::order_in_one_store}},
    {"confirmed while we looked: not judged",
     [](Facts& f) {
       f.orders_before[0].status = "processing";
       f.movements.clear();
       f.holdings.clear();
     },
     {}},
    {"aborted, but paid",
     [](Facts& f) {
       f.movements.push_back({"payment", "tx", "card1", 40});
       f.transactions.push_back({"tx", "abort", true});
     },
     {Class::decision_broken}},
    {"prepared under an open transaction",
     [](Facts& f) {
       f.prepared.push_back({"payment", "tz", 5});
       f.transactions.push_back({"tz", "commit", false});
     },
     {},
     1},
    {"prepared, and its transaction is over",
     [](Facts& f) { f.prepared.push_back({"payment", "tb", 5}); },
     {Class::branch_left_prepared}},
    {"prepared, and the coordinator knows nothing of it",
     [](Facts& f) { f.prepared.push_back({"inventory", "tz", 5}); },
     {Class::branch_left_prepared}},
    {"an XA branch of a foreign transaction, whose age nobody knows",
     [](Facts& f) { f.prepared.push_back({"inventory", "tz", 0}); },
     {},
     1},
    {"an operator decided",
     [](Facts& f) { f.heuristics.push_back({"payment", "tb", "abort", "committed", "operator: by phone"}); },
     {Class::heuristic}},
};

TEST(AuditModes, TwoPhase) {
  for (const Case& c : kTwoPhase) {
    Facts facts = two_phase_facts();
    expect(c, facts);
  }
}

TEST(AuditModes, AYoungRefusalMayStillBeOnItsWayToTheStores) {
  Facts facts = two_phase_facts();
  facts.movements.push_back({"inventory", "tb", "1", 2, true});
  const Report report = audit(facts, {.until_us = 500});
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.open, 1);
}

}  // namespace
}  // namespace hf::reconcile
