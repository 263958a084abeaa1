#include "notifier/ledger_machine.h"

namespace hf::notifier {
namespace {

const WallTime kNow = *from_rfc3339("2026-11-21T10:00:00Z");
const std::string kSid = "SM0123456789abcdef0123456789abcdef", kOther = "SMffffffffffffffffffffffffffffffff";

Entry entry(State state) {
  Entry e;
  e.state = state;
  e.created = e.attempt_started = e.state_since = kNow - 1s;
  if (state == State::created) {
    e.sid = kSid;
    e.status = "queued";
  }
  if (state == State::unknown) e.lost = 1;
  return e;
}

// Every event in every state: what state follows, and whether the event meant something. One table, no gaps.
TEST(LedgerMachine, EveryEventInEveryState) {
  constexpr State kStates[] = {State::waiting, State::sending, State::unknown,
                               State::created, State::refused, State::parked};
  struct Row {
    Event event;
    const char* next[6];  ///< "-": ignored
  };
  NotifierConfig config;
  config.looks = {500ms};  // one look decides
  const std::vector<Row> rows = {
      // event                                         waiting    sending    unknown    created    refused    parked
      {CallBegun{}, {"sending", "-", "-", "-", "-", "-"}},
      {CallCreated{kSid, "queued"}, {"created", "created", "created", "-", "created", "created"}},
      {CallRefused{{400, 21610, "stop", {}}}, {"-", "refused", "-", "-", "-", "-"}},
      {CallNotMade{"refused", {}}, {"-", "waiting", "-", "-", "-", "-"}},
      {CallLost{"timeout"}, {"-", "unknown", "-", "-", "-", "-"}},
      {Restarted{}, {"-", "unknown", "-", "-", "-", "-"}},
      {Reported{kSid, "sent", 0, {}}, {"created", "created", "created", "created", "created", "created"}},
      {Found{kSid, "sent", 0}, {"-", "-", "created", "-", "-", "-"}},
      {NotFound{}, {"-", "-", "waiting", "-", "-", "-"}},
      {LookFailed{"503"}, {"-", "-", "unknown", "-", "-", "-"}},
      {PollFailed{}, {"-", "-", "-", "created", "-", "-"}},
      {OperatorResends{}, {"-", "-", "-", "-", "-", "waiting"}},
      {OperatorFound{kSid}, {"-", "-", "created", "-", "-", "created"}},
      {OperatorGivesUp{}, {"-", "-", "-", "-", "-", "refused"}},
  };
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < std::size(kStates); ++i) {
      const Step step = on(entry(kStates[i]), row.event, kNow, config);
      const std::string got = step.ignored ? "-" : std::string(to_string(step.entry.state));
      EXPECT_EQ(got, row.next[i]) << name_of(row.event) << " in " << to_string(kStates[i]);
      EXPECT_FALSE(step.duplicate);
      if (step.ignored) EXPECT_EQ(step.entry.state, kStates[i]);
    }
  }
}

TEST(LedgerMachine, UnknownNeverLeadsToACallWithoutAWholeLook) {
  NotifierConfig config;
  Entry e = entry(State::unknown);
  for (std::size_t look = 1; look < config.looks.size(); ++look) {
    const Step step = on(e, NotFound{}, kNow, config);
    EXPECT_EQ(step.entry.state, State::unknown) << "look " << look;
    ASSERT_TRUE(step.entry.due.has_value());
    EXPECT_GT(*step.entry.due, kNow);
    e = step.entry;
    for (int i = 0; i < 100; ++i) e = on(e, LookFailed{"503"}, kNow, config).entry;
    EXPECT_EQ(e.state, State::unknown) << "a look that failed proves nothing";
  }
  EXPECT_EQ(on(e, NotFound{}, kNow, config).entry.state, State::waiting);
}

TEST(LedgerMachine, AClockThatJumpsNeitherStallsNorHurriesTheLooks) {
  const NotifierConfig config;
  for (const Duration jump : {Duration(-1h), Duration(1h)}) {
    const WallTime now = kNow + std::chrono::duration_cast<std::chrono::microseconds>(jump);
    Entry e = on(entry(State::sending), CallLost{"timeout"}, now, config).entry;
    EXPECT_LE(*e.due, now + 500ms);
    WallTime last = now;
    while (e.state == State::unknown) {
      const WallTime at = std::max(*e.due, now);
      e = on(e, NotFound{}, at, config).entry;
      last = at;
    }
    EXPECT_GE(last - now, config.looks.back() - config.looks.front()) << "the embargo holds";
    EXPECT_LE(last - now, 2 * config.looks.back());
  }
}

TEST(LedgerMachine, AfterSoManyLostCallsAPersonDecides) {
  NotifierConfig config;
  config.looks = {1s};
  Entry e = entry(State::sending);
  for (int call = 1; call <= config.attempts_max; ++call) {
    e = on(e, CallLost{"timeout"}, kNow, config).entry;
    e = on(e, NotFound{}, kNow, config).entry;
    if (call == config.attempts_max) break;
    ASSERT_EQ(e.state, State::waiting) << "call " << call;
    e = on(e, CallBegun{}, kNow, config).entry;
  }
  EXPECT_EQ(e.state, State::parked);
  EXPECT_EQ(e.attempt, config.attempts_max);
  EXPECT_NE(e.reason.find("3 calls were lost"), std::string::npos) << e.reason;
  config.on_absent = OnAbsent::park;
  EXPECT_EQ(on(on(entry(State::sending), CallLost{"x"}, kNow, config).entry, NotFound{}, kNow, config).entry.state,
            State::parked);
}

TEST(LedgerMachine, NotCreatedIsTriedAgainLaterAndLaterUntilItIsParked) {
  const NotifierConfig config;
  Entry e = entry(State::sending);
  Duration last{};
  for (int i = 0; i < 10; ++i) {
    e = on(e, CallNotMade{"connection refused", {}}, kNow, config).entry;
    ASSERT_EQ(e.state, State::waiting);
    const Duration wait = *e.due - kNow;
    EXPECT_GE(wait, last);
    EXPECT_LE(wait, config.retry_max);
    last = wait;
    e = on(e, CallBegun{}, kNow, config).entry;
  }
  EXPECT_EQ(e.lost, 0);
  EXPECT_EQ(*on(entry(State::sending), CallNotMade{"429", 7s}, kNow, config).entry.due, kNow + 7s)
      << "Retry-After counts";
  EXPECT_EQ(on(e, CallNotMade{"x", {}}, kNow + 24h, config).entry.state, State::parked);
}

TEST(LedgerMachine, StatusIsByRankInAnyOrderAndAnyNumber) {
  const NotifierConfig config;
  std::vector<std::string> reports = {"queued", "sent", "delivered", "sending"};
  std::ranges::sort(reports);
  do {
    Entry e = entry(State::sending);
    for (const std::string& status : reports) {
      e = on(e, Reported{kSid, status, 0, {}}, kNow, config).entry;
      e = on(e, Reported{kSid, status, 0, {}}, kNow, config).entry;
    }
    EXPECT_EQ(e.status, "delivered");
    EXPECT_FALSE(e.due.has_value()) << "nothing to ask any more";
  } while (std::ranges::next_permutation(reports).found);
}

TEST(LedgerMachine, AKnownErrorCodeIsNotErased) {
  const NotifierConfig config;
  Entry e = on(entry(State::created), Reported{kSid, "undelivered", 30003, "Unreachable"}, kNow, config).entry;
  e = on(e, Reported{kSid, "failed", 0, {}}, kNow, config).entry;
  EXPECT_EQ(e.status, "undelivered");
  EXPECT_EQ(e.error_code, 30003);
}

TEST(LedgerMachine, ASecondSidIsADuplicateAndAlarms) {
  const NotifierConfig config;
  for (const Event& event : {Event(Reported{kOther, "sent", 0, {}}), Event(CallCreated{kOther, "queued"})}) {
    const Step step = on(entry(State::created), event, kNow, config);
    EXPECT_TRUE(step.duplicate);
    EXPECT_EQ(step.entry.sid, kSid);
  }
  EXPECT_FALSE(on(entry(State::created), CallCreated{kSid, "queued"}, kNow, config).duplicate)
      << "the callback was faster";
}

TEST(LedgerMachine, AnUnresolvedOneIsParkedAtLast) {
  const NotifierConfig config;
  const Step step = on(entry(State::unknown), LookFailed{"the list is unavailable"}, kNow + 24h, config);
  EXPECT_EQ(step.entry.state, State::parked);
  EXPECT_EQ(step.entry.reason, "not resolved: the list is unavailable");
}

TEST(LedgerMachine, PollingEndsWithTheFinalStatusOrThePatience) {
  const NotifierConfig config;
  Entry e = on(entry(State::sending), CallCreated{kSid, "queued"}, kNow, config).entry;
  EXPECT_EQ(*e.due, kNow + config.poll_after);
  int polls = 0;
  for (; e.due && polls < 1000; ++polls) e = on(e, PollFailed{}, *e.due, config).entry;
  EXPECT_LT(polls, 20);
  EXPECT_EQ(e.state, State::created);
}

}  // namespace
}  // namespace hf::notifier
