#include "participant/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "participant/outbox_message.h"
#include "participant/test_broker.h"
#include "sys/sim.h"

namespace hf::participant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OutboxTest : public ::testing::Test {
 protected:
  explicit OutboxTest(std::uint64_t seed = 1) : sim_(seed), random_(seed), broker_(sim_.clock()) {
    db_ = std::move(sql::open(sim_.world(), "sqlite:shop.db", "/data").value());
    const std::vector<sql::Migration> tables = {
        {1, "orders", {"CREATE TABLE orders (id VARCHAR(64) NOT NULL PRIMARY KEY)"}}};
    EXPECT_TRUE(sim_.run_until_done(db_->migrate("test", tables)));
  }
  ~OutboxTest() override {
    stop();
    sim_.run_until_done(db_->close());
  }

  void start() {
    outbox_ = std::make_unique<Outbox>(sim_.world(), *db_, config_, broker_.publish());
    const Result<void> started = sim_.run_until_done(outbox_->start({"orders"}));
    ASSERT_TRUE(started) << started.error().to_string();
  }
  void stop() {
    if (outbox_) sim_.run_until_done(outbox_->close());
    outbox_.reset();
  }
  Result<void> write(std::function<Result<void>(sql::Transaction&)> work) {
    return sim_.run_until_done(db_->write(std::move(work)));
  }
  Result<void> put(OutboxMessage message) {
    return write([&](sql::Transaction& tx) { return outbox_->put(tx, message); });
  }
  /// An order and its message; the relay is told.
  void order(const std::string& id, const std::string& aggregate = "", bool awaits_done = false) {
    ASSERT_TRUE(write([&](sql::Transaction& tx) -> Result<void> {
      HF_TRY(tx.execute("INSERT INTO orders (id) VALUES (?)", {id}));
      OutboxMessage message{.topic = "orders", .body = "{}", .aggregate = aggregate, .id = id};
      message.awaits_done = awaits_done;
      return outbox_->put(tx, std::move(message));
    }));
    outbox_->committed();
  }
  OutboxEntry entry(const std::string& id) {
    const Result<std::optional<OutboxEntry>> found = sim_.run_until_done(outbox_->find(id));
    EXPECT_TRUE(found && *found) << id;
    return found && *found ? **found : OutboxEntry{};
  }
  std::int64_t count(const std::string& sql) {
    std::function<Result<std::int64_t>(sql::Reader&)> work = [sql](sql::Reader& reader) -> Result<std::int64_t> {
      HF_TRY(const auto row, reader.query_one(sql));
      return row->integer(0);
    };
    return sim_.run_until_done(db_->read<std::int64_t>(std::move(work))).value();
  }

  sys::SimWorld sim_;
  sys::SeededRandom random_;
  TestBroker broker_;
  OutboxConfig config_;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Outbox> outbox_;
};

TEST_F(OutboxTest, AMessageIsPublishedRightAfterItsCommit) {
  start();
  order("o1");
  sim_.run_for(5ms);
  EXPECT_THAT(broker_.ids(), ElementsAre("o1"));
  EXPECT_EQ(entry("o1").state, "done");
  EXPECT_EQ(broker_.stored[0].message_id, message_id_of("orders", "o1"));
}

TEST_F(OutboxTest, WithoutBeingToldTheRelayFindsItByPolling) {
  start();
  ASSERT_TRUE(put({.topic = "orders", .body = "{}", .id = "quiet"}));
  sim_.run_for(config_.poll + 10ms);
  EXPECT_THAT(broker_.ids(), ElementsAre("quiet"));
}

TEST_F(OutboxTest, AFailedTransactionLeavesNoMessageAndAFailedPutNoOrder) {
  start();
  EXPECT_FALSE(write([&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(outbox_->put(tx, {.topic = "orders", .body = "{}", .id = "o1"}));
    return Error{Code::conflict, "sold out"};
  }));
  EXPECT_FALSE(write([&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(tx.execute("INSERT INTO orders (id) VALUES ('o2')"));
    return outbox_->put(tx, {.topic = "orders", .body = ""});
  }));
  outbox_->committed();
  sim_.run_for(3s);
  EXPECT_TRUE(broker_.stored.empty());
  EXPECT_EQ(count("SELECT (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM orders)"), 0);
}

TEST_F(OutboxTest, WhatABrokerWouldRefuseIsRefusedBeforeItIsStored) {
  start();
  struct Case {
    const char* what;
    OutboxMessage message;
  };
  const Case kCases[] = {
      {"no body", {.topic = "orders", .body = ""}},
      {"a body of more than 4 MiB", {.topic = "orders", .body = std::string((4 << 20) + 1, 'x')}},
      {"no topic", {.topic = "", .body = "x"}},
      {"a topic with a space", {.topic = "two words", .body = "x"}},
      {"a tag with a bar", {.topic = "orders", .body = "x", .tag = "a|b"}},
      {"an id with a space", {.topic = "orders", .body = "x", .id = "a b"}},
      {"a long id", {.topic = "orders", .body = "x", .id = std::string(65, 'i')}},
      {"a long aggregate", {.topic = "orders", .body = "x", .aggregate = std::string(129, 'a')}},
      {"a control character in a key", {.topic = "orders", .body = "x", .keys = {"a\nb"}}},
      {"too many bytes of properties",
       {.topic = "orders", .body = "x", .properties = {{"p", std::string(20'000, 'p')}}}},
  };
  for (const Case& c : kCases) {
    const Result<void> stored = put(c.message);
    ASSERT_FALSE(stored) << c.what;
    EXPECT_EQ(stored.error().code, Code::invalid) << c.what;
  }
  EXPECT_EQ(count("SELECT COUNT(*) FROM outbox"), 0);
  ASSERT_TRUE(put({.topic = "orders", .body = "x", .id = "twice"}));
  const Result<void> again = put({.topic = "orders", .body = "x", .id = "twice"});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::conflict);
}

TEST_F(OutboxTest, EverythingOfAMessageArrives) {
  start();
  OutboxMessage message{.topic = "orders", .body = std::string("\0\xff body", 7), .id = "o1", .tag = "t"};
  message.keys = {"k1", "k2"};
  message.properties = {{"a", "1"}, {"b", "\"quoted\" \xc3\xa9"}};
  message.message_group = "g";
  ASSERT_TRUE(put(message));
  outbox_->committed();
  sim_.run_for(10ms);
  ASSERT_EQ(broker_.stored.size(), 1U);
  const mq::Message& sent = broker_.stored[0];
  EXPECT_EQ(sent.topic, "orders");
  EXPECT_EQ(sent.body, message.body);
  EXPECT_EQ(sent.tag, "t");
  EXPECT_THAT(sent.keys, ElementsAre("o1", "k1", "k2"));
  EXPECT_EQ(sent.properties, message.properties);
  EXPECT_EQ(sent.message_group, "g");
}

TEST_F(OutboxTest, MessagesOfAnAggregateKeepTheirOrder) {
  start();
  broker_.takes = 3ms;
  std::vector<std::string> want_a, want_b;
  for (int i = 0; i < 20; ++i) {
    order(fmt::format("a{}", i), "a");
    order(fmt::format("b{}", i), "b");
    want_a.push_back(fmt::format("a{}", i));
    want_b.push_back(fmt::format("b{}", i));
  }
  sim_.run_for(1s);
  std::vector<std::string> a, b;
  for (const std::string& id : broker_.ids()) (id[0] == 'a' ? a : b).push_back(id);
  EXPECT_EQ(a, want_a);
  EXPECT_EQ(b, want_b);
}

TEST_F(OutboxTest, ARefusedMessageBlocksItsAggregateAlone) {
  config_.refusals_max = 3;
  start();
  broker_.refuses.emplace("a1", Error{Code::invalid, "no such tag"});
  for (const char* id : {"a1", "a2", "a3"}) order(id, "a");
  order("b1", "b");
  order("free");
  sim_.run_for(5s);
  EXPECT_THAT(broker_.ids(), ElementsAre("b1", "free"));
  const auto blocked = sim_.run_until_done(outbox_->list("blocked", 10)).value();
  ASSERT_EQ(blocked.size(), 1U);
  EXPECT_EQ(blocked[0].id, "a1");
  EXPECT_EQ(blocked[0].refusals, 3);
  EXPECT_EQ(blocked[0].behind, 2);
  EXPECT_THAT(blocked[0].error, HasSubstr("no such tag"));
  order("a4", "a");
  sim_.run_for(5s);
  EXPECT_EQ(entry("a4").state, "held") << "what comes later waits as well";

  EXPECT_EQ(sim_.run_until_done(outbox_->unblock("a1")).value().state, "pending");
  sim_.run_for(5s);
  EXPECT_EQ(entry("a1").state, "blocked") << "nothing has changed at the broker";
  broker_.refuses.clear();
  ASSERT_TRUE(sim_.run_until_done(outbox_->unblock("a1")));
  sim_.run_for(1s);
  EXPECT_THAT(broker_.ids(), ElementsAre("b1", "free", "a1", "a2", "a3", "a4"));
}

TEST_F(OutboxTest, ASkippedMessageLetsItsAggregateGoOn) {
  config_.refusals_max = 1;
  start();
  broker_.refuses.emplace("a1", Error{Code::not_found, "no topic"});
  order("a1", "a");
  order("a2", "a");
  sim_.run_for(1s);
  EXPECT_EQ(sim_.run_until_done(outbox_->skip("a2", "no")).error().code, Code::conflict) << "not blocked";
  EXPECT_EQ(sim_.run_until_done(outbox_->skip("zz", "no")).error().code, Code::not_found);
  const OutboxEntry skipped = sim_.run_until_done(outbox_->skip("a1", "told by telephone")).value();
  EXPECT_EQ(skipped.state, "skipped");
  EXPECT_THAT(skipped.error, HasSubstr("told by telephone"));
  EXPECT_THAT(skipped.error, HasSubstr("no topic"));
  sim_.run_for(1s);
  EXPECT_THAT(broker_.ids(), ElementsAre("a2"));
}

TEST_F(OutboxTest, ABrokerThatIsAwayBlocksNothingAndIsAskedWithBackOff) {
  start();
  broker_.away = Error{Code::unavailable, "connection refused"};
  for (int i = 0; i < 50; ++i) order(fmt::format("o{}", i), "one");
  for (int i = 0; i < 50; ++i) order(fmt::format("p{}", i));
  sim_.run_for(1s);
  broker_.requests.clear();
  sim_.run_for(60s);
  EXPECT_LT(broker_.requests.size(), 30U) << "not in a hurry";
  EXPECT_GT(broker_.requests.size(), 10U) << "but often enough to find it again";
  EXPECT_EQ(count("SELECT COUNT(*) FROM outbox WHERE state = 'blocked'"), 0);
  EXPECT_GT(count("SELECT MAX(attempts) FROM outbox"), 0) << "the back-off can be seen";
  broker_.away.reset();
  sim_.run_for(40s);
  EXPECT_EQ(broker_.times().size(), 100U);
  for (const auto& [id, times] : broker_.times()) EXPECT_EQ(times, 1) << id;
}

TEST_F(OutboxTest, ALostAnswerIsADuplicateWithTheSameName) {
  start();
  broker_.away = Error{Code::timeout, "no answer"};
  broker_.stores_anyway = true;
  order("o1");
  sim_.run_for(20ms);
  broker_.away.reset();
  sim_.run_for(10s);
  ASSERT_EQ(broker_.stored.size(), 2U);
  EXPECT_EQ(broker_.stored[0].message_id, broker_.stored[1].message_id);
  EXPECT_EQ(broker_.stored[0].keys, broker_.stored[1].keys);
}

TEST_F(OutboxTest, ItDiesAtEachStepAndAnotherTakesOver) {
  config_.poll = 100ms;
  for (const char* point :
       {"outbox.after_claim", "outbox.after_publish", "outbox.after_record", "sql.before_commit", "sql.after_commit"}) {
    start();
    ASSERT_TRUE(sim_.world().faults.arm(fmt::format("{}=error:2", point)));
    const std::string id = fmt::format("at-{}", point);
    for (int tries = 0; tries < 4; ++tries) {  // the business repeats what failed
      const Result<void> stored = put({.topic = "orders", .body = "{}", .id = id});
      if (stored || stored.error().code == Code::conflict) break;
    }
    outbox_->committed();
    sim_.run_for(3ms);
    stop();  // its lease still runs
    sim_.world().faults.disarm_all();
    start();
    sim_.run_for(config_.lease + 1s);
    EXPECT_GE(broker_.times()[id], 1) << point;
    EXPECT_LE(broker_.times()[id], 3) << point;
    EXPECT_EQ(entry(id).state, "done") << point;
    stop();
  }
}

TEST_F(OutboxTest, WhatADeadProcessHadClaimedDoesNotWaitForItsLease) {
  start();
  const auto claimed_by = [&](const std::string& owner, const std::string& id) {
    return write([&](sql::Transaction& tx) -> Result<void> {
      HF_TRY(outbox_->put(tx, {.topic = "orders", .body = "{}", .id = id}));
      HF_TRY(tx.execute("UPDATE outbox SET owner = ?, due_at_us = due_at_us + 15000000 WHERE id = ?", {owner, id}));
      return ok();
    });
  };
  ASSERT_TRUE(claimed_by(fmt::format("{}-shop-1", db_->sole_opening()), "o1"));
  stop();
  start();
  sim_.run_for(config_.poll + 1s);
  EXPECT_THAT(broker_.ids(), ElementsAre()) << "a relay of this process may be publishing it";
  stop();
  sim_.run_until_done(db_->close());
  db_ = std::move(sql::open(sim_.world(), "sqlite:shop.db", "/data").value());
  start();
  sim_.run_for(5ms);
  EXPECT_THAT(broker_.ids(), ElementsAre("o1"));
}

TEST_F(OutboxTest, ARowThatAwaitsItsReplyIsPublishedUntilItIsDone) {
  config_.redo_first = 10s;
  start();
  order("o1", "", true);
  sim_.run_for(1s);
  EXPECT_EQ(entry("o1").state, "sent");
  sim_.run_for(12s);
  EXPECT_EQ(broker_.times()["o1"], 2) << "no reply came";
  EXPECT_EQ(entry("o1").attempts, 2);
  bool first = false, second = true;
  ASSERT_TRUE(write([&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(first, outbox_->done(tx, "o1"));
    HF_TRY(second, outbox_->done(tx, "o1"));
    return ok();
  }));
  EXPECT_TRUE(first);
  EXPECT_FALSE(second);
  sim_.run_for(1h);
  EXPECT_EQ(broker_.times()["o1"], 2);
  EXPECT_EQ(entry("o1").state, "done");
}

TEST_F(OutboxTest, AReplyMayComeBeforeThePublicationIsRecorded) {
  start();
  broker_.takes = 50ms;
  order("o1", "a", true);
  order("o2", "a", true);
  sim_.run_for(10ms);
  ASSERT_TRUE(write([&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(outbox_->done(tx, "o1"));
    return ok();
  }));
  outbox_->committed();
  sim_.run_for(1s);
  EXPECT_EQ(entry("o1").state, "done");
  EXPECT_EQ(entry("o2").state, "sent") << "the next of the aggregate was released";
}

TEST_F(OutboxTest, ResendPublishesOnceMore) {
  start();
  order("o1");
  sim_.run_for(1s);
  bool there = false, gone = true;
  ASSERT_TRUE(write([&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(there, outbox_->resend(tx, "o1"));
    HF_TRY(gone, outbox_->resend(tx, "never"));
    return ok();
  }));
  outbox_->committed();
  sim_.run_for(1s);
  EXPECT_TRUE(there);
  EXPECT_FALSE(gone);
  EXPECT_EQ(broker_.times()["o1"], 2);
}

TEST_F(OutboxTest, DoneRowsAreRemovedAfterRetentionInSmallBatches) {
  config_.keep = 10min;
  config_.remove_batch = 7;
  start();
  for (int i = 0; i < 40; ++i) order(fmt::format("o{}", i));
  sim_.run_for(5min);
  EXPECT_EQ(count("SELECT COUNT(*) FROM outbox WHERE state = 'done'"), 40);
  sim_.run_for(6min);
  EXPECT_EQ(count("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(OutboxTest, AClockSetBackStallsNothing) {
  start();
  broker_.away = Error{Code::unavailable, "away"};
  order("o1");
  sim_.run_for(1s);
  sim_.jump_wall(-2h);
  broker_.away.reset();
  sim_.run_for(10s);
  EXPECT_GE(broker_.times()["o1"], 1);
}

TEST_F(OutboxTest, AHeldRowWhosePredecessorLeftUnseenIsFoundByTheScan) {
  start();
  ASSERT_TRUE(write([&](sql::Transaction& tx) -> Result<void> {  // what two overlapping transactions can leave
    HF_TRY(outbox_->put(tx, {.topic = "orders", .body = "{}", .aggregate = "a", .id = "late"}));
    HF_TRY(tx.execute("UPDATE outbox SET state = 'held' WHERE id = 'late'"));
    return ok();
  }));
  sim_.run_for(config_.poll + 100ms);
  EXPECT_THAT(broker_.ids(), ElementsAre("late"));
}

TEST_F(OutboxTest, ManyRelaysPublishEachMessageOnceAndInOrder) {
  start();
  std::vector<std::unique_ptr<Outbox>> others;
  for (int i = 0; i < 4; ++i) {
    others.push_back(std::make_unique<Outbox>(sim_.world(), *db_, config_, broker_.publish()));
    ASSERT_TRUE(sim_.run_until_done(others.back()->start({"orders"})));
  }
  for (int i = 0; i < 200; ++i) {
    order(fmt::format("{:03}", i), fmt::format("g{}", i % 5));
    for (const auto& other : others) other->committed();
    if (i % 10 == 0) sim_.run_for(1ms);
  }
  sim_.run_for(5s);
  EXPECT_EQ(broker_.times().size(), 200U);
  std::map<int, std::string> last;
  for (const mq::Message& message : broker_.stored) {
    const std::string& id = message.keys[0];
    std::string& before = last[std::stoi(id) % 5];
    EXPECT_LT(before, id) << "once, and in order";
    before = id;
  }
  for (const auto& other : others) sim_.run_until_done(other->close());
}

TEST_F(OutboxTest, StartRefusesAnOutboxInAnotherDatabase) {
  auto other = std::move(sql::open(sim_.world(), "sqlite:other.db", "/data").value());
  Outbox apart(sim_.world(), *other, config_, broker_.publish());
  const Result<void> by_table = sim_.run_until_done(apart.start({"orders"}));
  ASSERT_FALSE(by_table);
  EXPECT_EQ(by_table.error().code, Code::invalid);
  EXPECT_THAT(by_table.error().message, HasSubstr("other.db"));
  EXPECT_THAT(by_table.error().message, HasSubstr("orders"));
  EXPECT_THAT(by_table.error().message, HasSubstr("one local transaction"));
  const Result<void> by_url = sim_.run_until_done(apart.start(*db_, {"orders"}));
  ASSERT_FALSE(by_url);
  EXPECT_THAT(by_url.error().message, HasSubstr("shop.db"));
  EXPECT_THAT(by_url.error().message, HasSubstr("one local transaction"));
  sim_.run_until_done(other->close());
}

/// Seeded: orders, failures, deaths and outages in any order; then peace.
class OutboxLife : public OutboxTest, public ::testing::WithParamInterface<int> {
 protected:
  OutboxLife() : OutboxTest(static_cast<std::uint64_t>(GetParam())) {}

  void one_step(int number) {
    switch (random_.below(9)) {
      case 0:
        broker_.away = Error{random_.below(2) == 0 ? Code::unavailable : Code::timeout, "away"};
        broker_.stores_anyway = random_.below(2) == 0;
        break;
      case 1:
        broker_.away.reset();
        break;
      case 2: {
        const char* points[] = {"outbox.after_publish", "outbox.after_claim", "sql.before_commit", "sql.after_commit"};
        ASSERT_TRUE(sim_.world().faults.arm(fmt::format("{}=error:1", points[random_.below(4)])));
        break;
      }
      case 3:
        stop();
        start();
        break;
      default:
        break;
    }
    const std::string id = fmt::format("{:04}", number);
    const std::string aggregate = fmt::format("g{}", random_.below(4));
    const bool business_fails = random_.below(5) == 0;
    const Result<void> stored = write([&](sql::Transaction& tx) -> Result<void> {
      HF_TRY(tx.execute("INSERT INTO orders (id) VALUES (?)", {id}));
      HF_TRY(outbox_->put(tx, {.topic = "orders", .body = aggregate, .aggregate = aggregate, .id = id}));
      if (business_fails) return Error{Code::conflict, "sold out"};
      return ok();
    });
    if (stored && random_.below(2) == 0) outbox_->committed();
    sim_.run_for(std::chrono::milliseconds(random_.below(400)));
  }
};

TEST_P(OutboxLife, NoOrderWithoutMessageNoMessageWithoutOrder) {
  start();
  for (int number = 0; number < 60; ++number) one_step(number);
  if (HasFatalFailure()) return;
  sim_.world().faults.disarm_all();
  broker_.away.reset();
  sim_.run_for(2min);
  const std::map<std::string, int> published = broker_.times();
  EXPECT_EQ(count("SELECT COUNT(*) FROM orders"), static_cast<std::int64_t>(published.size()));
  EXPECT_EQ(count("SELECT COUNT(*) FROM outbox WHERE state = 'done'"), static_cast<std::int64_t>(published.size()));
  std::map<std::string, std::string> last;  // by aggregate: the newest that was published for the first time
  std::set<std::string> seen;
  for (const mq::Message& message : broker_.stored) {
    if (!seen.insert(message.keys[0]).second) continue;
    EXPECT_LT(last[message.body], message.keys[0]) << "order within " << message.body;
    last[message.body] = message.keys[0];
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, OutboxLife, ::testing::Range(1, 41));

}  // namespace
}  // namespace hf::participant
