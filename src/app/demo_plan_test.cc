#include "app/demo_plan.h"

namespace hf::app {
namespace {

TEST(DemoPlan, TheSameNumberGivesTheSamePlan) {
  sys::SeededRandom a(3), b(3), c(4);
  const auto items = demo_items(100);
  EXPECT_EQ(demo_plan(100, items, a)[50].body, demo_plan(100, items, b)[50].body);
  EXPECT_NE(demo_plan(100, items, a)[50].key, demo_plan(100, items, c)[50].key);
}

TEST(DemoPlan, HasGoodAndBadOrdersRepeatsAndTooLittleStock) {
  sys::SeededRandom random(1);
  const auto items = demo_items(2000);
  const auto plan = demo_plan(2000, items, random);
  const auto count = [&](auto test) { return std::count_if(plan.begin(), plan.end(), test); };
  EXPECT_GT(count([](const auto& o) { return o.kind == PlannedOrder::Kind::bad; }), 50);
  EXPECT_GT(count([](const auto& o) { return o.again; }), 50);
  for (const char* channel : {"sms", "whatsapp", "voice"}) {
    EXPECT_GT(count([&](const auto& o) { return o.body.find(channel) != std::string::npos; }), 300) << channel;
  }
  std::set<std::string> keys;
  for (const auto& order : plan) keys.insert(order.key);
  EXPECT_EQ(keys.size(), plan.size());
  // The hot item is wanted by more than it has.
  EXPECT_GT(2 * count([](const auto& o) { return o.body.find("\"item\":1,") != std::string::npos; }), items[0].stock);
}

}  // namespace
}  // namespace hf::app
