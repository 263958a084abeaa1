#include "conformance/rocketmq/grpc/client.h"

#include <random>

namespace judge {
namespace {

std::string hex(std::size_t digits) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (std::size_t i = 0; i < digits; ++i) text += kDigits[random() % 16];
  return text;
}

void must(const grpc::Status& status, const std::string& call) {
  if (!status.ok())
    throw Failure(call + ": gRPC " + std::to_string(status.error_code()) + " " + status.error_message());
}

}  // namespace

void require(bool condition, const std::string& what) {
  if (!condition) throw Failure("not true: " + what);
}

void require_code(const pb::Status& status, pb::Code want, const std::string& what) {
  if (status.code() == want) return;
  throw Failure(what + ": wanted " + pb::Code_Name(want) + ", got " + std::to_string(status.code()) + " " +
                status.message());
}

std::string unique(const std::string& prefix) { return prefix + "-" + hex(8); }

std::shared_ptr<grpc::Channel> open_channel(const std::string& address, Security security) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  if (security == Security::plaintext)
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);  // as the official clients: any certificate will do
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  return grpc::CreateCustomChannel(address, grpc::experimental::TlsCredentials(options), arguments);
}

Client::Client(std::shared_ptr<grpc::Channel> channel, std::string id)
    : id_(std::move(id)), stub_(pb::MessagingService::NewStub(std::move(channel))) {}

Client::~Client() { break_telemetry(); }

std::unique_ptr<grpc::ClientContext> Client::context(std::chrono::milliseconds timeout) const {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + timeout);
  if (!id_.empty()) context->AddMetadata("x-mq-client-id", id_);
  context->AddMetadata("x-mq-language", "SOMETHING-NEW");  // never a reason to refuse
  context->AddMetadata("x-mq-client-version", "5.0.8");
  return context;
}

pb::Settings Client::open(const pb::Settings& settings) {
  break_telemetry();
  telemetry_context_ = context(1h);
  telemetry_ = stub_->Telemetry(telemetry_context_.get());
  pb::TelemetryCommand command;
  *command.mutable_settings() = settings;
  require(telemetry_->Write(command), "Telemetry takes Settings");
  require(telemetry_->Read(&command), "Telemetry answers Settings");
  require_code(command.status(), pb::OK, "Settings");
  require(command.has_settings(), "the answer to Settings are Settings");
  return command.settings();
}

pb::Settings Client::open_producer(const std::vector<std::string>& topics) {
  pb::Settings settings;
  settings.set_client_type(pb::PRODUCER);
  settings.mutable_publishing();
  for (const std::string& topic : topics) settings.mutable_publishing()->add_topics()->set_name(topic);
  return open(settings);
}

pb::Settings Client::open_consumer(const std::string& group, const std::string& topic, const std::string& tags) {
  pb::Settings settings;
  settings.set_client_type(pb::SIMPLE_CONSUMER);
  settings.mutable_subscription()->mutable_group()->set_name(group);
  pb::SubscriptionEntry& entry = *settings.mutable_subscription()->add_subscriptions();
  entry.mutable_topic()->set_name(topic);
  entry.mutable_expression()->set_type(pb::TAG);
  entry.mutable_expression()->set_expression(tags);
  return open(settings);
}

std::optional<pb::TelemetryCommand> Client::next_command() {
  pb::TelemetryCommand command;
  while (telemetry_ && telemetry_->Read(&command))
    if (!command.has_settings()) return command;
  return std::nullopt;
}

void Client::break_telemetry() {
  if (!telemetry_) return;
  telemetry_context_->TryCancel();
  (void)telemetry_->Finish();
  telemetry_.reset();
  telemetry_context_.reset();
}

pb::QueryRouteResponse Client::route(const std::string& topic) {
  pb::QueryRouteRequest request;
  request.mutable_topic()->set_name(topic);
  request.mutable_endpoints()->set_scheme(pb::DOMAIN_NAME);
  pb::Address& address = *request.mutable_endpoints()->add_addresses();
  address.set_host("mapped.example.org");
  address.set_port(18081);
  pb::QueryRouteResponse response;
  must(stub_->QueryRoute(context().get(), request, &response), "QueryRoute");
  return response;
}

pb::SendMessageResponse Client::send_all(const pb::SendMessageRequest& request) {
  pb::SendMessageResponse response;
  must(stub_->SendMessage(context(10s).get(), request, &response), "SendMessage");
  return response;
}

pb::SendResultEntry Client::send(const pb::Message& one) {
  pb::SendMessageRequest request;
  *request.add_messages() = one;
  const pb::SendMessageResponse response = send_all(request);
  require_code(response.status(), pb::OK, "SendMessage");
  require(response.entries_size() == 1, "one entry for one message");
  require_code(response.entries(0).status(), pb::OK, "entry of SendMessage");
  require(response.entries(0).message_id() == one.system_properties().message_id(), "the message id comes back");
  return response.entries(0);
}

pb::Status Client::end_transaction(const std::string& topic, const pb::SendResultEntry& half,
                                   pb::TransactionResolution resolution, pb::TransactionSource source) {
  pb::EndTransactionRequest request;
  request.mutable_topic()->set_name(topic);
  request.set_message_id(half.message_id());
  request.set_transaction_id(half.transaction_id());
  request.set_resolution(resolution);
  request.set_source(source);
  pb::EndTransactionResponse response;
  must(stub_->EndTransaction(context().get(), request, &response), "EndTransaction");
  return response.status();
}

Client::Received Client::receive(const std::string& group, const std::string& topic, int batch, Seconds invisible,
                                 Seconds polling, const std::string& tags) {
  pb::ReceiveMessageRequest request;
  request.mutable_group()->set_name(group);
  request.mutable_message_queue()->mutable_topic()->set_name(topic);
  request.mutable_message_queue()->set_id(-1);
  request.mutable_filter_expression()->set_type(pb::TAG);
  request.mutable_filter_expression()->set_expression(tags);
  request.set_batch_size(batch);
  request.mutable_invisible_duration()->set_seconds(invisible.count());
  request.mutable_long_polling_timeout()->set_seconds(polling.count());
  const auto start = std::chrono::steady_clock::now();
  const auto call = context(polling + 30s);
  const auto reader = stub_->ReceiveMessage(call.get(), request);
  Received received;
  for (pb::ReceiveMessageResponse frame; reader->Read(&frame);) {
    received.frames.push_back(static_cast<int>(frame.content_case()));
    if (frame.has_status()) received.status = frame.status();
    if (frame.has_message()) received.messages.push_back(frame.message());
    if (frame.has_delivery_timestamp()) received.has_delivery_timestamp = true;
  }
  must(reader->Finish(), "ReceiveMessage");
  received.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  return received;
}

pb::AckMessageResponse Client::ack(const std::string& group, const pb::Message& one) {
  pb::AckMessageRequest request;
  request.mutable_group()->set_name(group);
  *request.mutable_topic() = one.topic();
  pb::AckMessageEntry& entry = *request.add_entries();
  entry.set_message_id(one.system_properties().message_id());
  entry.set_receipt_handle(one.system_properties().receipt_handle());
  pb::AckMessageResponse response;
  must(stub_->AckMessage(context().get(), request, &response), "AckMessage");
  return response;
}

pb::Message message(const std::string& topic, const std::string& body, pb::MessageType type) {
  pb::Message out;
  out.mutable_topic()->set_name(topic);
  out.set_body(body);
  pb::SystemProperties& system = *out.mutable_system_properties();
  system.set_message_id("01" + hex(32));
  system.set_message_type(type);
  system.set_body_encoding(pb::IDENTITY);
  system.set_born_host("judge");
  system.mutable_born_timestamp()->set_seconds(std::time(nullptr));
  return out;
}

std::vector<pb::Message> collect(Client& client, const std::string& group, const std::string& topic, std::size_t wanted,
                                 Seconds limit, const std::string& tags) {
  std::vector<pb::Message> seen;
  const auto end = std::chrono::steady_clock::now() + limit;
  while (seen.size() < wanted && std::chrono::steady_clock::now() < end) {
    for (const pb::Message& one : client.receive(group, topic, 32, 30s, 5s, tags).messages) {
      seen.push_back(one);
      require_code(client.ack(group, one).status(), pb::OK, "AckMessage");
    }
  }
  return seen;
}

}  // namespace judge
