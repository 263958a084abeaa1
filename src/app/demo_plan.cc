#include "app/demo_plan.h"

#include <fmt/format.h>

namespace hf::app {
namespace {

constexpr std::int64_t kQuantityMax = 3;  // 1, 2 or 3 pieces: two on average
constexpr std::uint64_t kBadOneIn = 20, kAgainOneIn = 15;

struct BadInput {
  const char* what;
  const char* body;
};
/// Each must be refused with nothing stored.
constexpr BadInput kBadInputs[] = {
    {"not JSON", R"({"buyer":"mallory","item":1,)"},
    {"unknown item", R"({"buyer":"mallory","item":999999,"quantity":1,"channel":"sms","phone":"+15550100001"})"},
    {"negative quantity", R"({"buyer":"mallory","item":1,"quantity":-1,"channel":"sms","phone":"+15550100001"})"},
    {"quantity as text", R"({"buyer":"mallory","item":1,"quantity":"two","channel":"sms","phone":"+15550100001"})"},
    {"bad phone", R"({"buyer":"mallory","item":1,"quantity":1,"channel":"sms","phone":"call me"})"},
    {"unknown channel", R"({"buyer":"mallory","item":1,"quantity":1,"channel":"pigeon","phone":"+15550100001"})"},
    {"no buyer", R"({"item":1,"quantity":1,"channel":"sms","phone":"+15550100001"})"},
};
constexpr const char* kChannels[] = {"sms", "whatsapp", "voice"};

}  // namespace

std::vector<DemoItem> demo_items(std::int64_t orders) {
  const std::int64_t wanted = orders * (1 + kQuantityMax) / 2;  // pieces, if no order were bad
  // A hot item that more than half of the buyers want and that has stock for a third of them, and three calm ones.
  return {{1, "Concert ticket, front row", 9'500, wanted / 6 + 1},
          {2, "Concert ticket, balcony", 4'500, wanted / 5 + 1},
          {3, "Backstage tour", 12'000, wanted / 9 + 1},
          {4, "Tour poster", 1'500, wanted}};
}

std::vector<PlannedOrder> demo_plan(std::int64_t orders, const std::vector<DemoItem>& items, sys::Random& random) {
  std::vector<PlannedOrder> plan;
  for (std::int64_t i = 0; i < orders; ++i) {
    PlannedOrder order;
    order.key = fmt::format("demo-{}-{}", i, random.hex(8));
    order.again = random.below(kAgainOneIn) == 0;
    if (random.below(kBadOneIn) == 0) {
      const BadInput& bad = kBadInputs[random.below(std::size(kBadInputs))];
      order.kind = PlannedOrder::Kind::bad;
      order.what = bad.what;
      order.body = bad.body;
    } else {
      const DemoItem& item = random.below(2) == 0 ? items.front() : items[random.below(items.size())];
      order.body =
          fmt::format(R"({{"buyer":"buyer-{}","item":{},"quantity":{},"channel":"{}","phone":"+1555{:07}"}})", i,
                      item.id, 1 + random.below(kQuantityMax), kChannels[random.below(std::size(kChannels))], i);
    }
    plan.push_back(std::move(order));
  }
  return plan;
}

}  // namespace hf::app
