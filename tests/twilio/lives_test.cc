/// Goal: whatever fails, no customer gets one event twice, and none is forgotten (P4, P5).
/// Method: many events from a router that repeats until it has a final answer; a provider that loses answers, refuses
/// for now, hangs, loses, doubles and reorders callbacks; the process that holds ledger and provider loses its power
/// again and again. One seed drives all of it.

#include <boost/json/parse.hpp>

#include "chain.h"
#include "wire/twilio/call.h"

namespace hf::test {
namespace {

constexpr int kEvents = 60;

struct Event {
  std::string id, target;
  net::FormFields form;
  int answer = 0;
};

Event make_event(int number) {
  const std::string to = "+1555000" + std::to_string(1000 + number);
  const std::string text = "Order #" + std::to_string(number) + " confirmed.";
  if (number % 3 == 0)
    return {"event-" + std::to_string(number), kCalls, {{"To", to}, {"Twiml", wire::twilio::say(text)}}};
  const std::string prefix = number % 3 == 1 ? "whatsapp:" : "";
  return {"event-" + std::to_string(number), kMessages, {{"To", prefix + to}, {"Body", text}}};
}

asio::awaitable<void> deliver(Chain& chain, Event& event) {
  while (event.answer == 0) {
    const Result<HttpResponse> response =
        co_await chain.to_notifier(Chain::create_request(event.form, event.id, event.target));
    if (response && response->status != 503 && response->status != 429) event.answer = response->status;
    const std::uint64_t pause_ms = 200 + chain.sim.world().random.below(2000);
    if (event.answer == 0) co_await chain.sim.clock().sleep_for(std::chrono::milliseconds(pause_ms));
  }
}

void make_trouble(Chain& chain) {
  static constexpr const char* kModes[] = {"create_then_hang",   "create_then_500",     "gateway_502",
                                           "hang_before_create", "fail_before_create",  "429",
                                           "callback_lost",      "callback_duplicated", "callback_reordered"};
  for (int i = 0; i < 6; ++i) {
    const std::string mode = kModes[chain.sim.world().random.below(std::size(kModes))];
    chain.fault(R"({"mode":")" + mode + R"(","count":2})");
  }
}

class Lives : public ::testing::TestWithParam<int> {};

TEST_P(Lives, EveryEventOnceWhateverHappens) {
  notifier::NotifierConfig config;
  config.attempts_max = 10;
  config.call_timeout = 2s;
  config.poll_after = 5s;
  Chain chain(static_cast<std::uint64_t>(GetParam()), config);
  chain.latency_max = 40ms;
  auto& random = chain.sim.world().random;
  std::vector<Event> events;
  for (int i = 0; i < kEvents; ++i) events.push_back(make_event(i));
  for (Event& event : events) chain.sim.spawn(deliver(chain, event));
  for (int life = 0; life < 8; ++life) {
    make_trouble(chain);
    // A commit that took effect and whose answer was lost; of whichever database it hits.
    ASSERT_TRUE(chain.sim.world().faults.arm("sql.after_commit=error:" + std::to_string(1 + random.below(3))));
    chain.sim.run_for(std::chrono::milliseconds(5 + random.below(3000)));
    chain.sim.world().faults.disarm_all();
    chain.kill(random.below(2) == 0 ? sys::SimDisk::Unsynced::lost : sys::SimDisk::Unsynced::torn);
  }
  chain.phone("DELETE", "/control/faults");
  chain.sim.run_for(10min);

  for (const Event& event : events) EXPECT_EQ(event.answer, 201) << event.id << " seed " << GetParam();
  const auto totals = boost::json::parse(chain.phone("GET", "/control/totals").body);
  EXPECT_EQ(totals.at("notifications").as_int64(), kEvents) << "seed " << GetParam();
  EXPECT_EQ(totals.at("duplicates").as_int64(), 0) << "seed " << GetParam();
  const auto summary = boost::json::parse(chain.admin("GET", "/admin/notifier/summary").body);
  EXPECT_EQ(summary.at("created").as_int64(), kEvents) << chain.admin("GET", "/admin/notifier/summary").body;
  const auto rows = boost::json::parse(chain.admin("GET", "/admin/notifier/notifications?limit=1000").body);
  for (const auto& row : rows.at("notifications").as_array()) {
    const auto& status = row.at("status").as_string();
    EXPECT_TRUE(status == "delivered" || status == "read" || status == "completed") << status << " seed " << GetParam();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Lives, ::testing::Range(1, 9));

}  // namespace
}  // namespace hf::test
