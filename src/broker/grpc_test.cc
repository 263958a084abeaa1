// The same service over real sockets and files: what the binding adds.

#include <gmock/gmock.h>

#include <filesystem>

#include "broker/broker.h"
#include "broker/grpc_binding.h"
#include "broker/test_support.h"
#include "net/listener.h"
#include "sys/loop.h"

namespace hf::broker {
namespace {

using testing::HasSubstr;
namespace pb = wire::rocketmq::pb;

/// A broker behind a listener on a free port, and a channel to it, all on one loop.
class Served {
 public:
  Served() : dir_(testing::TempDir() + "hf_broker_grpc_" + std::to_string(::getpid())) {
    std::filesystem::remove_all(dir_);
    auto opened = Broker::open(loop.world(), BrokerConfig{}, dir_);
    EXPECT_TRUE(opened) << opened.error().to_string();
    broker = std::move(*opened);
    auto grpc = std::make_shared<net::GrpcService>();
    register_messaging_service(*grpc, broker->service(), loop.world());
    net::ListenerOptions options;
    options.name = "broker";
    options.grpc = grpc;
    auto started = net::Listener::start(loop.world(), std::move(options));
    EXPECT_TRUE(started) << started.error().to_string();
    listener = std::move(*started);
    net::GrpcChannel::Options to;
    to.host = "127.0.0.1";
    to.port = listener->port();
    channel = std::make_unique<net::GrpcChannel>(loop.world(), to);
  }
  ~Served() {
    channel->close();
    loop.run_until_done(listener->drain(loop.world().clock.now() + 5s));
    EXPECT_TRUE(loop.run_until_done(broker->stop()));
    loop.drain(1s);
    std::filesystem::remove_all(dir_);
  }

  template <class Request>
  Result<std::string> call(const std::string& method, const Request& request, const std::string& client = "client") {
    return loop.run_until_done(channel->call("/apache.rocketmq.v2.MessagingService/" + method,
                                             {{"x-mq-client-id", client}}, request.SerializeAsString(),
                                             loop.world().clock.now() + 30s));
  }
  template <class Response, class Request>
  Response ask(const std::string& method, const Request& request) {
    const Result<std::string> bytes = call(method, request);
    EXPECT_TRUE(bytes) << method << ": " << bytes.error().to_string();
    Response response;
    if (bytes) EXPECT_TRUE(response.ParseFromString(*bytes));
    return response;
  }
  asio::awaitable<std::vector<pb::ReceiveMessageResponse>> receive(std::string group, std::string topic) {
    std::vector<pb::ReceiveMessageResponse> frames;
    auto stream = co_await channel->open_stream("/apache.rocketmq.v2.MessagingService/ReceiveMessage",
                                                {{"x-mq-client-id", "client"}}, loop.world().clock.now() + 30s);
    EXPECT_TRUE(stream);
    EXPECT_TRUE(co_await (*stream)->write(test::SimBroker::receive_request(group, topic).SerializeAsString()));
    EXPECT_TRUE(co_await (*stream)->finish_writing());
    while (true) {
      auto bytes = co_await (*stream)->read();
      if (!bytes || !bytes->has_value()) break;
      EXPECT_TRUE(frames.emplace_back().ParseFromString(**bytes));
    }
    EXPECT_EQ((*stream)->status().code, net::GrpcCode::ok);
    co_return frames;
  }

  sys::Loop loop;
  std::unique_ptr<Broker> broker;
  std::unique_ptr<net::Listener> listener;
  std::unique_ptr<net::GrpcChannel> channel;

 private:
  std::string dir_;
};

TEST(BrokerOverGrpc, SendReceiveAcknowledge) {
  Served served;
  pb::QueryRouteRequest route;
  route.mutable_topic()->set_name("orders");
  const auto queues = served.ask<pb::QueryRouteResponse>("QueryRoute", route);
  ASSERT_EQ(queues.message_queues_size(), 1);
  const pb::Address& address = queues.message_queues(0).broker().endpoints().addresses(0);
  EXPECT_EQ(address.port(), served.listener->port());                                // the way by which we came in
  const auto group = served.loop.run_until_done(served.receive("group", "orders"));  // begins the group; 5 s of nothing
  EXPECT_EQ(group.front().status().code(), pb::MESSAGE_NOT_FOUND);

  pb::SendMessageRequest send;
  *send.add_messages() = test::SimBroker::message("orders", "id-1");
  EXPECT_EQ(served.ask<pb::SendMessageResponse>("SendMessage", send).status().code(), pb::OK);
  *send.mutable_messages(0) = test::SimBroker::message("orders", "id-2", "", std::string(4 << 20, 'x'));
  (*send.mutable_messages(0)->mutable_user_properties())["k"] = std::string(16383, 'v');  // the largest there is
  EXPECT_EQ(served.ask<pb::SendMessageResponse>("SendMessage", send).status().code(), pb::OK);

  const auto frames = served.loop.run_until_done(served.receive("group", "orders"));
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[0].status().code(), pb::OK);
  EXPECT_EQ(frames[1].message().system_properties().message_id(), "id-1");
  EXPECT_THAT(frames[1].message().system_properties().born_host(), HasSubstr("127.0.0.1"));
  EXPECT_EQ(frames[2].message().body().size(), 4u << 20);
  EXPECT_TRUE(frames[3].has_delivery_timestamp());
  pb::AckMessageRequest ack;
  ack.mutable_group()->set_name("group");
  ack.mutable_topic()->set_name("orders");
  for (int i : {1, 2}) {
    ack.add_entries()->set_receipt_handle(
        frames[static_cast<std::size_t>(i)].message().system_properties().receipt_handle());
  }
  EXPECT_EQ(served.ask<pb::AckMessageResponse>("AckMessage", ack).status().code(), pb::OK);
}

TEST(BrokerOverGrpc, TransportLevelAnswers) {
  Served served;
  EXPECT_EQ(served.ask<pb::HeartbeatResponse>("Heartbeat", pb::HeartbeatRequest()).status().code(),
            pb::UNRECOGNIZED_CLIENT_TYPE);
  for (const char* method :
       {"PullMessage", "UpdateOffset", "GetOffset", "QueryOffset", "RecallMessage", "SyncLiteSubscription"}) {
    const auto refused = served.call(method, pb::HeartbeatRequest());
    ASSERT_FALSE(refused) << method;
    EXPECT_THAT(refused.error().message, HasSubstr("UNIMPLEMENTED")) << method;
  }
  const auto garbage = served.loop.run_until_done(
      served.channel->call("/apache.rocketmq.v2.MessagingService/SendMessage", {{"x-mq-client-id", "c"}},
                           "\xff\xff\xff", served.loop.world().clock.now() + 5s));
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code, Code::invalid);
}

asio::awaitable<void> check_back(Served& served, std::string& asked_about) {
  auto stream = co_await served.channel->open_stream("/apache.rocketmq.v2.MessagingService/Telemetry",
                                                     {{"x-mq-client-id", "client"}}, Monotonic::max());
  EXPECT_TRUE(stream);
  pb::TelemetryCommand settings;
  settings.mutable_settings()->set_client_type(pb::PRODUCER);
  settings.mutable_settings()->mutable_publishing()->add_topics()->set_name("orders");
  EXPECT_TRUE(co_await (*stream)->write(settings.SerializeAsString()));
  while (asked_about.empty()) {
    auto bytes = co_await (*stream)->read();
    if (!bytes || !bytes->has_value()) break;
    pb::TelemetryCommand command;
    EXPECT_TRUE(command.ParseFromString(**bytes));
    asked_about = command.recover_orphaned_transaction_command().transaction_id();
  }
  (*stream)->cancel();
}

TEST(BrokerOverGrpc, CheckBackArrivesOnTheTelemetryStream) {
  Served served;
  pb::SendMessageRequest send;
  *send.add_messages() = test::SimBroker::message("orders", "id-1");
  send.mutable_messages(0)->mutable_system_properties()->set_message_type(pb::TRANSACTION);
  const auto sent = served.ask<pb::SendMessageResponse>("SendMessage", send);
  ASSERT_EQ(sent.entries_size(), 1);
  const std::string id = sent.entries(0).transaction_id();
  EXPECT_TRUE(served.loop.run_until_done(served.broker->admin().recheck(id)));  // now, instead of in six seconds
  std::string asked_about;
  served.loop.run_until_done(check_back(served, asked_about));
  EXPECT_EQ(asked_about, id);
}

}  // namespace
}  // namespace hf::broker
