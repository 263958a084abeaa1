#pragma once

/// A broker in a simulated world, and the calls of a client against its service. For the tests of this folder.

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "sys/sim.h"
#include "sys/wait.h"
#include "wire/rocketmq/times.h"

namespace hf::broker::test {

namespace pb = wire::rocketmq::pb;
using wire::rocketmq::CallContext;

inline BrokerConfig small_config() {
  BrokerConfig config;
  config.segment_bytes = 1 << 20;
  config.snapshot_every = 256 << 10;
  config.limits.body_bytes = 512 << 10;
  return config;
}

/// Collects the frames of a receive.
class Frames final : public StreamWriter<pb::ReceiveMessageResponse> {
 public:
  Task<> write(pb::ReceiveMessageResponse frame) override {
    if (fail_after-- == 0) co_return Error{Code::unavailable, "the client is gone"};
    frames.push_back(std::move(frame));
    co_return ok();
  }
  int fail_after = -1;
  std::vector<pb::ReceiveMessageResponse> frames;

  pb::Code code() const { return frames.empty() ? pb::CODE_UNSPECIFIED : frames.front().status().code(); }
  std::string text() const { return frames.empty() ? "" : frames.front().status().message(); }
  std::vector<pb::Message> messages() const {
    std::vector<pb::Message> list;
    for (const auto& frame : frames) {
      if (frame.has_message()) list.push_back(frame.message());
    }
    return list;
  }
};

/// A client's Telemetry stream: what it says, what it hears.
class Telemetry {
 public:
  explicit Telemetry(sys::SimWorld& world) : world_(world), reader_(*this), writer_(*this), wake_(world.clock()) {}

  void open(wire::rocketmq::MessagingService& service, CallContext call) {
    world_.spawn(run(service, std::move(call)));
    world_.run_ready();
  }
  void say(pb::TelemetryCommand command) {
    to_broker_.push_back(std::move(command));
    wake_.notify_all();
    world_.run_ready();
  }
  void close() {
    closed_ = true;
    wake_.notify_all();
    world_.run_ready();
  }
  /// Half messages asked about, since the last call.
  std::vector<pb::RecoverOrphanedTransactionCommand> checks() {
    std::vector<pb::RecoverOrphanedTransactionCommand> list;
    for (auto& command : std::exchange(heard, {})) {
      if (command.has_recover_orphaned_transaction_command()) {
        list.push_back(command.recover_orphaned_transaction_command());
      }
    }
    return list;
  }

  std::vector<pb::TelemetryCommand> heard;
  std::optional<Result<void>> ended;

 private:
  struct Reader final : StreamReader<pb::TelemetryCommand> {
    explicit Reader(Telemetry& t) : telemetry(t) {}
    Task<std::optional<pb::TelemetryCommand>> read() override {
      while (telemetry.to_broker_.empty() && !telemetry.closed_) co_await telemetry.wake_.wait();
      if (telemetry.to_broker_.empty()) co_return std::optional<pb::TelemetryCommand>();
      pb::TelemetryCommand command = std::move(telemetry.to_broker_.front());
      telemetry.to_broker_.pop_front();
      co_return std::optional<pb::TelemetryCommand>(std::move(command));
    }
    Telemetry& telemetry;
  };
  struct Writer final : StreamWriter<pb::TelemetryCommand> {
    explicit Writer(Telemetry& t) : telemetry(t) {}
    Task<> write(pb::TelemetryCommand command) override {
      if (telemetry.closed_) co_return Error{Code::unavailable, "closed"};
      telemetry.heard.push_back(std::move(command));
      co_return ok();
    }
    Telemetry& telemetry;
  };
  asio::awaitable<void> run(wire::rocketmq::MessagingService& service, CallContext call) {
    ended = co_await service.telemetry(std::move(call), reader_, writer_);
  }

  sys::SimWorld& world_;
  Reader reader_;
  Writer writer_;
  sys::Event wake_;
  std::deque<pb::TelemetryCommand> to_broker_;
  bool closed_ = false;
};

/// Opens, crashes and reopens one broker.
class SimBroker {
 public:
  explicit SimBroker(std::uint64_t seed = 1, BrokerConfig config = small_config())
      : world(seed), config_(std::move(config)) {
    open();
  }
  ~SimBroker() {
    for (auto& telemetry : telemetries_) telemetry->close();
    if (broker) stop();
  }

  void open() {
    auto opened = Broker::open(world.world(), config_, "/data");
    ASSERT_TRUE(opened) << opened.error().to_string();
    broker = std::move(*opened);
  }
  void stop() {
    const Result<void> stopped = await(broker->stop());
    EXPECT_TRUE(stopped) << stopped.error().to_string();
    broker.reset();
  }
  void restart() {
    close_telemetry();
    stop();
    open();
  }
  /// The process dies, with the machine or without. From now on no disk operation of the old process succeeds, so its
  /// calls end in errors, which a client must read as "unknown"; then what was not synced is lost.
  void crash(sys::SimDisk::Unsynced unsynced) {
    const Error dead{Code::unavailable, "crashed"};
    world.disk().fail_operation(1, dead, std::uint64_t{1} << 40);
    close_telemetry();
    (void)await(broker->stop());
    broker.reset();
    world.run_ready();
    world.disk().fail_operation(1, dead, 0);
    world.disk().crash(unsynced);
    open();
  }

  wire::rocketmq::MessagingService& service() { return broker->service(); }
  template <class T>
  T await(asio::awaitable<T> task) {
    return world.run_until_done(std::move(task));
  }

  CallContext call(std::string client = "client") {
    CallContext context;
    context.client_id = std::move(client);
    context.peer = "in-process";
    context.local = "127.0.0.1:8081";
    return context;
  }
  static pb::Message message(const std::string& topic, const std::string& id, const std::string& tag = "",
                             const std::string& body = "body") {
    pb::Message message;
    message.mutable_topic()->set_name(topic);
    message.mutable_system_properties()->set_message_id(id);
    message.mutable_system_properties()->set_message_type(pb::NORMAL);
    if (!tag.empty()) message.mutable_system_properties()->set_tag(tag);
    message.set_body(body);
    return message;
  }
  pb::SendMessageResponse send(const pb::Message& message, const std::string& client = "client") {
    pb::SendMessageRequest request;
    *request.add_messages() = message;
    auto response = await(service().send_message(call(client), std::move(request)));
    EXPECT_TRUE(response);
    return response ? *response : pb::SendMessageResponse();
  }
  /// The transaction id.
  std::string send_half(const std::string& topic, const std::string& id, const std::string& client = "client") {
    pb::Message half = message(topic, id);
    half.mutable_system_properties()->set_message_type(pb::TRANSACTION);
    const pb::SendMessageResponse response = send(half, client);
    EXPECT_EQ(response.status().code(), pb::OK) << response.status().message();
    return response.entries_size() == 1 ? response.entries(0).transaction_id() : "";
  }
  pb::Code end(const std::string& topic, const std::string& transaction, pb::TransactionResolution resolution) {
    pb::EndTransactionRequest request;
    request.mutable_topic()->set_name(topic);
    request.set_transaction_id(transaction);
    request.set_resolution(resolution);
    const auto response = await(service().end_transaction(call(), std::move(request)));
    EXPECT_TRUE(response);
    return response ? response->status().code() : pb::CODE_UNSPECIFIED;
  }
  static pb::ReceiveMessageRequest receive_request(const std::string& group, const std::string& topic, int batch = 32,
                                                   Duration invisible = 30s) {
    pb::ReceiveMessageRequest request;
    request.mutable_group()->set_name(group);
    request.mutable_message_queue()->mutable_topic()->set_name(topic);
    request.set_batch_size(batch);
    wire::rocketmq::to_proto(invisible, *request.mutable_invisible_duration());
    wire::rocketmq::to_proto(5s, *request.mutable_long_polling_timeout());
    return request;
  }
  Frames receive(pb::ReceiveMessageRequest request, const std::string& client = "client") {
    Frames frames;
    const Result<void> ended = await(service().receive_message(call(client), std::move(request), frames));
    EXPECT_TRUE(ended);
    return frames;
  }
  std::vector<pb::Message> receive(const std::string& group, const std::string& topic) {
    return receive(receive_request(group, topic)).messages();
  }
  pb::AckMessageResponse ack(const std::string& group, const pb::Message& message) {
    pb::AckMessageRequest request;
    request.mutable_group()->set_name(group);
    *request.mutable_topic() = message.topic();
    pb::AckMessageEntry& entry = *request.add_entries();
    entry.set_message_id(message.system_properties().message_id());
    entry.set_receipt_handle(message.system_properties().receipt_handle());
    const auto response = await(service().ack_message(call(), std::move(request)));
    EXPECT_TRUE(response);
    return response ? *response : pb::AckMessageResponse();
  }
  /// A producer that announces `topics` and can be asked.
  Telemetry& producer(const std::string& client, const std::vector<std::string>& topics) {
    pb::TelemetryCommand command;
    command.mutable_settings()->set_client_type(pb::PRODUCER);
    command.mutable_settings()->mutable_publishing();
    for (const std::string& topic : topics) {
      command.mutable_settings()->mutable_publishing()->add_topics()->set_name(topic);
    }
    return telemetry(client, std::move(command));
  }
  Telemetry& telemetry(const std::string& client, pb::TelemetryCommand first) {
    Telemetry& opened = *telemetries_.emplace_back(std::make_unique<Telemetry>(world));
    opened.open(service(), call(client));
    opened.say(std::move(first));
    world.run_for(10ms);
    return opened;
  }
  void close_telemetry() {
    for (auto& telemetry : telemetries_) telemetry->close();
    telemetries_.clear();
  }

  sys::SimWorld world;
  std::unique_ptr<Broker> broker;

 private:
  BrokerConfig config_;
  std::vector<std::unique_ptr<Telemetry>> telemetries_;
};

inline std::vector<std::string> ids(const std::vector<pb::Message>& messages) {
  std::vector<std::string> list;
  for (const pb::Message& message : messages) list.push_back(message.system_properties().message_id());
  return list;
}

}  // namespace hf::broker::test
