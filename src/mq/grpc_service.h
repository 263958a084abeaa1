#pragma once

/// MessagingService over the network: each call is one gRPC call with the headers RocketMQ asks for.

#include "net/grpc.h"
#include "wire/rocketmq/messaging_service.h"

namespace hf::mq {

namespace pb = ::apache::rocketmq::v2;

/// One server. Calls fail with what net::GrpcChannel says (`unavailable`: it never went out; `timeout`: it may have
/// happened); an answer that does not parse reads as `timeout`: the request itself went through.
class GrpcService final : public wire::rocketmq::MessagingService {
 public:
  using CallContext = wire::rocketmq::CallContext;
  GrpcService(sys::World world, net::GrpcChannel::Options options);

  Task<pb::QueryRouteResponse> query_route(CallContext, pb::QueryRouteRequest) override;
  Task<pb::QueryAssignmentResponse> query_assignment(CallContext, pb::QueryAssignmentRequest) override;
  Task<pb::HeartbeatResponse> heartbeat(CallContext, pb::HeartbeatRequest) override;
  Task<pb::SendMessageResponse> send_message(CallContext, pb::SendMessageRequest) override;
  Task<pb::EndTransactionResponse> end_transaction(CallContext, pb::EndTransactionRequest) override;
  Task<pb::AckMessageResponse> ack_message(CallContext, pb::AckMessageRequest) override;
  Task<pb::ChangeInvisibleDurationResponse> change_invisible_duration(CallContext,
                                                                      pb::ChangeInvisibleDurationRequest) override;
  Task<pb::ForwardMessageToDeadLetterQueueResponse> forward_message_to_dead_letter_queue(
      CallContext, pb::ForwardMessageToDeadLetterQueueRequest) override;
  Task<pb::NotifyClientTerminationResponse> notify_client_termination(CallContext,
                                                                      pb::NotifyClientTerminationRequest) override;
  Task<> receive_message(CallContext, pb::ReceiveMessageRequest,
                         StreamWriter<pb::ReceiveMessageResponse>& out) override;
  Task<> telemetry(CallContext, StreamReader<pb::TelemetryCommand>& from_client,
                   StreamWriter<pb::TelemetryCommand>& to_client) override;

 private:
  template <class Response>
  Task<Response> unary(const char* path, CallContext context, std::string request);

  sys::Clock& clock_;
  net::GrpcChannel channel_;
};

/// The headers of a call; their texts are moved out of `context`. Source: RocketMQ 5 clients; Apache's proxy knows the
/// language words of its own list only.
net::GrpcMetadata take_metadata(wire::rocketmq::CallContext& context);

}  // namespace hf::mq
