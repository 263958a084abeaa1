// Half messages through the service: P1, P3, check-back, parking (design.md §3).

#include <gmock/gmock.h>

#include "broker/test_support.h"

namespace hf::broker {
namespace {

using test::ids;
using test::SimBroker;
using test::Telemetry;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
namespace pb = wire::rocketmq::pb;

TEST(Transactions, CommitMakesVisibleRollbackNever) {
  SimBroker sim;
  sim.receive("group", "orders");
  const std::string committed = sim.send_half("orders", "committed");
  const std::string rolled_back = sim.send_half("orders", "rolled-back");
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());
  EXPECT_EQ(sim.end("orders", rolled_back, pb::ROLLBACK), pb::OK);
  EXPECT_EQ(sim.end("orders", committed, pb::COMMIT), pb::OK);
  const auto got = sim.receive("group", "orders");
  ASSERT_THAT(ids(got), ElementsAre("committed"));
  EXPECT_EQ(got[0].system_properties().message_type(), pb::NORMAL);
  sim.ack("group", got[0]);
  sim.restart();
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());
  EXPECT_THAT(sim.receive("late", "orders"), IsEmpty());
}

TEST(Transactions, TheFirstDecisionIsFinal) {
  SimBroker sim;
  sim.receive("group", "orders");
  const std::string a = sim.send_half("orders", "a"), b = sim.send_half("orders", "b");
  EXPECT_EQ(sim.end("orders", a, pb::COMMIT), pb::OK);
  EXPECT_EQ(sim.end("orders", b, pb::ROLLBACK), pb::OK);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(sim.end("orders", a, pb::COMMIT), pb::OK);
    EXPECT_EQ(sim.end("orders", a, pb::ROLLBACK), pb::PRECONDITION_FAILED);
    EXPECT_EQ(sim.end("orders", b, pb::ROLLBACK), pb::OK);
    EXPECT_EQ(sim.end("orders", b, pb::COMMIT), pb::PRECONDITION_FAILED);
    sim.restart();  // and what was decided is known after it
  }
  EXPECT_THAT(ids(sim.receive("group", "orders")), ElementsAre("a"));
}

TEST(Transactions, UnknownResolutionChangesNothing) {
  SimBroker sim;
  const std::string id = sim.send_half("orders", "a");
  EXPECT_EQ(sim.end("orders", id, pb::TRANSACTION_RESOLUTION_UNSPECIFIED), pb::OK);
  EXPECT_EQ(sim.broker->admin().counters().half_pending, 1u);
}

TEST(Transactions, BadIdsAreRefused) {
  SimBroker sim;
  const std::string id = sim.send_half("orders", "a");
  std::string wrong_nonce = id;
  wrong_nonce.back() = wrong_nonce.back() == '0' ? '1' : '0';
  for (const std::string& bad : {std::string(), std::string("  "), std::string("nonsense"), wrong_nonce,
                                 std::string("ffffffffffffffff-00000000"), std::string("0000000000000000-00000000")}) {
    EXPECT_EQ(sim.end("orders", bad, pb::COMMIT), pb::INVALID_TRANSACTION_ID) << bad;
  }
  sim.send(SimBroker::message("other", "x"));
  EXPECT_EQ(sim.end("other", id, pb::COMMIT), pb::INVALID_TRANSACTION_ID);
  EXPECT_EQ(sim.broker->admin().counters().half_pending, 1u);
}

TEST(Transactions, CommitWorksLongAfterAndAfterARestart) {
  SimBroker sim;
  sim.receive("group", "orders");
  const std::string id = sim.send_half("orders", "a");
  sim.world.run_for(3h);
  sim.restart();
  EXPECT_EQ(sim.end("orders", id, pb::COMMIT), pb::OK);
  EXPECT_THAT(ids(sim.receive("group", "orders")), ElementsAre("a"));
}

// Source: acceptance A43: fifteen checks, the first after 6 s, 30 s apart; then parked, not dropped.
TEST(Transactions, FifteenChecksThenParked) {
  SimBroker sim;
  Telemetry& producer = sim.producer("client", {"orders"});
  const std::string id = sim.send_half("orders", "a");
  sim.world.run_for(5900ms);
  EXPECT_THAT(producer.checks(), IsEmpty());
  sim.world.run_for(200ms);
  const auto first = producer.checks();
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(first[0].transaction_id(), id);
  EXPECT_EQ(first[0].message().body(), "body");
  EXPECT_EQ(first[0].message().system_properties().message_type(), pb::TRANSACTION);
  EXPECT_EQ(first[0].message().system_properties().body_digest().type(), pb::MD5);
  for (int check = 2; check <= 15; ++check) {
    sim.world.run_for(29800ms);
    EXPECT_THAT(producer.checks(), IsEmpty()) << check;
    sim.world.run_for(200ms);
    EXPECT_THAT(producer.checks(), SizeIs(1)) << check;
  }
  sim.world.run_for(10min);
  EXPECT_THAT(producer.checks(), IsEmpty());
  EXPECT_EQ(sim.broker->admin().counters().half_parked, 1u);

  sim.restart();
  EXPECT_EQ(sim.broker->admin().counters().half_parked, 1u);
  Telemetry& again = sim.producer("client", {"orders"});
  ASSERT_TRUE(sim.await(sim.broker->admin().restart(id)));
  sim.world.run_for(100ms);
  EXPECT_THAT(again.checks(), SizeIs(1));
  EXPECT_EQ(sim.end("orders", id, pb::COMMIT), pb::OK);
}

TEST(Transactions, ACheckNobodyCouldReceiveIsNotCounted) {
  SimBroker sim;
  const std::string id = sim.send_half("orders", "a", "dead-producer");
  sim.world.run_for(2h);
  EXPECT_EQ(sim.broker->admin().counters().half_pending, 1u);
  Telemetry& other = sim.producer("another-producer", {"orders"});  // asked as soon as it shows up
  sim.world.run_for(100ms);
  ASSERT_THAT(other.checks(), SizeIs(1));
  EXPECT_EQ(sim.end("orders", id, pb::ROLLBACK), pb::OK);
  sim.world.run_for(10min);
  EXPECT_THAT(other.checks(), IsEmpty());
}

TEST(Transactions, TheSenderIsAskedFirst) {
  SimBroker sim;
  Telemetry& other = sim.producer("other", {"orders"});
  Telemetry& sender = sim.producer("sender", {"orders"});
  sim.send_half("orders", "a", "sender");
  sim.world.run_for(7s);
  EXPECT_THAT(sender.checks(), SizeIs(1));
  EXPECT_THAT(other.checks(), IsEmpty());
  sender.close();
  sim.world.run_for(30s);
  EXPECT_THAT(other.checks(), SizeIs(1));
}

TEST(Transactions, RecoveryDurationDelaysTheFirstCheckAndTheWallClockDoesNotMatter) {
  SimBroker sim;
  Telemetry& producer = sim.producer("client", {"orders"});
  pb::Message half = SimBroker::message("orders", "a");
  half.mutable_system_properties()->set_message_type(pb::TRANSACTION);
  wire::rocketmq::to_proto(600s, *half.mutable_system_properties()->mutable_orphaned_transaction_recovery_duration());
  sim.send(half);
  sim.world.jump_wall(-24h);
  sim.world.run_for(599s);
  EXPECT_THAT(producer.checks(), IsEmpty());
  sim.world.jump_wall(48h);
  sim.world.run_for(2s);
  EXPECT_THAT(producer.checks(), SizeIs(1));
}

// Acceptance A42: profile window-15s.
TEST(Transactions, AWindowParksAndDecidesNothing) {
  BrokerConfig config = test::small_config();
  config.check_back.park_after = 15s;
  SimBroker sim(1, config);
  sim.receive("group", "orders");
  const std::string id = sim.send_half("orders", "a");
  sim.world.run_for(15500ms);
  EXPECT_EQ(sim.broker->admin().counters().half_parked, 1u);
  const auto listed = sim.await(sim.broker->admin().half_messages(10));
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().state, "parked");
  EXPECT_EQ(listed->front().message_id, "a");
  EXPECT_EQ(listed->front().transaction_id, id);
  EXPECT_FALSE(listed->front().producer_connected);
  ASSERT_TRUE(sim.await(sim.broker->admin().commit(id)));
  EXPECT_EQ(sim.await(sim.broker->admin().roll_back(id)).error().code, Code::conflict);
  EXPECT_THAT(ids(sim.receive("group", "orders")), ElementsAre("a"));
  const auto decided = sim.await(sim.broker->admin().recently_decided(10));
  ASSERT_EQ(decided->size(), 1u);
  EXPECT_EQ(decided->front().state, "committed");
  EXPECT_EQ(decided->front().decided_by, "operator");
  EXPECT_EQ(decided->front().transaction_id, id);
}

TEST(Transactions, HistoryTellsItAll) {
  SimBroker sim;
  sim.receive("group", "orders");
  pb::Message half = SimBroker::message("orders", "a");
  half.mutable_system_properties()->set_message_type(pb::TRANSACTION);
  half.mutable_system_properties()->add_keys("order-7");
  const std::string id = sim.send(half).entries(0).transaction_id();
  sim.send(SimBroker::message("orders", "noise"));
  sim.end("orders", id, pb::COMMIT);
  for (const pb::Message& message : sim.receive("group", "orders")) sim.ack("group", message);
  for (const std::string& wanted : {std::string("a"), std::string("order-7"), id}) {
    const auto stories = sim.await(sim.broker->admin().history(wanted));
    ASSERT_TRUE(stories);
    ASSERT_EQ(stories->size(), 1u) << wanted;
    std::vector<std::string> events;
    for (const MessageEvent& event : stories->front().events) events.push_back(event.what);
    EXPECT_THAT(events, ElementsAre("half_stored", "committed", "acknowledged"));
  }
}

TEST(Transactions, LostAnswersLeaveTheTruthInTheLog) {
  SimBroker sim;
  sim.receive("group", "orders");
  ASSERT_TRUE(sim.world.world().faults.arm("broker.half_ack=drop:1,broker.end_tx=drop:1"));
  pb::SendMessageRequest request;
  *request.add_messages() = SimBroker::message("orders", "a");
  request.mutable_messages(0)->mutable_system_properties()->set_message_type(pb::TRANSACTION);
  EXPECT_EQ(sim.await(sim.service().send_message(sim.call(), request)).error().code, Code::timeout);
  EXPECT_EQ(sim.broker->admin().counters().half_pending, 1u);
  Telemetry& producer = sim.producer("client", {"orders"});
  sim.world.run_for(7s);
  const auto checks = producer.checks();
  ASSERT_THAT(checks, SizeIs(1));
  pb::EndTransactionRequest commit;
  commit.mutable_topic()->set_name("orders");
  commit.set_transaction_id(checks[0].transaction_id());
  commit.set_resolution(pb::COMMIT);
  EXPECT_FALSE(sim.await(sim.service().end_transaction(sim.call(), commit)));  // lost on the way
  EXPECT_EQ(sim.broker->admin().counters().half_pending, 1u);
  EXPECT_EQ(sim.await(sim.service().end_transaction(sim.call(), commit))->status().code(), pb::OK);
  EXPECT_THAT(ids(sim.receive("group", "orders")), ElementsAre("a"));
}

}  // namespace
}  // namespace hf::broker
