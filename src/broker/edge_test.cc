// What the edge accepts and refuses, call by call (docs/protocols/rocketmq-grpc.md).

#include <gmock/gmock.h>

#include "base/bytes.h"
#include "broker/authentication.h"
#include "broker/test_support.h"
#include "net/crypto.h"

namespace hf::broker {
namespace {

using test::Frames;
using test::SimBroker;
using test::Telemetry;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
namespace pb = wire::rocketmq::pb;

BrokerConfig typed_config() {
  BrokerConfig config = test::small_config();
  config.segment_bytes = 8 << 20;
  config.limits.body_bytes = 4 << 20;
  config.auto_create_topics = false;
  config.auto_create_groups = false;
  config.topics = {{"normal", TopicType::normal}, {"transaction", TopicType::transaction}, {"mixed", TopicType::mixed}};
  config.groups = {{.name = "group"}};
  return config;
}

struct SendCase {
  const char* what;
  std::function<void(pb::Message&)> change;
  pb::Code want;
};

void set_type(pb::Message& m, pb::MessageType type) { m.mutable_system_properties()->set_message_type(type); }
void set_delivery(pb::Message& m, WallTime at) {
  wire::rocketmq::to_proto(at, *m.mutable_system_properties()->mutable_delivery_timestamp());
}

// Goal: each refusal has its code, nothing of it is stored, and what is allowed passes.
TEST(EdgeSend, EachRule) {
  SimBroker sim(1, typed_config());
  const WallTime now = sim.world.clock().wall();
  const auto topic = [](std::string name) { return [name](pb::Message& m) { m.mutable_topic()->set_name(name); }; };
  const auto property = [](std::string key, std::string value) {
    return [=](pb::Message& m) { (*m.mutable_user_properties())[key] = value; };
  };
  const auto tag = [](std::string text) {
    return [=](pb::Message& m) { m.mutable_system_properties()->set_tag(text); };
  };
  const SendCase cases[] = {
      {"plain", [](pb::Message&) {}, pb::OK},
      {"blank topic", topic(""), pb::ILLEGAL_TOPIC},
      {"system topic", topic("TBW102"), pb::ILLEGAL_TOPIC},
      {"128 characters", topic(std::string(128, 'a')), pb::ILLEGAL_TOPIC},
      {"unknown topic", topic("nowhere"), pb::TOPIC_NOT_FOUND},
      {"empty body", [](pb::Message& m) { m.clear_body(); }, pb::MESSAGE_BODY_EMPTY},
      {"4 MiB body", [](pb::Message& m) { m.set_body(std::string(4 << 20, 'x')); }, pb::OK},
      {"4 MiB and one", [](pb::Message& m) { m.set_body(std::string((4 << 20) + 1, 'x')); },
       pb::MESSAGE_BODY_TOO_LARGE},
      {"no message id", [](pb::Message& m) { m.mutable_system_properties()->clear_message_id(); },
       pb::ILLEGAL_MESSAGE_ID},
      {"reserved key", property("UNIQ_KEY", "x"), pb::ILLEGAL_MESSAGE_PROPERTY_KEY},
      {"control character", property("a\x01", "x"), pb::ILLEGAL_MESSAGE_PROPERTY_KEY},
      {"16384 bytes", property("k", std::string(16383, 'v')), pb::OK},
      {"16385 bytes", property("k", std::string(16384, 'v')), pb::MESSAGE_PROPERTIES_TOO_LARGE},
      {"tag with bar", tag("a|b"), pb::ILLEGAL_MESSAGE_TAG},
      {"blank tag", tag("  "), pb::ILLEGAL_MESSAGE_TAG},
      {"chinese tag", tag("标签"), pb::OK},
      {"blank key", [](pb::Message& m) { m.mutable_system_properties()->add_keys(" "); }, pb::ILLEGAL_MESSAGE_KEY},
      {"fifo", [](pb::Message& m) { m.mutable_system_properties()->set_message_group("g"); },
       pb::MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
      {"64 bytes of group",
       [](pb::Message& m) { m.mutable_system_properties()->set_message_group(std::string(64, 'g')); },
       pb::ILLEGAL_MESSAGE_GROUP},
      {"delay", [now](pb::Message& m) { set_delivery(m, now + std::chrono::minutes(1)); },
       pb::MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
      {"delay in the past", [now](pb::Message& m) { set_delivery(m, now - std::chrono::minutes(1)); }, pb::OK},
      {"delay over 24 h", [now](pb::Message& m) { set_delivery(m, now + std::chrono::hours(25)); },
       pb::ILLEGAL_DELIVERY_TIME},
      {"priority", [](pb::Message& m) { m.mutable_system_properties()->set_priority(1); },
       pb::MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
      {"transaction to a normal topic", [](pb::Message& m) { set_type(m, pb::TRANSACTION); },
       pb::MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
      {"normal to a transaction topic", topic("transaction"), pb::MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
      {"normal to a mixed topic", topic("mixed"), pb::OK},
      {"transaction to a mixed topic",
       [](pb::Message& m) {
         set_type(m, pb::TRANSACTION);
         m.mutable_topic()->set_name("mixed");
       },
       pb::OK},
      {"recovery over an hour",
       [](pb::Message& m) {
         set_type(m, pb::TRANSACTION);
         m.mutable_topic()->set_name("transaction");
         wire::rocketmq::to_proto(3601s,
                                  *m.mutable_system_properties()->mutable_orphaned_transaction_recovery_duration());
       },
       pb::BAD_REQUEST},
  };
  std::int64_t accepted = 0;
  for (const SendCase& c : cases) {
    pb::Message message = SimBroker::message("normal", "id");
    c.change(message);
    const pb::SendMessageResponse response = sim.send(message);
    EXPECT_EQ(response.status().code(), c.want) << c.what << ": " << response.status().message();
    if (c.want != pb::OK) EXPECT_THAT(response.entries(), IsEmpty()) << c.what;
    accepted += c.want == pb::OK;
  }
  std::int64_t stored = static_cast<std::int64_t>(sim.broker->admin().counters().half_pending);
  for (const TopicInfo& info : sim.broker->admin().topics()) stored += info.next_offset;
  EXPECT_EQ(stored, accepted);  // P8: nothing of a refused one is stored
}

TEST(EdgeSend, Batches) {
  SimBroker sim;
  pb::SendMessageRequest request;
  EXPECT_EQ(sim.await(sim.service().send_message(sim.call(), request))->status().code(), pb::MESSAGE_CORRUPTED);
  for (const char* id : {"1", "2", "3"}) *request.add_messages() = SimBroker::message("orders", id);
  const auto sent = sim.await(sim.service().send_message(sim.call(), request));
  ASSERT_EQ(sent->entries_size(), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(sent->entries(i).message_id(), std::to_string(i + 1));
    EXPECT_EQ(sent->entries(i).offset(), i);
  }
  *request.add_messages() = SimBroker::message("elsewhere", "4");
  EXPECT_EQ(sim.await(sim.service().send_message(sim.call(), request))->status().code(), pb::MESSAGE_CORRUPTED);
}

TEST(EdgeCalls, EveryCallNeedsAClientId) {
  SimBroker sim;
  const test::CallContext nobody = sim.call("");
  auto& service = sim.service();
  EXPECT_EQ(sim.await(service.query_route(nobody, {}))->status().code(), pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.await(service.query_assignment(nobody, {}))->status().code(), pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.await(service.heartbeat(nobody, {}))->status().code(), pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.await(service.send_message(nobody, {}))->status().code(), pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.await(service.end_transaction(nobody, {}))->status().code(), pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.await(service.ack_message(nobody, {}))->status().code(), pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.await(service.change_invisible_duration(nobody, {}))->status().code(), pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.await(service.forward_message_to_dead_letter_queue(nobody, {}))->status().code(),
            pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.await(service.notify_client_termination(nobody, {}))->status().code(), pb::CLIENT_ID_REQUIRED);
  EXPECT_EQ(sim.receive(pb::ReceiveMessageRequest(), "").code(), pb::CLIENT_ID_REQUIRED);
}

TEST(EdgeRoute, EchoesTheClientsAddress) {
  SimBroker sim(1, typed_config());
  pb::QueryRouteRequest request;
  request.mutable_topic()->set_name("mixed");
  request.mutable_topic()->set_resource_namespace("space");
  request.mutable_endpoints()->set_scheme(pb::DOMAIN_NAME);
  request.mutable_endpoints()->add_addresses()->set_host("mq.example.org");
  request.mutable_endpoints()->mutable_addresses(0)->set_port(32081);
  const auto route = sim.await(sim.service().query_route(sim.call(), request));
  ASSERT_EQ(route->message_queues_size(), 1);
  const pb::MessageQueue& queue = route->message_queues(0);
  EXPECT_EQ(queue.id(), 0);
  EXPECT_EQ(queue.permission(), pb::READ_WRITE);
  EXPECT_EQ(queue.broker().id(), 0);
  EXPECT_FALSE(queue.broker().name().empty());
  EXPECT_EQ(queue.topic().resource_namespace(), "space");
  EXPECT_EQ(queue.broker().endpoints().SerializeAsString(), request.endpoints().SerializeAsString());
  EXPECT_THAT(queue.accept_message_types(), ElementsAre(pb::NORMAL, pb::TRANSACTION));
  struct Case {
    const char* topic;
    pb::Code want;
  };
  for (const Case& c :
       {Case{"nowhere", pb::TOPIC_NOT_FOUND}, Case{"TBW102", pb::ILLEGAL_TOPIC}, Case{"normal", pb::OK}}) {
    request.mutable_topic()->set_name(c.topic);
    EXPECT_EQ(sim.await(sim.service().query_route(sim.call(), request))->status().code(), c.want) << c.topic;
  }
  pb::QueryAssignmentRequest assignment;
  assignment.mutable_topic()->set_name("normal");
  assignment.mutable_group()->set_name("group");
  const auto assigned = sim.await(sim.service().query_assignment(sim.call(), assignment));
  ASSERT_EQ(assigned->assignments_size(), 1);
  EXPECT_EQ(assigned->assignments(0).message_queue().id(), -1);
}

TEST(EdgeReceive, UnknownTopicsAndGroupsAreRefusedWhereTheyMayNotBeMade) {
  SimBroker sim(1, typed_config());
  EXPECT_EQ(sim.receive(SimBroker::receive_request("group", "nowhere")).code(), pb::TOPIC_NOT_FOUND);
  EXPECT_EQ(sim.receive(SimBroker::receive_request("nobody", "normal")).code(), pb::CONSUMER_GROUP_NOT_FOUND);
  EXPECT_EQ(sim.receive(SimBroker::receive_request("", "normal")).code(), pb::ILLEGAL_CONSUMER_GROUP);
  ASSERT_TRUE(sim.await(sim.broker->admin().create_topic("nowhere", TopicType::mixed)));
  ASSERT_TRUE(sim.await(sim.broker->admin().create_group("nobody", 0)));
  EXPECT_EQ(sim.receive(SimBroker::receive_request("nobody", "nowhere")).code(), pb::MESSAGE_NOT_FOUND);
  EXPECT_EQ(sim.await(sim.broker->admin().create_topic("normal", TopicType::mixed)).error().code, Code::conflict);
}

TEST(EdgeReceive, TooManyPollsAreRefusedEarly) {
  BrokerConfig config = test::small_config();
  config.limits.polls_per_subscription = 2;
  SimBroker sim(1, config);
  std::deque<Frames> frames;
  const auto poll = [&](Frames& into) -> asio::awaitable<void> {
    (void)co_await sim.service().receive_message(sim.call(), SimBroker::receive_request("group", "orders"), into);
  };
  for (int i = 0; i < 3; ++i) sim.world.spawn(poll(frames.emplace_back()));
  sim.world.run_for(1s);
  EXPECT_EQ(frames[2].code(), pb::TOO_MANY_REQUESTS);
  EXPECT_THAT(frames[0].frames, IsEmpty());
  sim.world.run_for(10s);
  EXPECT_EQ(frames[0].code(), pb::MESSAGE_NOT_FOUND);
}

TEST(EdgeReceive, AnEmptyPollTakesItsTimeAndNotMore) {
  SimBroker sim;
  struct Case {
    Duration wanted, deadline, want;
  };
  for (const Case& c : {Case{10s, 13s, 10s}, Case{1s, 60s, 5s}, Case{40s, 60s, 20s}, Case{20s, 8s, 7900ms}}) {
    pb::ReceiveMessageRequest request = SimBroker::receive_request("group", "orders");
    wire::rocketmq::to_proto(c.wanted, *request.mutable_long_polling_timeout());
    test::CallContext call = sim.call();
    const Monotonic start = sim.world.clock().now();
    call.deadline = start + c.deadline;
    Frames frames;
    EXPECT_TRUE(sim.await(sim.service().receive_message(call, request, frames)));
    EXPECT_EQ(frames.code(), pb::MESSAGE_NOT_FOUND);
    EXPECT_EQ((sim.world.clock().now() - start) / 1ms, c.want / 1ms);
  }
}

TEST(EdgeReceive, GoodbyeMakesRenewedMessagesVisibleAfterASecond) {
  SimBroker sim;
  pb::TelemetryCommand settings;
  settings.mutable_settings()->set_client_type(pb::PUSH_CONSUMER);
  settings.mutable_settings()->mutable_subscription()->mutable_group()->set_name("group");
  settings.mutable_settings()->mutable_subscription()->add_subscriptions()->mutable_topic()->set_name("orders");
  sim.telemetry("worker", settings);
  sim.send(SimBroker::message("orders", "id-1"));
  pb::ReceiveMessageRequest request = SimBroker::receive_request("group", "orders");
  request.set_auto_renew(true);
  ASSERT_THAT(sim.receive(request, "worker").messages(), SizeIs(1));
  EXPECT_EQ(sim.await(sim.service().notify_client_termination(sim.call("worker"), {}))->status().code(), pb::OK);
  const Monotonic start = sim.world.clock().now();
  EXPECT_THAT(sim.receive("group", "orders"), SizeIs(1));
  EXPECT_EQ((sim.world.clock().now() - start) / 1ms, 1000);
}

TEST(EdgeSend, TooMuchWaitingIsRefusedEarly) {
  BrokerConfig config = test::small_config();
  config.limits.sends_waiting = 4;
  SimBroker sim(1, config);
  sim.send(SimBroker::message("orders", "first"));
  std::map<int, int> codes;
  const auto send = [&]() -> asio::awaitable<void> {
    pb::SendMessageRequest request;
    *request.add_messages() = SimBroker::message("orders", "id");
    const auto sent = co_await sim.service().send_message(sim.call(), std::move(request));
    ++codes[sent->status().code()];
  };
  for (int i = 0; i < 20; ++i) sim.world.spawn(send());
  sim.world.run_for(1s);
  EXPECT_GE(codes[pb::OK], 4);
  EXPECT_GE(codes[pb::TOO_MANY_REQUESTS], 1);
  EXPECT_EQ(codes[pb::OK] + codes[pb::TOO_MANY_REQUESTS], 20);
  EXPECT_EQ(sim.send(SimBroker::message("orders", "later")).status().code(), pb::OK);
}

TEST(EdgeReceive, ACancelledPollLeavesItsMessageToOthers) {
  SimBroker sim;
  sim.receive("group", "orders");
  Frames gone;
  bool cancelled = false;
  std::function<void()> wake;
  test::CallContext call = sim.call();
  call.cancelled = [&] { return cancelled; };
  call.on_cancel = [&](std::function<void()> w) { wake = std::move(w); };
  bool ended = false;
  const auto poll = [&]() -> asio::awaitable<void> {
    (void)co_await sim.service().receive_message(call, SimBroker::receive_request("group", "orders"), gone);
    ended = true;
  };
  sim.world.spawn(poll());
  sim.world.run_for(1s);
  cancelled = true;
  wake();
  sim.world.run_ready();
  EXPECT_TRUE(ended);
  sim.send(SimBroker::message("orders", "id-1"));
  EXPECT_THAT(sim.receive("group", "orders"), SizeIs(1));
}

pb::TelemetryCommand consumer_settings(const std::string& group, const std::string& topic) {
  pb::TelemetryCommand command;
  pb::Settings& settings = *command.mutable_settings();
  settings.set_client_type(pb::PUSH_CONSUMER);
  settings.mutable_subscription()->mutable_group()->set_name(group);
  settings.mutable_subscription()->mutable_group()->set_resource_namespace("space");
  settings.mutable_subscription()->add_subscriptions()->mutable_topic()->set_name(topic);
  return command;
}

TEST(EdgeTelemetry, ProducerSettings) {
  BrokerConfig config = test::small_config();
  config.segment_bytes = 8 << 20;
  config.limits.body_bytes = 4 << 20;
  SimBroker sim(1, config);
  Telemetry& telemetry = sim.producer("producer", {});  // no topics: still an answer
  ASSERT_THAT(telemetry.heard, SizeIs(1));
  EXPECT_EQ(telemetry.heard[0].status().code(), pb::OK);
  const pb::Settings& settings = telemetry.heard[0].settings();
  EXPECT_EQ(settings.backoff_policy().max_attempts(), 3);
  EXPECT_TRUE(settings.backoff_policy().has_exponential_backoff());
  EXPECT_EQ(settings.publishing().max_body_size(), 4 << 20);
  EXPECT_TRUE(settings.publishing().validate_message_type());
  EXPECT_FALSE(settings.metric().on());
  pb::HeartbeatRequest heartbeat;
  heartbeat.set_client_type(pb::PRODUCER);
  EXPECT_EQ(sim.await(sim.service().heartbeat(sim.call("producer"), heartbeat))->status().code(), pb::OK);
  EXPECT_EQ(sim.await(sim.service().heartbeat(sim.call("stranger"), heartbeat))->status().code(),
            pb::UNRECOGNIZED_CLIENT_TYPE);
  EXPECT_EQ(sim.await(sim.service().notify_client_termination(sim.call("producer"), {}))->status().code(), pb::OK);
  EXPECT_EQ(sim.await(sim.service().notify_client_termination(sim.call("producer"), {}))->status().code(),
            pb::UNRECOGNIZED_CLIENT_TYPE);
}

TEST(EdgeTelemetry, ConsumerSettingsOpenTheSubscription) {
  SimBroker sim;
  Telemetry& telemetry = sim.telemetry("consumer", consumer_settings("group", "orders"));
  ASSERT_THAT(telemetry.heard, SizeIs(1));
  const pb::Settings& settings = telemetry.heard[0].settings();
  EXPECT_EQ(settings.subscription().group().resource_namespace(), "space");
  EXPECT_TRUE(settings.subscription().has_fifo());
  EXPECT_EQ(settings.subscription().receive_batch_size(), 32);
  EXPECT_EQ(settings.subscription().long_polling_timeout().seconds(), 20);
  EXPECT_EQ(settings.backoff_policy().max_attempts(), 17);
  EXPECT_EQ(settings.backoff_policy().customized_backoff().next_size(), 18);
  sim.send(SimBroker::message("orders", "after-settings"));
  EXPECT_THAT(sim.receive("group", "orders"), SizeIs(1));
  telemetry.say(consumer_settings("group", "payments"));  // a second Settings is answered and takes effect
  sim.world.run_for(10ms);
  EXPECT_THAT(telemetry.heard, SizeIs(2));
  sim.send(SimBroker::message("payments", "too"));
  EXPECT_THAT(sim.receive("group", "payments"), SizeIs(1));
}

TEST(EdgeTelemetry, BadSettingsEndTheStream) {
  SimBroker sim;
  pb::TelemetryCommand neither;
  neither.mutable_settings()->set_client_type(pb::PRODUCER);
  pb::TelemetryCommand lite = consumer_settings("group", "orders");
  lite.mutable_settings()->set_client_type(pb::LITE_PUSH_CONSUMER);
  pb::TelemetryCommand no_group = consumer_settings("", "orders");
  pb::TelemetryCommand system_topic = consumer_settings("group", "TBW102");
  for (const pb::TelemetryCommand& bad : {neither, lite, no_group, system_topic}) {
    Telemetry& telemetry = sim.telemetry("client", bad);
    ASSERT_TRUE(telemetry.ended.has_value()) << bad.ShortDebugString();
    EXPECT_EQ(telemetry.ended->error().code, Code::invalid);
  }
}

TEST(Authentication, Table) {
  const std::map<std::string, std::string> keys = {{"AK", "secret"}};
  const std::string date = "20261121T091305Z";
  const std::string signature = net::hmac_sha1("secret", date);
  const std::string lower = hex(as_bytes(signature)), upper = hex(as_bytes(signature), HexCase::upper);
  const auto header = [](std::string credential, std::string sign) {
    return "MQv2-HMAC-SHA1 Credential=" + credential + ", SignedHeaders=x-mq-date-time, Signature=" + sign;
  };
  struct Case {
    const char* what;
    std::string authorization, date;
    bool welcome;
  };
  for (const Case& c :
       {Case{"lower case", header("AK", lower), date, true}, Case{"upper case", header("AK", upper), date, true},
        Case{"C++ credential", header("AK/cn-hangzhou/RocketMQ", upper), date, true},
        Case{"Go credential", header("AK//Rocketmq", lower), date, true}, Case{"no header", "", date, false},
        Case{"no date", header("AK", lower), "", false}, Case{"other key", header("XX", lower), date, false},
        Case{"other date", header("AK", lower), "20261121T091306Z", false},
        Case{"not hex", header("AK", "zz"), date, false}, Case{"Python's empty key", header("", lower), date, false}}) {
    wire::rocketmq::CallContext call;
    call.authorization = c.authorization;
    call.date_time = c.date;
    EXPECT_EQ(!refuse_caller(keys, call).has_value(), c.welcome) << c.what;
    EXPECT_FALSE(refuse_caller({}, call).has_value()) << c.what;  // off: nobody looks
  }
  BrokerConfig config = test::small_config();
  config.access_keys = keys;
  SimBroker sim(1, config);
  EXPECT_EQ(sim.send(SimBroker::message("orders", "1")).status().code(), pb::UNAUTHORIZED);
}

}  // namespace
}  // namespace hf::broker
