// The whole broker in process, in a simulated world: the rows of docs/protocols/rocketmq-grpc.md.

#include "broker/broker.h"

#include <gmock/gmock.h>

#include "broker/test_support.h"

namespace hf::broker {
namespace {

using test::Frames;
using test::ids;
using test::SimBroker;
using test::Telemetry;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
namespace pb = wire::rocketmq::pb;

TEST(BrokerSend, DeliversOnceAndForgetsWhatIsAcknowledged) {
  SimBroker sim;
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());  // the group begins here
  const pb::SendMessageResponse sent = sim.send(SimBroker::message("orders", "id-1", "paid"));
  ASSERT_EQ(sent.status().code(), pb::OK);
  EXPECT_EQ(sent.entries(0).message_id(), "id-1");
  EXPECT_EQ(sent.entries(0).offset(), 0);
  const std::vector<pb::Message> got = sim.receive("group", "orders");
  ASSERT_THAT(ids(got), ElementsAre("id-1"));
  const pb::SystemProperties& system = got[0].system_properties();
  EXPECT_EQ(system.delivery_attempt(), 1);
  EXPECT_EQ(system.tag(), "paid");
  EXPECT_EQ(system.message_type(), pb::NORMAL);
  EXPECT_EQ(system.body_digest().type(), pb::MD5);
  EXPECT_EQ(system.body_digest().checksum(), "841A2D689AD86BD1611447453C22C6FC");
  EXPECT_EQ(system.body_encoding(), pb::IDENTITY);
  EXPECT_TRUE(system.has_born_timestamp());
  EXPECT_TRUE(system.has_store_timestamp());
  EXPECT_EQ(sim.ack("group", got[0]).status().code(), pb::OK);
  EXPECT_EQ(sim.ack("group", got[0]).status().code(), pb::OK);  // twice inside the window
  sim.world.run_for(1min);
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());
  sim.restart();
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());  // P2: also after a restart
}

TEST(BrokerSend, FramesAreStatusMessagesTimestamp) {
  SimBroker sim;
  sim.receive("group", "orders");
  sim.send(SimBroker::message("orders", "id-1"));
  const Frames frames = sim.receive(SimBroker::receive_request("group", "orders"));
  ASSERT_EQ(frames.frames.size(), 3u);
  EXPECT_EQ(frames.frames[0].status().code(), pb::OK);
  EXPECT_TRUE(frames.frames[1].has_message());
  EXPECT_TRUE(frames.frames[2].has_delivery_timestamp());
  const Frames empty = sim.receive(SimBroker::receive_request("group", "orders"));
  ASSERT_EQ(empty.frames.size(), 2u);
  EXPECT_EQ(empty.code(), pb::MESSAGE_NOT_FOUND);
}

TEST(BrokerReceive, LongPollEndsWithTheMessage) {
  SimBroker sim;
  sim.receive("group", "orders");
  Frames frames;
  bool done = false;
  const auto poll = [&]() -> asio::awaitable<void> {
    (void)co_await sim.service().receive_message(sim.call(), SimBroker::receive_request("group", "orders"), frames);
    done = true;
  };
  sim.world.spawn(poll());
  sim.world.run_for(2s);
  EXPECT_FALSE(done);
  sim.send(SimBroker::message("orders", "id-1"));
  sim.world.run_for(1ms);
  EXPECT_TRUE(done);
  EXPECT_THAT(ids(frames.messages()), ElementsAre("id-1"));
}

TEST(BrokerReceive, UnacknowledgedComesAgainWithTheNextAttempt) {
  SimBroker sim;
  sim.receive("group", "orders");
  sim.send(SimBroker::message("orders", "id-1"));
  const auto first = sim.receive("group", "orders");
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());  // 5 s later it is still invisible
  sim.world.run_for(26s);
  const pb::AckMessageResponse late = sim.ack("group", first[0]);
  EXPECT_EQ(late.status().code(), pb::INVALID_RECEIPT_HANDLE);
  EXPECT_THAT(late.status().message(), HasSubstr("INVALID_RECEIPT_HANDLE"));
  const auto second = sim.receive("group", "orders");
  ASSERT_THAT(ids(second), ElementsAre("id-1"));
  EXPECT_EQ(second[0].system_properties().delivery_attempt(), 2);
}

TEST(BrokerReceive, GroupsAreIndependentAndShareWithin) {
  SimBroker sim;
  for (const char* group : {"a", "b", "c"}) sim.receive(group, "orders");
  for (int i = 0; i < 100; ++i) sim.send(SimBroker::message("orders", "id-" + std::to_string(i)));
  for (const char* group : {"a", "b", "c"}) {
    std::set<std::string> seen;
    while (true) {
      const auto batch = sim.receive(group, "orders");
      if (batch.empty()) break;
      EXPECT_LE(batch.size(), 32u);
      for (const pb::Message& message : batch) {
        EXPECT_TRUE(seen.insert(message.system_properties().message_id()).second);
        sim.ack(group, message);
      }
    }
    EXPECT_EQ(seen.size(), 100u);
  }
}

TEST(BrokerReceive, NewGroupBeginsAtTheEndConfiguredOneAtTheBeginning) {
  BrokerConfig config = test::small_config();
  config.groups = {{.name = "router"}};
  SimBroker sim(1, config);
  sim.send(SimBroker::message("orders", "before"));
  EXPECT_THAT(sim.receive("newcomer", "orders"), IsEmpty());
  sim.send(SimBroker::message("orders", "after"));
  EXPECT_THAT(ids(sim.receive("newcomer", "orders")), ElementsAre("after"));
  EXPECT_THAT(ids(sim.receive("router", "orders")), ElementsAre("before", "after"));
}

TEST(BrokerReceive, TagFilterPassesOverWhatDoesNotMatch) {
  SimBroker sim;
  const auto with_filter = [](std::string expression) {
    pb::ReceiveMessageRequest request = SimBroker::receive_request("group", "orders");
    request.mutable_filter_expression()->set_type(pb::TAG);
    request.mutable_filter_expression()->set_expression(std::move(expression));
    return request;
  };
  sim.receive(with_filter(" Aa || c"));
  for (const char* tag : {"Aa", "BB", "a", "c", "C", ""})
    sim.send(SimBroker::message("orders", std::string("t") + tag, tag));
  EXPECT_THAT(ids(sim.receive(with_filter(" Aa || c")).messages()), ElementsAre("tAa", "tc"));  // BB hashes like Aa
  pb::ReceiveMessageRequest sql = with_filter("a > 1");
  sql.mutable_filter_expression()->set_type(pb::SQL);
  EXPECT_EQ(sim.receive(sql).code(), pb::ILLEGAL_FILTER_EXPRESSION);
}

TEST(BrokerReceive, ChangeInvisibleDurationGivesANewHandle) {
  SimBroker sim;
  sim.receive("group", "orders");
  sim.send(SimBroker::message("orders", "id-1"));
  const auto got = sim.receive("group", "orders");
  ASSERT_THAT(got, SizeIs(1));
  pb::ChangeInvisibleDurationRequest change;
  change.mutable_group()->set_name("group");
  change.mutable_topic()->set_name("orders");
  change.set_receipt_handle(got[0].system_properties().receipt_handle());
  wire::rocketmq::to_proto(0s, *change.mutable_invisible_duration());
  const auto changed = sim.await(sim.service().change_invisible_duration(sim.call(), change));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->status().code(), pb::OK);
  EXPECT_NE(changed->receipt_handle(), change.receipt_handle());
  const auto refused = sim.await(sim.service().change_invisible_duration(sim.call(), change));
  EXPECT_EQ(refused->status().code(), pb::INVALID_RECEIPT_HANDLE);
  EXPECT_EQ(refused->receipt_handle(), change.receipt_handle());  // the old one is echoed
  const auto again = sim.receive("group", "orders");
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].system_properties().delivery_attempt(), 2);
}

TEST(BrokerReceive, ABrokenStreamMakesTheRestVisibleAgain) {
  SimBroker sim;
  sim.receive("group", "orders");
  for (const char* id : {"1", "2", "3"}) sim.send(SimBroker::message("orders", id));
  Frames frames;
  frames.fail_after = 2;  // status and one message
  EXPECT_FALSE(
      sim.await(sim.service().receive_message(sim.call(), SimBroker::receive_request("group", "orders"), frames)));
  sim.world.run_for(1100ms);
  const auto rest = sim.receive("group", "orders");
  ASSERT_THAT(ids(rest), ElementsAre("2", "3"));
  EXPECT_EQ(rest[0].system_properties().delivery_attempt(), 1);
}

TEST(BrokerReceive, RenewedDeliveryStaysOutWhileTheClientLives) {
  SimBroker sim;
  sim.receive("group", "orders");
  sim.send(SimBroker::message("orders", "id-1"));
  pb::ReceiveMessageRequest request = SimBroker::receive_request("group", "orders");
  request.set_auto_renew(true);
  request.clear_invisible_duration();
  const auto got = sim.receive(request, "worker").messages();
  ASSERT_THAT(got, SizeIs(1));
  for (int i = 0; i < 30; ++i) {  // five minutes of work, with heartbeats
    (void)sim.await(sim.service().heartbeat(sim.call("worker"), {}));
    sim.world.run_for(10s);
  }
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());
  EXPECT_EQ(sim.ack("group", got[0]).status().code(), pb::OK);  // with the original handle

  sim.send(SimBroker::message("orders", "id-2"));
  ASSERT_THAT(sim.receive(request, "worker").messages(), SizeIs(1));
  sim.world.run_for(4min);  // killed: no heartbeat for two minutes
  EXPECT_THAT(ids(sim.receive("group", "orders")), ElementsAre("id-2"));
}

TEST(BrokerReceive, Limits) {
  SimBroker sim;
  struct Case {
    const char* what;
    Duration invisible;
    pb::Code want;
    const char* text;
  };
  for (const Case& c : {Case{"too small", 9999ms, pb::ILLEGAL_INVISIBLE_TIME, "too small"},
                        Case{"too large", 12h + 1ms, pb::ILLEGAL_INVISIBLE_TIME, "too large"},
                        Case{"just right", 10s, pb::MESSAGE_NOT_FOUND, ""}}) {
    const Frames frames = sim.receive(SimBroker::receive_request("group", "orders", 32, c.invisible));
    EXPECT_EQ(frames.code(), c.want) << c.what;
    EXPECT_THAT(frames.text(), HasSubstr(c.text)) << c.what;
  }
  test::CallContext near = sim.call();
  near.deadline = sim.world.clock().now() + 4s;
  Frames frames;
  (void)sim.await(sim.service().receive_message(near, SimBroker::receive_request("group", "orders"), frames));
  EXPECT_EQ(frames.code(), pb::ILLEGAL_POLLING_TIME);
}

// Segments go when nobody needs them, and not before: not with an undecided half message, not with a group behind.
TEST(BrokerRetention, KeepsWhatIsNeededRemovesTheRest) {
  BrokerConfig config = test::small_config();
  config.segment_bytes = 64 << 10;
  config.limits.body_bytes = 4 << 10;
  config.limits.property_bytes = 1 << 10;
  config.snapshot_every = 16 << 10;
  config.retention.keep_consumed_bytes = 0;
  config.retention.every = 1s;
  config.cache_bytes = 0;
  SimBroker sim(1, config);
  sim.receive("fast", "orders");
  sim.receive("slow", "orders");
  const auto fill = [&](int count) {
    for (int i = 0; i < count; ++i) {
      sim.send(SimBroker::message("orders", "filler", "", std::string(3000, 'x')));
      for (const pb::Message& message : sim.receive("fast", "orders")) sim.ack("fast", message);
    }
    sim.world.run_for(30s);
  };
  const auto segments = [&] { return sim.broker->admin().counters().segments; };
  const std::string half = sim.send_half("orders", "half");
  sim.send(SimBroker::message("orders", "first"));
  fill(200);
  const std::uint64_t before = segments();
  EXPECT_GE(before, 9u);
  while (true) {  // the slow group catches up; the half message alone holds everything
    const auto batch = sim.receive("slow", "orders");
    if (batch.empty()) break;
    for (const pb::Message& message : batch) sim.ack("slow", message);
  }
  fill(1);
  EXPECT_GE(segments(), before);
  sim.restart();
  EXPECT_EQ(sim.end("orders", half, pb::COMMIT), pb::OK);
  EXPECT_THAT(ids(sim.receive("fast", "orders")), ElementsAre("half"));
  sim.world.run_for(31s);
  for (const char* group : {"fast", "slow"}) {
    const auto got = sim.receive(group, "orders");
    ASSERT_FALSE(got.empty());
    for (const pb::Message& message : got) sim.ack(group, message);
  }
  fill(40);
  for (const pb::Message& message : sim.receive("slow", "orders")) sim.ack("slow", message);
  for (const pb::Message& message : sim.receive("slow", "orders")) sim.ack("slow", message);
  fill(1);
  EXPECT_LE(segments(), 5u);
  EXPECT_EQ(sim.end("orders", half, pb::ROLLBACK), pb::INVALID_TRANSACTION_ID);  // as long gone as its body
  sim.restart();
  EXPECT_THAT(sim.receive("fast", "orders"), IsEmpty());
}

TEST(BrokerOpen, RefusesImpossibleConfigurationAndASecondProcess) {
  SimBroker sim;
  const auto second = Broker::open(sim.world.world(), test::small_config(), "/data");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::conflict);
  BrokerConfig config = test::small_config();
  config.segment_bytes = 256 << 10;
  EXPECT_EQ(Broker::open(sim.world.world(), config, "/other").error().code, Code::invalid);
}

TEST(BrokerFailure, ADeadDiskRefusesEverythingAndTellsOnce) {
  SimBroker sim;
  int told = 0;
  sim.broker->on_failed([&](const Error&) { ++told; });
  sim.send(SimBroker::message("orders", "before"));
  sim.world.disk().fail_operation(1, Error{Code::unavailable, "dead"}, 1000);
  EXPECT_NE(sim.send(SimBroker::message("orders", "during")).status().code(), pb::OK);
  sim.world.disk().fail_operation(1, Error{Code::unavailable, "dead"}, 0);
  EXPECT_NE(sim.send(SimBroker::message("orders", "after")).status().code(), pb::OK);  // no retry after a failed sync
  EXPECT_EQ(told, 1);
  sim.crash(sys::SimDisk::Unsynced::lost);
  EXPECT_EQ(sim.send(SimBroker::message("orders", "again")).status().code(), pb::OK);
}

TEST(BrokerDeadLetters, AfterTheLastAttemptAndBackAgain) {
  BrokerConfig config = test::small_config();
  config.groups = {{.name = "group", .max_attempts = 3}};
  SimBroker sim(1, config);
  sim.send(SimBroker::message("orders", "poison", "tag"));
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const auto got = sim.receive("group", "orders");
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].system_properties().delivery_attempt(), attempt);
    sim.world.run_for(31s);
    if (attempt == 2) {
      sim.restart();  // attempts survive
      sim.world.run_for(1s);
    }
  }
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());
  const auto letters = sim.receive("graveyard", "%DLQ%group");  // an ordinary topic for an ordinary group
  ASSERT_THAT(ids(letters), ElementsAre("poison"));
  EXPECT_EQ(letters[0].topic().name(), "%DLQ%group");
  EXPECT_EQ(letters[0].system_properties().dead_letter_queue().topic(), "orders");
  EXPECT_EQ(letters[0].system_properties().dead_letter_queue().message_id(), "poison");

  const auto listed = sim.await(sim.broker->admin().dead_letters("group", 10));
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().reason, "delivered 3 times");
  EXPECT_EQ(listed->front().topic, "orders");
  ASSERT_TRUE(sim.await(sim.broker->admin().redrive("%DLQ%group", listed->front().offset)));
  const auto again = sim.receive("group", "orders");
  ASSERT_THAT(ids(again), ElementsAre("poison"));
  EXPECT_EQ(again[0].system_properties().delivery_attempt(), 1);
  EXPECT_EQ(sim.ack("group", again[0]).status().code(), pb::OK);
  sim.restart();
  EXPECT_THAT(sim.receive("group", "orders"), IsEmpty());
  EXPECT_TRUE(sim.await(sim.broker->admin().dead_letters("group", 10))->empty());
}

TEST(BrokerDeadLetters, ForwardedWithAndWithoutAHandle) {
  SimBroker sim;
  sim.receive("group", "orders");
  sim.send(SimBroker::message("orders", "one"));
  sim.send(SimBroker::message("orders", "two"));
  const auto got = sim.receive("group", "orders");
  ASSERT_THAT(got, SizeIs(2));
  pb::ForwardMessageToDeadLetterQueueRequest request;
  request.mutable_group()->set_name("group");
  request.mutable_topic()->set_name("orders");
  request.set_message_id("one");
  request.set_receipt_handle(got[0].system_properties().receipt_handle());
  EXPECT_EQ(sim.await(sim.service().forward_message_to_dead_letter_queue(sim.call(), request))->status().code(),
            pb::OK);
  request.set_message_id("two");
  request.clear_receipt_handle();
  EXPECT_EQ(sim.await(sim.service().forward_message_to_dead_letter_queue(sim.call("other"), request))->status().code(),
            pb::INVALID_RECEIPT_HANDLE);
  EXPECT_EQ(sim.await(sim.service().forward_message_to_dead_letter_queue(sim.call(), request))->status().code(),
            pb::OK);
  EXPECT_THAT(ids(sim.receive("graveyard", "%DLQ%group")), ElementsAre("one", "two"));
}

}  // namespace
}  // namespace hf::broker
