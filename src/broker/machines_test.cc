// The machines, alone: one table or walk per decision.

#include <gmock/gmock.h>

#include "broker/clients.h"
#include "broker/half_messages.h"
#include "broker/message_table.h"
#include "broker/records.h"
#include "broker/state.h"
#include "broker/subscription.h"
#include "broker/tag_filter.h"
#include "sys/random.h"

namespace hf::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Monotonic at(Duration since_start) { return Monotonic(since_start); }
bool nobody_lives(ClientNumber) { return false; }
bool everybody_lives(ClientNumber) { return true; }

TEST(TagFilter, Table) {
  struct Case {
    const char* expression;
    std::optional<std::string_view> tag;
    bool want;
  };
  constexpr Case kCases[] = {
      {"", std::nullopt, true}, {"*", "a", true},           {" * ", std::nullopt, true}, {"a", "a", true},
      {"a", "A", false},        {"a", std::nullopt, false}, {"a||b", "b", true},         {" a || b ", "a", true},
      {"a||||b", "", false},    {"Aa", "BB", false},        {"*||a", "*", true},         {"*||a", "b", false},
  };
  for (const Case& c : kCases) {
    const TagFilter filter = TagFilter::parse(c.expression);
    EXPECT_EQ(filter.matches(c.tag), c.want) << c.expression << " on " << c.tag.value_or("(none)");
    if (c.want) EXPECT_TRUE(filter.may_match(c.tag ? java_hash(*c.tag) : 0)) << c.expression;
  }
}

TEST(TagFilter, HashIsJavas) {
  EXPECT_EQ(java_hash("Aa"), 2112u);
  EXPECT_EQ(java_hash("Aa"), java_hash("BB"));
  EXPECT_EQ(java_hash("TagA"), 2598919u);
  EXPECT_EQ(java_hash("é"), 233u);
  EXPECT_EQ(java_hash("😀"), 1772899u);  // two UTF-16 units
}

TEST(MessageTable, AppendsTrimsAndFindsTheLowest) {
  MessageTable table;
  for (Position p = 0; p < 5000; ++p)
    EXPECT_EQ(table.append({10'000 - p, static_cast<std::uint32_t>(p)}), QueueOffset(p));
  EXPECT_EQ(table.at(4321).position, 10'000u - 4321);
  EXPECT_EQ(table.at(4321).tag_hash, 4321u);
  EXPECT_EQ(table.lowest_position(0), 5001u);
  table.append({7, 0});
  EXPECT_EQ(table.lowest_position(100), 7u);
  EXPECT_EQ(table.lowest_position(5001), MessageTable::kGone);
  table.trim_before(3000);
  EXPECT_EQ(table.begin(), 3000);
  EXPECT_EQ(table.at(3000).position, 7000u);
  table.erase(3001);
  EXPECT_EQ(table.at(3001).position, MessageTable::kGone);
}

TEST(Subscription, ALifeOfOneMessage) {
  Subscription cursor(0);
  const Subscription::Taking taking{at(0s), 30s, false, 1};
  ASSERT_EQ(cursor.next_ready(at(0s), 1, nobody_lives), 0);
  const Subscription::Delivery first = cursor.take(0, taking);
  EXPECT_EQ(first.attempt, 1);
  EXPECT_FALSE(cursor.next_ready(at(29s), 1, nobody_lives));
  EXPECT_EQ(cursor.next_visible(), at(30s));
  ASSERT_EQ(cursor.next_ready(at(30s), 1, nobody_lives), 0);
  EXPECT_EQ(cursor.acknowledge(0, first.nonce, false, 1, at(30s)), Subscription::Verdict::stale);
  const Subscription::Delivery second = cursor.take(0, {at(30s), 30s, false, 1});
  EXPECT_EQ(second.attempt, 2);
  EXPECT_EQ(cursor.acknowledge(0, first.nonce, false, 1, at(31s)), Subscription::Verdict::stale);
  EXPECT_EQ(cursor.acknowledge(0, second.nonce, false, 1, at(31s)), Subscription::Verdict::accepted);
  EXPECT_EQ(cursor.acknowledge(0, second.nonce, false, 1, at(31s)), Subscription::Verdict::in_progress);
  EXPECT_FALSE(cursor.next_ready(at(2h), 1, nobody_lives));  // settling: not again, whatever the time
  cursor.settle(0);
  EXPECT_EQ(cursor.acknowledge(0, second.nonce, false, 1, at(31s)), Subscription::Verdict::already_done);
  EXPECT_EQ(cursor.done_below(), 1);
  EXPECT_EQ(cursor.lag(1), 0);
}

TEST(Subscription, WhatCouldNotBeWrittenComesAgain) {
  Subscription cursor(0);
  const Subscription::Delivery given = cursor.take(0, {at(0s), 30s, false, 1});
  ASSERT_EQ(cursor.acknowledge(0, given.nonce, false, 1, at(1s)), Subscription::Verdict::accepted);
  cursor.cancel_settling(0, at(2s));
  EXPECT_EQ(cursor.next_ready(at(2s), 1, nobody_lives), 0);
}

TEST(Subscription, RenewalFollowsTheClient) {
  Subscription cursor(0);
  cursor.take(0, {at(0s), 60s, true, 1});
  for (Duration t = 0s; t < 3h; t += 10s) EXPECT_FALSE(cursor.next_ready(at(t), 1, everybody_lives)) << t.count();
  Subscription dead(0);
  dead.take(0, {at(0s), 60s, true, 1});
  EXPECT_EQ(dead.next_ready(at(60s), 1, nobody_lives), 0);
  Subscription endless(0);
  endless.take(0, {at(0s), 60s, true, 1});
  Duration until = 0s;
  while (!endless.next_ready(at(until), 1, everybody_lives)) until += 1min;
  EXPECT_GE(until, 3h);
  EXPECT_LE(until, 4h + 1min);
  Subscription released(0);
  released.take(0, {at(0s), 60s, true, 7});
  released.release(7, at(1s));
  EXPECT_EQ(released.next_ready(at(1s), 1, everybody_lives), 0);
}

TEST(Subscription, HandlesFromBeforeARestart) {
  Subscription cursor(0);  // as after replay: nothing is out
  EXPECT_EQ(cursor.acknowledge(3, 99, true, 10, at(0s)), Subscription::Verdict::accepted);
  cursor.settle(3);
  cursor.take(0, {at(0s), 30s, false, 1});
  EXPECT_EQ(cursor.acknowledge(0, 99, true, 10, at(1s)), Subscription::Verdict::stale);   // another one has it now
  EXPECT_EQ(cursor.acknowledge(10, 99, true, 10, at(1s)), Subscription::Verdict::stale);  // never existed
  EXPECT_EQ(cursor.acknowledge(3, 99, true, 10, at(1s)), Subscription::Verdict::already_done);
}

// Against a plain set of what is done, at random; also saved and restored at random.
TEST(Subscription, DoneIsDoneInAnyOrder) {
  sys::SeededRandom random(42);
  Subscription cursor(0);
  std::set<QueueOffset> done;
  for (int step = 0; step < 5000; ++step) {
    const auto offset = static_cast<QueueOffset>(random.below(700));
    cursor.settle(offset);
    done.insert(offset);
    if (random.below(50) == 0) cursor = Subscription::restore(cursor.save());
    QueueOffset below = 0;
    while (done.contains(below)) ++below;
    ASSERT_EQ(cursor.done_below(), below);
    ASSERT_EQ(cursor.lag(700), 700 - static_cast<std::int64_t>(done.size()));
    const auto probe = static_cast<QueueOffset>(random.below(700));
    ASSERT_EQ(cursor.is_done(probe), done.contains(probe));
    const auto next = cursor.next_ready(at(0s), 700, nobody_lives);
    if (below < 700) ASSERT_TRUE(next && !done.contains(*next));
  }
}

TEST(Subscription, AReopenedMessageSurvivesASnapshot) {
  Subscription cursor(0);
  for (QueueOffset offset = 0; offset < 5; ++offset) cursor.settle(offset);
  cursor.reopen(2);
  EXPECT_EQ(cursor.needed_from(), 2);
  Subscription restored = Subscription::restore(cursor.save());
  ASSERT_EQ(restored.next_ready(at(0s), 5, nobody_lives), 2);
  EXPECT_EQ(restored.take(2, {at(0s), 30s, false, 1}).attempt, 1);
  restored.settle(2);
  EXPECT_EQ(restored.needed_from(), 5);
}

HalfMessages::Half half_of(std::uint32_t topic, std::uint32_t nonce) {
  HalfMessages::Half half;
  half.topic = TopicId(topic);
  half.nonce = nonce;
  return half;
}

TEST(HalfMessages, EveryDecisionAgainstEveryState) {
  enum class Before { pending, parked, committing, rolling_back, committed, rolled_back, never };
  using Answer = HalfMessages::Answer;
  struct Case {
    Before before;
    Verdict verdict;
    Answer want;
  };
  constexpr Case kCases[] = {
      {Before::pending, Verdict::commit, Answer::accepted},
      {Before::pending, Verdict::rollback, Answer::accepted},
      {Before::parked, Verdict::commit, Answer::accepted},
      {Before::parked, Verdict::rollback, Answer::accepted},
      {Before::committing, Verdict::commit, Answer::same},
      {Before::committing, Verdict::rollback, Answer::conflict},
      {Before::rolling_back, Verdict::commit, Answer::conflict},
      {Before::rolling_back, Verdict::rollback, Answer::same},
      {Before::committed, Verdict::commit, Answer::unknown},
      {Before::committed, Verdict::rollback, Answer::unknown},
      {Before::rolled_back, Verdict::commit, Answer::conflict},
      {Before::rolled_back, Verdict::rollback, Answer::same},
      {Before::never, Verdict::commit, Answer::unknown},
      {Before::never, Verdict::rollback, Answer::unknown},
  };
  for (const Case& c : kCases) {
    HalfMessages halves{CheckBackConfig{}};
    if (c.before != Before::never) halves.store(8, half_of(1, 5), at(0s));
    if (c.before == Before::parked) halves.park(8);
    const bool commits = c.before == Before::committing || c.before == Before::committed;
    const Verdict first = commits ? Verdict::commit : Verdict::rollback;
    if (c.before >= Before::committing && c.before <= Before::rolled_back) {
      EXPECT_EQ(halves.decide(8, 5, first).answer, Answer::accepted);
      halves.deciding(8, 16);
    }
    if (c.before == Before::committed || c.before == Before::rolled_back) EXPECT_TRUE(halves.settle(8, first));
    EXPECT_EQ(halves.decide(8, 5, c.verdict).answer, c.want)
        << static_cast<int>(c.before) << " " << to_string(c.verdict);
  }
}

TEST(HalfMessages, AWrongNonceDecidesNothing) {
  HalfMessages halves{CheckBackConfig{}};
  halves.store(8, half_of(1, 5), at(0s));
  EXPECT_EQ(halves.decide(8, 6, Verdict::commit).answer, HalfMessages::Answer::unknown);
  EXPECT_EQ(halves.decide(8, 5, Verdict::rollback).answer, HalfMessages::Answer::accepted);
}

TEST(HalfMessages, ADecisionNotWrittenLeavesItAsItWas) {
  HalfMessages halves{CheckBackConfig{}};
  halves.store(8, half_of(1, 5), at(0s));
  ASSERT_EQ(halves.decide(8, 5, Verdict::commit).answer, HalfMessages::Answer::accepted);
  EXPECT_THAT(halves.due(at(1h), 10), IsEmpty());  // nobody is asked while it is being decided
  halves.cancel(8);
  EXPECT_EQ(halves.due(at(1h), 10).size(), 1u);
  EXPECT_EQ(halves.decide(8, 5, Verdict::rollback).answer, HalfMessages::Answer::accepted);
}

TEST(HalfMessages, ChecksAreCountedOnlyWhenDelivered) {
  CheckBackConfig config;
  config.max_checks = 2;
  HalfMessages halves{config};
  halves.store(8, half_of(1, 5), at(0s));
  EXPECT_EQ(halves.next_due(), at(6s));
  EXPECT_THAT(halves.due(at(5s), 10), IsEmpty());
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(halves.due(halves.next_due(), 10).front().what, HalfMessages::Due::check);
    halves.nobody_to_ask(8, at(1h + i * 30s));
  }
  halves.announced(TopicId(2), at(5h));
  EXPECT_THAT(halves.due(at(1h), 10), IsEmpty());
  halves.announced(TopicId(1), at(5h));
  ASSERT_EQ(halves.due(at(5h), 10).size(), 1u);
  EXPECT_EQ(halves.checked(8, at(5h)), 1);
  ASSERT_EQ(halves.due(at(5h + 30s), 10).front().what, HalfMessages::Due::check);
  EXPECT_EQ(halves.checked(8, at(5h + 30s)), 2);
  ASSERT_EQ(halves.due(at(5h + 60s), 10).front().what, HalfMessages::Due::park);
  halves.park(8);
  EXPECT_EQ(halves.parked(), 1u);
  EXPECT_EQ(halves.next_due(), Monotonic::max());
  EXPECT_TRUE(halves.restart(8, at(6h)));
  ASSERT_EQ(halves.due(at(6h), 10).front().what, HalfMessages::Due::check);
}

TEST(Clients, AskTheSenderThenOthersInTurn) {
  sys::RealClock clock;
  Clients clients(120s, 10min, 10);
  const auto join = [&](const std::string& id, bool reachable) {
    Client* client = clients.seen(id, at(0s));
    client->registered = true;
    client->link = std::make_shared<TelemetryLink>(clock);
    if (!reachable) client->link->close();
    clients.publishes(*client, {TopicId(1)});
    return client;
  };
  Client* sender = join("sender", true);
  Client* b = join("b", true);
  Client* c = join("c", true);
  join("gone", false);
  EXPECT_EQ(clients.whom_to_ask("sender", TopicId(1)), sender->link);
  sender->link->close();
  const auto first = clients.whom_to_ask("sender", TopicId(1)), second = clients.whom_to_ask("sender", TopicId(1));
  EXPECT_NE(first, second);
  EXPECT_TRUE(first == b->link || first == c->link);
  EXPECT_EQ(clients.whom_to_ask("nobody", TopicId(2)), nullptr);
  EXPECT_TRUE(clients.terminate("b"));
  EXPECT_FALSE(clients.terminate("b"));
  EXPECT_EQ(clients.whom_to_ask("sender", TopicId(1)), c->link);
}

TEST(Clients, ExpireAfterSilenceAndAreForgottenAfterTheGrace) {
  Clients clients(120s, 10min, 1);
  const ClientNumber number = clients.seen("a", at(0s))->number;
  EXPECT_EQ(clients.seen("b", at(0s)), nullptr);  // the limit
  EXPECT_TRUE(clients.alive(number, at(119s)));
  EXPECT_THAT(clients.expire(at(119s)), IsEmpty());
  EXPECT_THAT(clients.expire(at(121s)), ElementsAre(number));
  EXPECT_THAT(clients.expire(at(122s)), IsEmpty());
  EXPECT_NE(clients.find("a"), nullptr);
  clients.expire(at(11min));
  EXPECT_EQ(clients.find("a"), nullptr);
}

/// Fills a state with everything a record can say.
State state_with_everything(std::vector<std::pair<RecordKind, std::string>>& records) {
  State state{CheckBackConfig{}};
  Position position = 0;
  const auto apply = [&](RecordKind kind, std::string body) {
    position += 8;
    const auto applied = state.apply(kind, as_bytes(body), position, at(0s));
    EXPECT_TRUE(applied) << applied.error().to_string();
    records.emplace_back(kind, std::move(body));
  };
  apply(RecordKind::topic, encode(TopicRecord{TopicId(1), TopicType::mixed, "orders"}));
  apply(RecordKind::topic, encode(TopicRecord{TopicId(2), TopicType::mixed, "%DLQ%group"}));
  apply(RecordKind::group, encode(GroupRecord{GroupId(1), 3, "group"}));
  apply(RecordKind::subscription, encode(SubscriptionRecord{GroupId(1), TopicId(1), StartAt::earliest}));
  for (int i = 0; i < 6; ++i)
    apply(RecordKind::message, encode(MessageHeader{TopicId(1), 7, i * 61'000'000ll}) + "body");
  HalfHeader half;
  half.message = {TopicId(1), 9, 1};
  half.nonce = 5;
  half.sender = "sender";
  for (int i = 0; i < 4; ++i) apply(RecordKind::half, encode(half) + "body");  // 88, 96, 104, 112
  apply(RecordKind::decision, encode(DecisionRecord{88, Verdict::commit, Decider::client, 1}));
  apply(RecordKind::decision, encode(DecisionRecord{96, Verdict::rollback, Decider::check, 1}));
  apply(RecordKind::checked, encode(HalfEventRecord{104, 3, 1}));
  apply(RecordKind::parked, encode(HalfEventRecord{112, 15, 1}));
  apply(RecordKind::restarted, encode(HalfEventRecord{112, 0, 1}));
  apply(RecordKind::parked, encode(HalfEventRecord{112, 15, 1}));
  apply(RecordKind::settled, encode(SettledRecord{SubscriptionId(1), 1, false, {{0, 2}, {4, 1}}}));
  apply(RecordKind::attempts, encode(AttemptsRecord{SubscriptionId(1), 2, 2, 1}));
  for (QueueOffset offset : {3, 2}) {
    DeadLetterRecord letter;
    letter.subscription = SubscriptionId(1);
    letter.offset = offset;
    letter.dead_letter_topic = TopicId(2);
    letter.origin = 64;
    letter.reason = "why";
    apply(RecordKind::dead_letter, encode(letter));
  }
  apply(RecordKind::redrive, encode(RedriveRecord{TopicId(2), 0, SubscriptionId(1), 3, 1}));
  return state;
}

TEST(State, SaysWhatItsRecordsSay) {
  std::vector<std::pair<RecordKind, std::string>> records;
  State state = state_with_everything(records);
  EXPECT_EQ(state.find_topic("orders")->table.end(), 7);  // six, and the committed one
  EXPECT_EQ(state.find_topic("orders")->table.at(6).position, 88u);
  EXPECT_TRUE(state.halves().was_rolled_back(96));
  EXPECT_EQ(state.halves().find(104)->checks, 3);
  EXPECT_TRUE(state.halves().find(112)->parked);
  Subscription& cursor = state.reading(SubscriptionId(1)).cursor;
  EXPECT_EQ(cursor.done_below(), 5);
  EXPECT_EQ(cursor.needed_from(), 3);  // redriven
  EXPECT_EQ(state.find_topic("%DLQ%group")->letters.size(), 1u);
  EXPECT_EQ(state.needed_from(), 64u);
}

TEST(State, ASnapshotHoldsAllOfItAndIsCheckedAtEveryByte) {
  std::vector<std::pair<RecordKind, std::string>> records;
  State state = state_with_everything(records);
  const std::string saved = state.save();
  State restored{CheckBackConfig{}};
  const auto loaded = restored.load(as_bytes(saved), at(0s));
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(hex(as_bytes(restored.save())), hex(as_bytes(saved)));
  for (std::size_t size = 0; size < saved.size(); ++size) {
    State partial{CheckBackConfig{}};
    EXPECT_FALSE(partial.load(as_bytes(saved).first(size), at(0s))) << size;
  }
}

TEST(Records, CutAtEveryByteIsCorruptNeverACrash) {
  std::vector<std::pair<RecordKind, std::string>> records;
  (void)state_with_everything(records);
  for (const auto& [kind, body] : records) {
    const bool has_tail = kind == RecordKind::message || kind == RecordKind::half;
    for (std::size_t size = 0; size < body.size(); ++size) {
      std::vector<std::pair<RecordKind, std::string>> ignored;
      State state = state_with_everything(ignored);
      const auto applied = state.apply(kind, as_bytes(body).first(size), 10'000, at(0s));
      if (!has_tail) EXPECT_FALSE(applied) << to_string(kind) << " " << size;
    }
  }
}

TEST(Records, ReferencesToNothingAreCorrupt) {
  State state{CheckBackConfig{}};
  EXPECT_FALSE(state.apply(RecordKind::message, as_bytes(encode(MessageHeader{TopicId(1), 0, 0})), 8, at(0s)));
  EXPECT_FALSE(state.apply(RecordKind::message, as_bytes(encode(MessageHeader{TopicId(0), 0, 0})), 8, at(0s)));
  EXPECT_FALSE(
      state.apply(RecordKind::subscription, as_bytes(encode(SubscriptionRecord{GroupId(1), TopicId(1)})), 8, at(0s)));
  EXPECT_FALSE(
      state.apply(RecordKind::settled, as_bytes(encode(SettledRecord{SubscriptionId(4), 0, false, {}})), 8, at(0s)));
  EXPECT_FALSE(state.apply(static_cast<RecordKind>(99), {}, 8, at(0s)));
}

}  // namespace
}  // namespace hf::broker
