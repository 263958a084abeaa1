#include "reconcile/audit.h"

namespace hf::reconcile {
namespace {

/// One order that went all the way, and the stock it came from.
Facts one_good_order() {
  Facts facts;
  facts.stock = {{.item = 1, .initial = 10, .avail = 8, .sold = 2}};
  facts.orders = {{.order_id = "o1",
                   .tx_id = "t1",
                   .status = "confirmed",
                   .item = 1,
                   .quantity = 2,
                   .channels = {"sms"},
                   .phone = "+15550001",
                   .committed_at_us = 1000}};
  facts.markers = {{.tx_id = "t1", .state = "committed"}};
  facts.messages = {{.message_id = "m1", .key = "o1", .state = "committed", .stored_at_us = 900}};
  facts.deliveries = {{.delivery_id = "d1", .event_id = "m1", .order_id = "o1", .state = "delivered", .attempts = 1}};
  facts.notifications = {
      {.notification_id = "n1", .event_id = "d1", .sid = "SM1", .channel = "sms", .state = "created"}};
  facts.phone = {{.sid = "SM1", .channel = "sms", .to = "+1", .text = "Order #o1 confirmed.", .created_at_us = 3500}};
  return facts;
}
void nothing_went_out(Facts& f) {
  f.notifications.clear();
  f.phone.clear();
}
void stock_untouched(Facts& f) { f.stock[0] = {.item = 1, .initial = 10, .avail = 10, .sold = 0}; }

std::vector<Class> classes(const Report& report) {
  std::vector<Class> all;
  for (const Finding& finding : report.findings) all.push_back(finding.kind);
  std::sort(all.begin(), all.end());
  return all;
}

TEST(Audit, AGoodOrderIsCleanAndCounted) {
  const Report report = audit(one_good_order(), {});
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.open, 0);
  EXPECT_EQ(report.confirmed, 1);
  EXPECT_EQ(report.notifications.at("sms"), 1);
  EXPECT_THAT(report.latency_us, testing::ElementsAre(2500));
}

struct Case {
  const char* what;
  std::function<void(Facts&)> damage;
  std::vector<Class> want;
  std::int64_t open = 0;
};

const Case kCases[] = {
    {"seen twice",
     [](Facts& f) {
       f.phone.push_back(f.phone[0]);
       f.phone[1].sid = "SM2";
       f.notifications.push_back({.notification_id = "n2", .event_id = "d2", .sid = "SM2", .state = "created"});
     },
     {Class::duplicate_notification}},
    {"told of an order that nobody knows",
     [](Facts& f) {
       f.orders.clear();
       f.markers.clear();
       f.messages.clear();
       stock_untouched(f);
     },
     {Class::notified_without_order}},
    {"told of an order that was refused",
     [](Facts& f) {
       f.orders[0].status = "refused";
       f.orders[0].reason = "sold_out";
       f.markers.clear();
       f.messages[0].state = "rolled_back";
       stock_untouched(f);
     },
     {Class::notified_without_order}},
    {"message consumable, order absent",
     [](Facts& f) {
       f.orders.clear();
       f.markers[0].state = "rolled_back";
       f.deliveries.clear();
       nothing_went_out(f);
       stock_untouched(f);
     },
     {Class::message_without_order}},
    {"marker lost", [](Facts& f) { f.markers.clear(); }, {Class::order_without_marker}},
    {"tombstone and order", [](Facts& f) { f.markers[0].state = "rolled_back"; }, {Class::order_without_marker}},
    {"marker alone", [](Facts& f) { f.markers.push_back({"t9", "committed"}); }, {Class::marker_without_order}},
    {"no message",
     [](Facts& f) {
       f.messages.clear();
       f.deliveries.clear();
       nothing_went_out(f);
     },
     {Class::order_without_message}},
    {"no delivery",
     [](Facts& f) {
       f.deliveries.clear();
       nothing_went_out(f);
     },
     {Class::order_without_delivery}},
    {"delivered, but nothing went out", nothing_went_out, {Class::order_without_notification}},
    {"given up, with a reason",
     [](Facts& f) {
       f.deliveries[0].state = "dead";
       nothing_went_out(f);
     },
     {Class::dead_letter}},
    {"half message undecided, order committed",
     [](Facts& f) {
       f.messages[0].state = "pending";
       f.deliveries.clear();
       nothing_went_out(f);
     },
     {},
     1},
    {"half message undecided, no order yet",
     [](Facts& f) { f.messages.push_back({.message_id = "m2", .key = "o2", .state = "pending"}); },
     {},
     1},
    {"a second half message of a told order is undecided",
     [](Facts& f) { f.messages.push_back({.message_id = "m2", .key = "o1", .state = "pending"}); },
     {},
     1},
    {"delivery waits for its retry",
     [](Facts& f) {
       f.deliveries[0].state = "waiting";
       nothing_went_out(f);
     },
     {},
     1},
    {"seen, but the router has not heard so", [](Facts& f) { f.deliveries[0].state = "waiting"; }, {}, 1},
    {"outcome unknown",
     [](Facts& f) {
       f.notifications[0].state = "open";
       f.notifications[0].sid = "";
       f.phone.clear();
     },
     {},
     1},
    {"outcome never resolved",
     [](Facts& f) {
       f.notifications[0].state = "parked";
       f.notifications[0].sid = "";
       f.phone.clear();
     },
     {Class::parked_notification}},
    {"parked half message",
     [](Facts& f) { f.messages.push_back({.message_id = "m2", .key = "o2", .state = "parked", .checks = 15}); },
     {Class::parked_message}},
    {"two messages for one order",
     [](Facts& f) { f.messages.push_back({.message_id = "m2", .key = "o1", .state = "committed"}); },
     {Class::duplicate_order_message}},
    {"a piece vanished", [](Facts& f) { f.stock[0].avail = 7; }, {Class::stock_mismatch}},
    {"sold without order", [](Facts& f) { f.stock[0] = {1, 10, 7, 3}; }, {Class::stock_mismatch}},
    {"oversold", [](Facts& f) { f.stock[0] = {1, 1, -1, 2}; }, {Class::stock_negative}},
    {"the provider never heard of it",
     [](Facts& f) { f.phone.clear(); },
     {Class::order_without_notification, Class::ledger_without_provider}},
    {"the ledger never heard of it",
     [](Facts& f) { f.phone.push_back({.sid = "SM7", .channel = "sms", .to = "x", .text = "hello"}); },
     {Class::provider_without_ledger}},
};

TEST(Audit, EachDamageIsFoundAndNothingElse) {
  for (const Case& c : kCases) {
    Facts facts = one_good_order();
    c.damage(facts);
    const Report report = audit(facts, {});
    std::vector<Class> want = c.want;
    std::sort(want.begin(), want.end());
    EXPECT_EQ(classes(report), want) << c.what;
    EXPECT_EQ(report.open, c.open) << c.what;
  }
}

TEST(Audit, AnOrderYoungerThanTheWindowIsOpenNotWrong) {
  Facts facts = one_good_order();
  facts.deliveries.clear();
  nothing_went_out(facts);
  const Report report = audit(facts, {.from_us = 0, .until_us = 1000});
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.open, 1);
}

TEST(Audit, FindsTheOrderIdInTheText) {
  EXPECT_EQ(order_id_in("Order #abc-1 confirmed."), "abc-1");
  EXPECT_EQ(order_id_in("<Response><Say>Order number 7 confirmed.</Say></Response>"), "7");
  EXPECT_EQ(order_id_in("Your table is ready"), "");
}

}  // namespace
}  // namespace hf::reconcile
