#pragma once

/// RocketMQ 5 as plain calls of gRPC C++, over TLS or plaintext; and the few helpers the suites need. A failed call or
/// an unexpected status throws Failure: the program is a judge, and every surprise is a verdict.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "apache/rocketmq/v2/service.grpc.pb.h"

namespace judge {

namespace pb = apache::rocketmq::v2;
using namespace std::chrono_literals;
using Seconds = std::chrono::seconds;

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
void require(bool condition, const std::string& what);
void require_code(const pb::Status& status, pb::Code want, const std::string& what);

enum class Security { plaintext, tls };
std::shared_ptr<grpc::Channel> open_channel(const std::string& address, Security security);

/// Random letters: names that no other run uses.
std::string unique(const std::string& prefix);

/// One RocketMQ client: an id, a channel, calls with the headers in place.
class Client {
 public:
  Client(std::shared_ptr<grpc::Channel> channel, std::string id);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Headers of a call; deadline from now.
  std::unique_ptr<grpc::ClientContext> context(std::chrono::milliseconds timeout = 30s) const;
  pb::MessagingService::Stub& stub() { return *stub_; }

  /// Opens Telemetry, sends `settings`, and waits for the answer. The stream stays open until the client is destroyed.
  pb::Settings open(const pb::Settings& settings);
  pb::Settings open_producer(const std::vector<std::string>& topics);
  pb::Settings open_consumer(const std::string& group, const std::string& topic, const std::string& tags = "*");
  /// The next command that is no Settings. nullopt: the stream ended.
  std::optional<pb::TelemetryCommand> next_command();
  /// Ends the stream from our side, abruptly.
  void break_telemetry();
  /// From another thread: a next_command() under way ends.
  void cancel_telemetry() { telemetry_context_->TryCancel(); }

  pb::QueryRouteResponse route(const std::string& topic);
  pb::SendResultEntry send(const pb::Message& message);
  pb::SendMessageResponse send_all(const pb::SendMessageRequest& request);
  pb::Status end_transaction(const std::string& topic, const pb::SendResultEntry& half,
                             pb::TransactionResolution resolution, pb::TransactionSource source = pb::SOURCE_CLIENT);

  struct Received {
    pb::Status status;
    std::vector<pb::Message> messages;
    bool has_delivery_timestamp = false;
    std::vector<int> frames;  // content cases in order
    std::chrono::milliseconds took{};
  };
  Received receive(const std::string& group, const std::string& topic, int batch, Seconds invisible, Seconds polling,
                   const std::string& tags = "*");
  pb::AckMessageResponse ack(const std::string& group, const pb::Message& message);

 private:
  using Stream = grpc::ClientReaderWriter<pb::TelemetryCommand, pb::TelemetryCommand>;
  const std::string id_;
  std::unique_ptr<pb::MessagingService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> telemetry_context_;
  std::unique_ptr<Stream> telemetry_;
};

pb::Message message(const std::string& topic, const std::string& body, pb::MessageType type = pb::NORMAL);
/// Receives and acknowledges until `wanted` messages came or `limit` passed.
std::vector<pb::Message> collect(Client& client, const std::string& group, const std::string& topic, std::size_t wanted,
                                 Seconds limit, const std::string& tags = "*");

struct Test {
  std::string name;
  std::function<void()> run;
};
struct Setup {
  std::string address;
  std::string program;  ///< our own executable, for processes to be killed
  std::shared_ptr<grpc::Channel> channel;
  std::string normal_topic, transaction_topic;
};
std::vector<Test> message_tests(const Setup& setup);
std::vector<Test> transaction_tests(const Setup& setup);
std::vector<Test> error_tests(const Setup& setup);
/// Sends one half message, prints "HALF KEY" and waits to be killed.
int be_an_orphan(const Setup& setup, const std::string& topic, const std::string& key);

}  // namespace judge
