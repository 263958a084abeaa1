#include "mq/grpc_service.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace hf::mq {
namespace {

using wire::rocketmq::CallContext;

#define HF_RMQ_PATH(method) "/apache.rocketmq.v2.MessagingService/" method

template <class Message>
Result<Message> parse(const std::string& bytes) {
  Message message;
  if (message.ParseFromString(bytes)) return message;
  // The request went through; only its answer is lost.
  return Error{Code::timeout, "the answer is not a " + message.GetTypeName()};
}

void cancel_with(const CallContext& context, const std::shared_ptr<net::GrpcClientStream>& stream) {
  if (!context.on_cancel) return;
  context.on_cancel([weak = std::weak_ptr(stream)] {
    if (const auto alive = weak.lock()) alive->cancel();
  });
}

/// Until the server ends the stream. Frames that do not parse end it, too.
template <class Message>
Task<> pump_down(net::GrpcClientStream& stream, StreamWriter<Message>& out) {
  while (true) {
    HF_CO_TRY(std::optional<std::string> frame, co_await stream.read());
    if (!frame) break;
    HF_CO_TRY(Message message, parse<Message>(*frame));
    HF_CO_TRY(co_await out.write(std::move(message)));
  }
  if (stream.status().code != net::GrpcCode::ok) co_return net::to_error(stream.status());
  co_return ok();
}

/// Never ends by itself: how a stream ends is known at its other side.
Task<> pump_up(StreamReader<pb::TelemetryCommand>& from_client, net::GrpcClientStream& stream, sys::Event& never) {
  while (true) {
    Result<std::optional<pb::TelemetryCommand>> command = co_await from_client.read();
    if (!command || !*command) break;
    if (!co_await stream.write((*command)->SerializeAsString())) break;
  }
  (void)co_await stream.finish_writing();
  co_await never.wait();
  co_return ok();
}

}  // namespace

net::GrpcMetadata take_metadata(CallContext& context) {
  net::GrpcMetadata metadata;
  metadata.reserve(7);
  metadata.emplace_back("x-mq-client-id", std::move(context.client_id));
  metadata.emplace_back("x-mq-language", std::move(context.language));
  metadata.emplace_back("x-mq-client-version", std::move(context.client_version));
  metadata.emplace_back("x-mq-protocol", "v2");
  metadata.emplace_back("x-mq-date-time", std::move(context.date_time));
  metadata.emplace_back("x-mq-request-id", std::move(context.request_id));
  if (!context.authorization.empty()) metadata.emplace_back("authorization", std::move(context.authorization));
  return metadata;
}

GrpcService::GrpcService(sys::World world, net::GrpcChannel::Options options)
    : clock_(world.clock), channel_(world, std::move(options)) {}

template <class Response>
Task<Response> GrpcService::unary(const char* path, CallContext context, std::string request) {
  net::GrpcMetadata metadata = take_metadata(context);
  HF_CO_TRY(const std::string answer,
            co_await channel_.call(path, std::move(metadata), std::move(request), context.deadline));
  co_return parse<Response>(answer);
}

Task<pb::QueryRouteResponse> GrpcService::query_route(CallContext context, pb::QueryRouteRequest request) {
  return unary<pb::QueryRouteResponse>(HF_RMQ_PATH("QueryRoute"), std::move(context), request.SerializeAsString());
}

Task<pb::QueryAssignmentResponse> GrpcService::query_assignment(CallContext context,
                                                                pb::QueryAssignmentRequest request) {
  return unary<pb::QueryAssignmentResponse>(HF_RMQ_PATH("QueryAssignment"), std::move(context),
                                            request.SerializeAsString());
}

Task<pb::HeartbeatResponse> GrpcService::heartbeat(CallContext context, pb::HeartbeatRequest request) {
  return unary<pb::HeartbeatResponse>(HF_RMQ_PATH("Heartbeat"), std::move(context), request.SerializeAsString());
}

Task<pb::SendMessageResponse> GrpcService::send_message(CallContext context, pb::SendMessageRequest request) {
  return unary<pb::SendMessageResponse>(HF_RMQ_PATH("SendMessage"), std::move(context), request.SerializeAsString());
}

Task<pb::EndTransactionResponse> GrpcService::end_transaction(CallContext context, pb::EndTransactionRequest request) {
  return unary<pb::EndTransactionResponse>(HF_RMQ_PATH("EndTransaction"), std::move(context),
                                           request.SerializeAsString());
}

Task<pb::AckMessageResponse> GrpcService::ack_message(CallContext context, pb::AckMessageRequest request) {
  return unary<pb::AckMessageResponse>(HF_RMQ_PATH("AckMessage"), std::move(context), request.SerializeAsString());
}

Task<pb::ChangeInvisibleDurationResponse> GrpcService::change_invisible_duration(
    CallContext context, pb::ChangeInvisibleDurationRequest request) {
  return unary<pb::ChangeInvisibleDurationResponse>(HF_RMQ_PATH("ChangeInvisibleDuration"), std::move(context),
                                                    request.SerializeAsString());
}

Task<pb::ForwardMessageToDeadLetterQueueResponse> GrpcService::forward_message_to_dead_letter_queue(
    CallContext context, pb::ForwardMessageToDeadLetterQueueRequest request) {
  return unary<pb::ForwardMessageToDeadLetterQueueResponse>(HF_RMQ_PATH("ForwardMessageToDeadLetterQueue"),
                                                            std::move(context), request.SerializeAsString());
}

Task<pb::NotifyClientTerminationResponse> GrpcService::notify_client_termination(
    CallContext context, pb::NotifyClientTerminationRequest request) {
  return unary<pb::NotifyClientTerminationResponse>(HF_RMQ_PATH("NotifyClientTermination"), std::move(context),
                                                    request.SerializeAsString());
}

Task<> GrpcService::receive_message(CallContext context, pb::ReceiveMessageRequest request,
                                    StreamWriter<pb::ReceiveMessageResponse>& out) {
  net::GrpcMetadata metadata = take_metadata(context);
  HF_CO_TRY(std::shared_ptr<net::GrpcClientStream> stream,
            co_await channel_.open_stream(HF_RMQ_PATH("ReceiveMessage"), std::move(metadata), context.deadline));
  cancel_with(context, stream);
  HF_CO_TRY(co_await stream->write(request.SerializeAsString()));
  HF_CO_TRY(co_await stream->finish_writing());
  co_return co_await pump_down(*stream, out);
}

Task<> GrpcService::telemetry(CallContext context, StreamReader<pb::TelemetryCommand>& from_client,
                              StreamWriter<pb::TelemetryCommand>& to_client) {
  using namespace asio::experimental::awaitable_operators;
  net::GrpcMetadata metadata = take_metadata(context);
  HF_CO_TRY(std::shared_ptr<net::GrpcClientStream> stream,
            co_await channel_.open_stream(HF_RMQ_PATH("Telemetry"), std::move(metadata), context.deadline));
  cancel_with(context, stream);
  sys::Event never(clock_);
  auto ended = co_await (pump_down(*stream, to_client) || pump_up(from_client, *stream, never));
  co_return std::get<0>(std::move(ended));
}

}  // namespace hf::mq
