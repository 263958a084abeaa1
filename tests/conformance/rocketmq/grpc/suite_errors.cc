#include "conformance/rocketmq/grpc/client.h"

namespace judge {
namespace {

/// One sound message, one damage, one code; the broker answers in the protocol's own shape, with a gRPC status of OK.
void refusals(const Setup& setup) {
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  struct Case {
    const char* what;
    pb::Code want;
    std::function<void(pb::SendMessageRequest&)> damage;
  };
  auto system = [](pb::SendMessageRequest& r) { return r.mutable_messages(0)->mutable_system_properties(); };
  const std::vector<Case> cases = {
      {"nothing", pb::OK, [](auto&) {}},
      {"no messages", pb::MESSAGE_CORRUPTED, [](auto& r) { r.clear_messages(); }},
      {"two topics", pb::MESSAGE_CORRUPTED,
       [&](auto& r) { *r.add_messages() = message(setup.transaction_topic, "x"); }},
      {"system topic", pb::ILLEGAL_TOPIC,
       [](auto& r) { r.mutable_messages(0)->mutable_topic()->set_name("RMQ_SYS_TRANS_HALF_TOPIC"); }},
      {"128 characters of topic", pb::ILLEGAL_TOPIC,
       [](auto& r) { r.mutable_messages(0)->mutable_topic()->set_name(std::string(128, 'a')); }},
      {"empty body", pb::MESSAGE_BODY_EMPTY, [](auto& r) { r.mutable_messages(0)->clear_body(); }},
      {"4 MiB and a byte", pb::MESSAGE_BODY_TOO_LARGE,
       [](auto& r) { r.mutable_messages(0)->set_body(std::string((4 << 20) + 1, 'x')); }},
      {"no id", pb::ILLEGAL_MESSAGE_ID, [&](auto& r) { system(r)->clear_message_id(); }},
      {"bar in the tag", pb::ILLEGAL_MESSAGE_TAG, [&](auto& r) { system(r)->set_tag("a|b"); }},
      {"control character in a key", pb::ILLEGAL_MESSAGE_KEY, [&](auto& r) { system(r)->add_keys("a\nb"); }},
      {"reserved property", pb::ILLEGAL_MESSAGE_PROPERTY_KEY,
       [](auto& r) { (*r.mutable_messages(0)->mutable_user_properties())["UNIQ_KEY"] = "x"; }},
      {"control character in a value", pb::ILLEGAL_MESSAGE_PROPERTY_KEY,
       [](auto& r) { (*r.mutable_messages(0)->mutable_user_properties())["k"] = "\x01"; }},
      {"128 properties", pb::OK,
       [](auto& r) {
         for (int i = 0; i < 128; ++i) (*r.mutable_messages(0)->mutable_user_properties())[std::to_string(i)] = "v";
       }},
      {"129 properties", pb::MESSAGE_PROPERTIES_TOO_LARGE,
       [](auto& r) {
         for (int i = 0; i < 129; ++i) (*r.mutable_messages(0)->mutable_user_properties())[std::to_string(i)] = "v";
       }},
      {"16384 bytes of properties", pb::OK,
       [](auto& r) { (*r.mutable_messages(0)->mutable_user_properties())["k"] = std::string(16383, 'v'); }},
      {"16385 bytes of properties", pb::MESSAGE_PROPERTIES_TOO_LARGE,
       [](auto& r) { (*r.mutable_messages(0)->mutable_user_properties())["k"] = std::string(16384, 'v'); }},
      {"64 bytes of message group", pb::ILLEGAL_MESSAGE_GROUP,
       [&](auto& r) { system(r)->set_message_group(std::string(64, 'g')); }},
      {"two days ahead", pb::ILLEGAL_DELIVERY_TIME,
       [&](auto& r) { system(r)->mutable_delivery_timestamp()->set_seconds(std::time(nullptr) + 2 * 86400); }},
      {"recovery after two hours", pb::BAD_REQUEST,
       [&](auto& r) {
         system(r)->set_message_type(pb::TRANSACTION);
         system(r)->mutable_orphaned_transaction_recovery_duration()->set_seconds(7200);
       }},
  };
  for (const Case& c : cases) {
    pb::SendMessageRequest request;
    *request.add_messages() = message(setup.normal_topic, "x");
    c.damage(request);
    const pb::SendMessageResponse response = producer.send_all(request);
    require_code(response.status(), c.want, c.what);
    require(!response.status().message().empty(), std::string("a text with ") + c.what);
  }
}

void client_id_is_required(const Setup& setup) {
  Client nobody(setup.channel, "");
  require_code(nobody.route(setup.normal_topic).status(), pb::CLIENT_ID_REQUIRED, "QueryRoute");
  pb::SendMessageRequest request;
  *request.add_messages() = message(setup.normal_topic, "x");
  require_code(nobody.send_all(request).status(), pb::CLIENT_ID_REQUIRED, "SendMessage");
  require_code(nobody.receive("g", setup.normal_topic, 1, 10s, 5s).status, pb::CLIENT_ID_REQUIRED, "ReceiveMessage");
  pb::HeartbeatRequest heartbeat;
  pb::HeartbeatResponse response;
  require(nobody.stub().Heartbeat(nobody.context().get(), heartbeat, &response).ok(), "the call");
  require_code(response.status(), pb::CLIENT_ID_REQUIRED, "Heartbeat");
}

void heartbeats_of_strangers(const Setup& setup) {
  Client client(setup.channel, unique("producer"));
  pb::HeartbeatRequest request;
  request.set_client_type(pb::PRODUCER);
  pb::HeartbeatResponse response;
  require(client.stub().Heartbeat(client.context().get(), request, &response).ok(), "the call");
  require_code(response.status(), pb::UNRECOGNIZED_CLIENT_TYPE, "before Settings");
  client.open_producer({setup.normal_topic});
  require(client.stub().Heartbeat(client.context().get(), request, &response).ok(), "the call");
  require_code(response.status(), pb::OK, "after Settings");
}

void settings_of_nobody(const Setup& setup) {
  Client client(setup.channel, unique("nobody"));
  const auto context = client.context(10s);
  const auto stream = client.stub().Telemetry(context.get());
  pb::TelemetryCommand command;
  command.mutable_settings()->set_client_type(pb::PRODUCER);
  require(stream->Write(command), "the stream opens");
  while (stream->Read(&command)) require(!command.has_settings(), "no answer to Settings without a side");
  require(stream->Finish().error_code() == grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT");
}

void receive_limits(const Setup& setup) {
  Client client(setup.channel, unique("consumer"));
  const std::string group = unique("conf-grpc");
  require_code(client.route(setup.normal_topic).status(), pb::OK, "QueryRoute");
  client.open_consumer(group, setup.normal_topic);
  const Client::Received small = client.receive(group, setup.normal_topic, 1, 9s, 5s);
  require_code(small.status, pb::ILLEGAL_INVISIBLE_TIME, "9 s");
  require(small.status.message().find("the invisibleTime is too small. min is") != std::string::npos,
          small.status.message());
  const Client::Received large = client.receive(group, setup.normal_topic, 1, Seconds(12h) + 1s, 5s);
  require_code(large.status, pb::ILLEGAL_INVISIBLE_TIME, "12 h 1 s");
  require(large.status.message().find("the invisibleTime is too large. max is") != std::string::npos,
          large.status.message());
  require_code(client.receive("bad group!", setup.normal_topic, 1, 10s, 5s).status, pb::ILLEGAL_CONSUMER_GROUP,
               "group name");
}

void receipt_handles_of_nowhere(const Setup& setup) {
  Client client(setup.channel, unique("consumer"));
  const std::string group = unique("conf-grpc");
  require_code(client.route(setup.normal_topic).status(), pb::OK, "QueryRoute");
  client.open_consumer(group, setup.normal_topic);
  pb::Message forged = message(setup.normal_topic, "x");
  for (const std::string& handle : {std::string("garbage"), std::string(), std::string(5000, 'x')}) {
    forged.mutable_system_properties()->set_receipt_handle(handle);
    require_code(client.ack(group, forged).status(), pb::INVALID_RECEIPT_HANDLE, "a forged receipt handle");
  }
}

void what_nobody_implements(const Setup& setup) {
  Client client(setup.channel, unique("puller"));
  pb::GetOffsetResponse offset;
  require(client.stub().GetOffset(client.context().get(), {}, &offset).error_code() == grpc::StatusCode::UNIMPLEMENTED,
          "GetOffset");
  pb::UpdateOffsetResponse update;
  require(
      client.stub().UpdateOffset(client.context().get(), {}, &update).error_code() == grpc::StatusCode::UNIMPLEMENTED,
      "UpdateOffset");
  const auto context = client.context();
  const auto reader = client.stub().PullMessage(context.get(), {});
  pb::PullMessageResponse frame;
  require(!reader->Read(&frame), "nothing to read");
  require(reader->Finish().error_code() == grpc::StatusCode::UNIMPLEMENTED, "PullMessage");
}

}  // namespace

std::vector<Test> error_tests(const Setup& setup) {
  return {
      {"bad messages are refused by name", [=] { refusals(setup); }},
      {"a client id is required", [=] { client_id_is_required(setup); }},
      {"heartbeats of strangers", [=] { heartbeats_of_strangers(setup); }},
      {"settings of nobody", [=] { settings_of_nobody(setup); }},
      {"limits of a receive", [=] { receive_limits(setup); }},
      {"receipt handles of nowhere", [=] { receipt_handles_of_nowhere(setup); }},
      {"what nobody implements", [=] { what_nobody_implements(setup); }},
  };
}

}  // namespace judge
