#include "coordinator/transaction.h"

#include <gtest/gtest.h>

#include <random>

#include "coordinator/codec.h"

namespace hf::coordinator {
namespace {

using What = Action::What;

constexpr std::int64_t kNow = 1'000'000;

Transaction with(std::initializer_list<Protocol> protocols) {
  Transaction tx = begin("hf1.local.1.00000000000070008000000000000001", kNow);
  int n = 0;
  for (const Protocol protocol : protocols) {
    const std::string id = "p" + std::to_string(n++);
    EXPECT_TRUE(enrol(tx, id, protocol, "http://127.0.0.1:1/" + id, 64, kNow));
  }
  return tx;
}

std::string word(const Action& action) {
  switch (action.what) {
    case What::prepare:
      return "prepare " + std::to_string(action.who);
    case What::record_commit:
      return "record";
    case What::decided:
      return "decided";
    case What::tell:
      return "tell " + std::to_string(action.who);
    case What::alarm:
      return "alarm " + std::to_string(action.who) + " " + action.found;
    case What::end:
      return "end";
  }
  HF_ASSERT(false);
}
std::string words(const Actions& actions) {
  std::string out;
  for (const Action& action : actions) out += (out.empty() ? "" : ", ") + word(action);
  return out;
}
std::string feed(Transaction& tx, const Event& event) { return words(step(tx, event, kNow)); }

Voted yes(std::size_t who) { return {who, Vote::prepared, {}}; }
Voted no(std::size_t who) { return {who, Vote::aborted, "Insufficient stock!"}; }

constexpr Protocol kDurable = Protocol::durable, kVolatile = Protocol::volatile_, kCompletion = Protocol::completion;

/// A transaction's participants, what happens to it, and what it does at each event.
struct Case {
  const char* what;
  std::vector<Protocol> participants;
  std::vector<std::pair<Event, const char*>> events;
  State state;
  Outcome outcome;
};
const Case kCases[] = {
    {"two vote yes, are told, acknowledge",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {yes(1), ""},
      {yes(0), "record"},
      {DecisionDurable{}, "decided, tell 0, tell 1"},
      {Acknowledged{0, {}}, ""},
      {Acknowledged{1, {}}, "end"}},
     State::finished,
     Outcome::committed},
    {"volatile before durable, completion last",
     {kCompletion, kDurable, kVolatile},
     {{CommitAsked{}, "prepare 2"},
      {yes(2), "prepare 1"},
      {yes(1), "record"},
      {DecisionDurable{}, "decided, tell 1, tell 2"},
      {Acknowledged{2, {}}, ""},
      {Acknowledged{1, {}}, "tell 0"},
      {Acknowledged{0, {}}, "end"}},
     State::finished,
     Outcome::committed},
    {"nobody takes part: committed all the same, durably",
     {},
     {{CommitAsked{}, "record"}, {DecisionDurable{}, "decided, end"}},
     State::finished,
     Outcome::committed},
    {"only completion takes part",
     {kCompletion},
     {{CommitAsked{}, "record"}, {DecisionDurable{}, "decided, tell 0"}, {Acknowledged{0, {}}, "end"}},
     State::finished,
     Outcome::committed},
    {"read-only is not told",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {Voted{0, Vote::read_only, {}}, ""},
      {yes(1), "record"},
      {DecisionDurable{}, "decided, tell 1"},
      {Acknowledged{1, {}}, "end"}},
     State::finished,
     Outcome::committed},
    {"committed by itself, and all commit: no harm",
     {kDurable},
     {{CommitAsked{}, "prepare 0"}, {Voted{0, Vote::committed, {}}, "record"}, {DecisionDurable{}, "decided, end"}},
     State::finished,
     Outcome::committed},
    {"committed by itself, and another says no: mixed, recorded",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {Voted{0, Vote::committed, {}}, ""},
      {no(1), "decided, alarm 0 committed, tell 1"},
      {Acknowledged{1, {}}, "end"}},
     State::finished,
     Outcome::aborted},
    {"a no: everybody is told, the one that said it, too; completion last",
     {kDurable, kDurable, kCompletion},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {yes(0), ""},
      {no(1), "decided, tell 0, tell 1"},
      {Acknowledged{1, {}}, ""},
      {Acknowledged{0, {}}, "tell 2"},
      {Acknowledged{2, {}}, "end"}},
     State::finished,
     Outcome::aborted},
    {"a no while another is still asked: that one is told when its call is over",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {no(0), "decided, tell 0"},
      {Acknowledged{0, {}}, ""},
      {yes(1), "tell 1"},
      {Acknowledged{1, {}}, "end"}},
     State::finished,
     Outcome::aborted},
    {"a silence is a no, and the silent one is told: it may be prepared",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {yes(0), ""},
      {Silent{1, "timeout"}, "decided, tell 0, tell 1"},
      {Acknowledged{0, {}}, ""},
      {NotTold{1, "refused"}, ""},
      {Acknowledged{1, {}}, "end"}},
     State::finished,
     Outcome::aborted},
    {"a volatile no: the durable ones are never asked, but told",
     {kDurable, kVolatile},
     {{CommitAsked{}, "prepare 1"}, {no(1), "decided, tell 0, tell 1"}},
     State::aborting,
     Outcome::aborted},
    {"late read-only in an abort",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {no(0), "decided, tell 0"},
      {Acknowledged{0, {}}, ""},
      {Voted{1, Vote::read_only, {}}, "end"}},
     State::finished,
     Outcome::aborted},
    {"abort of an active one",
     {kDurable},
     {{AbortAsked{"", "changed my mind"}, "decided, tell 0"}, {CommitAsked{}, ""}, {Acknowledged{0, {}}, "end"}},
     State::finished,
     Outcome::aborted},
    {"abort while preparing",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {yes(0), ""},
      {AbortAsked{"operator", "stuck"}, "decided, tell 0"},
      {Silent{1, "timeout"}, "tell 1"}},
     State::aborting,
     Outcome::aborted},
    {"abort while deciding comes too late",
     {kDurable},
     {{CommitAsked{}, "prepare 0"},
      {yes(0), "record"},
      {AbortAsked{"", ""}, ""},
      {DecisionDurable{}, "decided, tell 0"},
      {AbortAsked{"", ""}, ""}},
     State::committing,
     Outcome::committed},
    {"expiry of an active one", {kDurable}, {{Expired{}, "decided, tell 0"}}, State::aborting, Outcome::aborted},
    {"no expiry once votes are asked",
     {kDurable},
     {{CommitAsked{}, "prepare 0"}, {Expired{}, ""}, {yes(0), "record"}, {Expired{}, ""}},
     State::deciding,
     Outcome::pending},
    {"the record certainly failed: aborted",
     {kDurable},
     {{CommitAsked{}, "prepare 0"}, {yes(0), "record"}, {DecisionFailed{"disk full"}, "decided, tell 0"}},
     State::aborting,
     Outcome::aborted},
    {"a second commit call asks nobody twice",
     {kDurable},
     {{CommitAsked{}, "prepare 0"}, {CommitAsked{}, ""}, {yes(0), "record"}, {CommitAsked{}, ""}, {yes(0), ""}},
     State::deciding,
     Outcome::pending},
    {"a repeated acknowledgement is nothing",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {yes(0), ""},
      {yes(1), "record"},
      {DecisionDurable{}, "decided, tell 0, tell 1"},
      {Acknowledged{0, {}}, ""},
      {Acknowledged{0, {}}, ""}},
     State::committing,
     Outcome::committed},
    {"heuristic damage is recorded and ends the waiting",
     {kDurable, kCompletion},
     {{CommitAsked{}, "prepare 0"},
      {yes(0), "record"},
      {DecisionDurable{}, "decided, tell 0"},
      {Contradicted{0, "aborted"}, "alarm 0 aborted, tell 1"},
      {Acknowledged{1, {}}, "end"}},
     State::finished,
     Outcome::committed},
    {"an operator gives up on the one that never acknowledges",
     {kDurable, kDurable},
     {{CommitAsked{}, "prepare 0, prepare 1"},
      {yes(0), ""},
      {yes(1), "record"},
      {DecisionDurable{}, "decided, tell 0, tell 1"},
      {Acknowledged{0, {}}, ""},
      {GivenUp{1, "the machine burnt"}, "end"},
      {Acknowledged{1, {}}, ""}},
     State::finished,
     Outcome::committed},
};

TEST(Transaction, Table) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.what);
    Transaction tx = with({});
    for (const Protocol protocol : c.participants) {
      const std::string id = "p" + std::to_string(tx.participants.size());
      ASSERT_TRUE(enrol(tx, id, protocol, "http://127.0.0.1:1/" + id, 64, kNow));
    }
    for (const auto& [event, want] : c.events) EXPECT_EQ(feed(tx, event), want);
    EXPECT_EQ(tx.state, c.state);
    EXPECT_EQ(tx.outcome(), c.outcome);
  }
}

// Checks 6 and 7.
TEST(Transaction, RegistrationIsIdempotentAndEndsWithPrepare) {
  Transaction tx = with({kDurable});
  const auto again = enrol(tx, "p0", kDurable, "http://127.0.0.1:1/p0", 64, kNow);
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again) << "known already";
  EXPECT_EQ(tx.participants.size(), 1U);
  EXPECT_EQ(enrol(tx, "p0", kDurable, "http://elsewhere:1/p0", 64, kNow).error().code, Code::conflict);
  EXPECT_TRUE(enrol(tx, "p0", kCompletion, "http://127.0.0.1:1/p0", 2, kNow)) << "another protocol of the same one";
  EXPECT_EQ(enrol(tx, "p9", kDurable, "http://127.0.0.1:1/p9", 2, kNow).error().code, Code::exhausted);
  feed(tx, CommitAsked{});
  const auto late = enrol(tx, "late", kDurable, "http://127.0.0.1:1/late", 64, kNow);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::conflict);
  EXPECT_TRUE(late.error().message.starts_with("Cannot-Register")) << late.error().message;
  EXPECT_TRUE(enrol(tx, "p0", kDurable, "http://127.0.0.1:1/p0", 64, kNow)) << "a repetition that came late";
}

/// What a restart finds, and what it does about it: docs/protocols/two-phase-commit.md, the recovery table.
TEST(Transaction, AfterARestart) {
  const auto restarted = [](std::vector<Event> events) {
    Transaction tx = with({kDurable, kDurable, kCompletion});
    for (const Event& event : events) step(tx, event, kNow);
    return feed(tx, Restarted{});
  };
  EXPECT_EQ(restarted({}), "decided, tell 0, tell 1");
  EXPECT_EQ(restarted({CommitAsked{}}), "decided, tell 0, tell 1");
  EXPECT_EQ(restarted({CommitAsked{}, yes(0), yes(1)}), "decided, tell 0, tell 1") << "no record: aborted";
  EXPECT_EQ(restarted({CommitAsked{}, yes(0), yes(1), DecisionDurable{}}), "tell 0, tell 1");
  EXPECT_EQ(restarted({CommitAsked{}, yes(0), yes(1), DecisionDurable{}, Acknowledged{0, {}}}), "tell 1");
  EXPECT_EQ(restarted({CommitAsked{}, yes(0), yes(1), DecisionDurable{}, Acknowledged{0, {}}, Acknowledged{1, {}}}),
            "tell 2");
  EXPECT_EQ(restarted({CommitAsked{}, no(0)}), "tell 0, tell 1") << "1 was asked, its answer came to nobody";
  EXPECT_EQ(restarted({CommitAsked{}, Voted{0, Vote::read_only, {}}, no(1)}), "tell 1");
}

TEST(Transaction, StoredAndReadBackItIsTheSame) {
  Transaction tx = with({kDurable, kVolatile, kCompletion});
  feed(tx, CommitAsked{});
  feed(tx, Voted{1, Vote::aborted, "it said \"no\"\n"});
  feed(tx, NotTold{1, "refused"});
  tx.story.push_back({5, "call", "inventory", "POST /x", 9});
  const auto participants = decode_participants(encode_participants(tx.participants));
  ASSERT_TRUE(participants) << participants.error().to_string();
  EXPECT_EQ(*participants, tx.participants);
  const auto story = decode_story(encode_story(tx.story));
  ASSERT_TRUE(story);
  EXPECT_EQ(*story, tx.story);
  for (const char* bad : {"", "{}", "[1]", R"([{"id":"x"}])", R"([{"protocol":"durable","stage":"?"}])"}) {
    const auto decoded = decode_participants(bad);
    ASSERT_FALSE(decoded) << bad;
    EXPECT_EQ(decoded.error().code, Code::corrupt);
  }
}

/// Any events in any order: the promises hold at every step.
TEST(Transaction, RandomWalksKeepThePromises) {
  constexpr Protocol kAny[] = {kDurable, kVolatile, kCompletion};
  constexpr Vote kVotes[] = {Vote::prepared, Vote::prepared,  Vote::prepared,
                             Vote::aborted,  Vote::read_only, Vote::committed};
  for (unsigned seed = 0; seed < 20'000; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    Transaction tx = with({});
    const std::size_t count = below(5);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(enrol(tx, "p" + std::to_string(i), kAny[below(3)], "http://h:1/p", 64, kNow));
    }
    std::vector<bool> told(count);
    const auto check = [&](const Actions& actions) {
      for (const Action& action : actions) {
        if (action.what != What::tell) continue;
        ASSERT_TRUE(tx.decision) << "told before the decision, seed " << seed;
        told[action.who] = true;
        const Participant& p = tx.participants[action.who];
        if (*tx.decision == Decision::commit && p.protocol != kCompletion) {
          ASSERT_EQ(p.vote, Vote::prepared) << "commit to one that did not vote, seed " << seed;
        }
        if (p.protocol == kCompletion) {
          for (const Participant& other : tx.participants) {
            ASSERT_TRUE(other.protocol == kCompletion || other.stage == Stage::done || other.stage == Stage::damaged ||
                        other.stage == Stage::given_up)
                << "completion before the others, seed " << seed;
          }
        }
      }
    };
    std::optional<Decision> decided;
    for (int i = 0; i < 60 && !tx.finished(); ++i) {
      const std::size_t who = count == 0 ? 0 : below(count);
      const std::size_t kind = below(count == 0 ? 6 : 12);
      Event event = CommitAsked{};
      if (kind == 1 && below(10) == 0) event = AbortAsked{"", "x"};
      if (kind == 2 && below(10) == 0) event = Expired{};
      if (kind == 3) event = DecisionDurable{};
      if (kind == 4 && below(10) == 0) event = DecisionFailed{"x"};
      if (kind == 5 && below(10) == 0 && tx.state != State::deciding) event = Restarted{};
      if (kind == 6 || kind == 7) event = Voted{who, kVotes[below(6)], {}};
      if (kind == 8 && below(5) == 0) event = Silent{who, "x"};
      if (kind == 9 || kind == 11) event = Acknowledged{who, {}};
      if (kind == 10 && below(5) == 0) event = Contradicted{who, "unknown"};
      check(step(tx, event, kNow));
      if (decided) ASSERT_EQ(tx.decision, decided) << "a decision changed, seed " << seed;
      decided = tx.decision;
    }
    for (int i = 0; i < 20 && !tx.finished(); ++i) {  // nothing fails any more
      check(step(tx, tx.decision ? Event(Restarted{}) : Event(CommitAsked{}), kNow));
      check(step(tx, DecisionDurable{}, kNow));
      for (std::size_t who = 0; who < count; ++who) {
        check(step(tx, Voted{who, Vote::prepared, {}}, kNow));
        check(step(tx, DecisionDurable{}, kNow));
        check(step(tx, Acknowledged{who, {}}, kNow));
      }
    }
    ASSERT_TRUE(tx.finished()) << "seed " << seed << " in " << to_string(tx.state);
    for (std::size_t who = 0; who < count; ++who) {
      const Participant& p = tx.participants[who];
      const bool left_alone = p.vote == Vote::read_only || p.vote == Vote::committed;
      ASSERT_TRUE(told[who] || left_alone) << "never told, seed " << seed;
    }
  }
}

}  // namespace
}  // namespace hf::coordinator
