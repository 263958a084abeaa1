#include "participant/outbox_machine.h"

#include <gtest/gtest.h>

namespace hf::participant {
namespace {

const OutboxConfig kConfig;

TEST(OutboxMachine, FaultOfEveryCode) {
  struct Case {
    std::optional<Code> error;
    Fault want;
  };
  constexpr Case kCases[] = {
      {std::nullopt, Fault::none},       {Code::invalid, Fault::refused},  {Code::denied, Fault::refused},
      {Code::not_found, Fault::refused}, {Code::conflict, Fault::refused}, {Code::corrupt, Fault::refused},
      {Code::internal, Fault::refused},  {Code::exhausted, Fault::away},   {Code::timeout, Fault::away},
      {Code::unavailable, Fault::away},
  };
  for (const Case& c : kCases) EXPECT_EQ(fault_of(c.error), c.want) << (c.error ? to_string(*c.error) : "none");
}

TEST(OutboxMachine, FateOfARow) {
  struct Case {
    const char* what;
    Tried tried;
    Fault fault;
    RowState state;
    Duration at_least, at_most;
  };
  const Case kCases[] = {
      {"published", {0, 0, false}, Fault::none, RowState::done, 24h, 24h},
      {"published, a reply must come", {0, 0, true}, Fault::none, RowState::sent, 30s, 60s},
      {"published again, no reply yet", {1, 0, true}, Fault::none, RowState::sent, 60s, 120s},
      {"the wait for a reply has an end", {60, 0, true}, Fault::none, RowState::sent, 5min, 10min},
      {"the broker is away", {0, 0, false}, Fault::away, RowState::pending, 50ms, 100ms},
      {"for the third time", {2, 0, false}, Fault::away, RowState::pending, 200ms, 400ms},
      {"for days: never blocked", {100'000, 9, false}, Fault::away, RowState::pending, 15s, 30s},
      {"refused", {0, 0, false}, Fault::refused, RowState::pending, 50ms, 100ms},
      {"refused, the last time but one", {8, 8, false}, Fault::refused, RowState::pending, 12800ms, 25600ms},
      {"refused too often", {9, 9, false}, Fault::refused, RowState::blocked, 0s, 0s},
      {"away does not count as refused", {50, 8, true}, Fault::refused, RowState::pending, 15s, 30s},
  };
  sys::SeededRandom random(1);
  for (const Case& c : kCases) {
    for (int draw = 0; draw < 50; ++draw) {
      const Fate fate = decide_fate(c.tried, c.fault, kConfig, random);
      EXPECT_EQ(fate.state, c.state) << c.what;
      EXPECT_GE(fate.due_in, c.at_least) << c.what;
      EXPECT_LE(fate.due_in, c.at_most) << c.what;
    }
  }
}

TEST(OutboxMachine, PlaceInAnAggregate) {
  struct Case {
    const char* what;
    std::optional<std::int64_t> last_open;
    std::int64_t now;
    Place want;
  };
  constexpr Case kCases[] = {
      {"nothing before it", std::nullopt, 1000, {RowState::pending, 1000}},
      {"one before it", 900, 1000, {RowState::held, 1000}},
      {"put in the same microsecond", 1000, 1000, {RowState::held, 1001}},
      {"the clock went back", 5000, 1000, {RowState::held, 5001}},
  };
  for (const Case& c : kCases) EXPECT_EQ(place_of(c.last_open, c.now), c.want) << c.what;
}

TEST(OutboxMachine, GateAsksWithOneRowWhileTheBrokerIsAway) {
  sys::SeededRandom random(1);
  Gate gate(kConfig);
  Monotonic now{};
  EXPECT_EQ(gate.limit(now, 0), kConfig.batch);
  EXPECT_EQ(gate.limit(now, kConfig.in_flight - 3), 3U);
  EXPECT_EQ(gate.limit(now, kConfig.in_flight + 1), 0U);
  Duration longest{};
  for (int failure = 0; failure < 20; ++failure) {
    gate.failed(now, random);
    EXPECT_TRUE(gate.away());
    EXPECT_EQ(gate.limit(now, 0), 0U);
    longest = std::max<Duration>(longest, gate.opens_at() - now);
    gate.failed(now, random);  // another request of the same moment changes nothing
    now = gate.opens_at();
    EXPECT_EQ(gate.limit(now, 0), 1U);
    EXPECT_EQ(gate.limit(now, 1), 0U) << "one at a time";
  }
  EXPECT_GE(longest, 2500ms);
  EXPECT_LE(longest, 5s) << "a broker that returns is found soon";
  gate.passed();
  EXPECT_FALSE(gate.away());
  EXPECT_EQ(gate.limit(now, 0), kConfig.batch);
}

TEST(OutboxMachine, PackKeepsTopicsAndLimits) {
  OutboxConfig config;
  config.request_messages = 3;
  config.request_bytes = 100;
  const Parcel parcels[] = {{"a", 10}, {"b", 10}, {"a", 10}, {"a", 10}, {"a", 10}, {"b", 95}, {"b", 500}, {"b", 1}};
  const std::vector<std::vector<std::size_t>> want = {{0, 2, 3}, {1}, {4}, {5}, {6}, {7}};
  EXPECT_EQ(pack(parcels, config), want);
  EXPECT_TRUE(pack({}, config).empty());
}

TEST(OutboxMachine, ConfigurationOutOfBoundsIsNamed) {
  EXPECT_TRUE(check(OutboxConfig{}));
  OutboxConfig config;
  config.lease = 1ms;
  const Result<void> checked = check(config);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::invalid);
  EXPECT_NE(checked.error().message.find("outbox.lease"), std::string::npos);
}

}  // namespace
}  // namespace hf::participant
