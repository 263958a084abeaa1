#pragma once

/// RocketMQ 5's MessagingService in front of the engine: checks input, translates, maps errors; decides nothing.
/// Call by call: docs/protocols/rocketmq-grpc.md.

#include "broker/engine.h"
#include "wire/rocketmq/messaging_service.h"
#include "wire/rocketmq/rules.h"

namespace hf::broker {

class RocketmqEdge final : public wire::rocketmq::MessagingService {
 public:
  explicit RocketmqEdge(Engine& engine);

  using CallContext = wire::rocketmq::CallContext;
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
  using Refusal = wire::rocketmq::Refusal;
  /// Who calls, what every call needs: CLIENT_ID_REQUIRED, UNAUTHORIZED, TOO_MANY_REQUESTS.
  struct Caller {
    Client* client = nullptr;
    std::optional<Refusal> refused;
  };
  Caller admit(const CallContext& call);

  pb::Endpoints endpoints_for(const CallContext& call, const pb::Endpoints& asked) const;
  void describe_queue(const Topic& topic, const pb::Resource& name, const pb::Endpoints& endpoints,
                      pb::MessageQueue& out) const;
  std::optional<Refusal> refuse_type(const Topic& topic, const pb::SystemProperties& properties) const;

  /// A receive, checked and translated; the subscription is there when it returns.
  Task<Engine::Poll> prepare_poll(const CallContext& call, const pb::ReceiveMessageRequest& request,
                                  ClientNumber client, std::optional<Refusal>& refused);
  Task<> write_messages(const pb::Resource& topic, SubscriptionId subscription, std::vector<Engine::Taken> taken,
                        StreamWriter<pb::ReceiveMessageResponse>& out);
  /// The subscription a request names; nullopt: there is none.
  std::optional<SubscriptionId> reading_of(const pb::Resource& group, const pb::Resource& topic);
  /// Error: not_found: no handle of ours, or of another subscription than the request names.
  Result<Engine::Handle> handle_of(const pb::Resource& group, const pb::Resource& topic, const std::string& text);
  Task<std::vector<Result<void>>> acknowledge(const pb::AckMessageRequest& request);

  Task<> settings(const std::string& client_id, pb::Settings settings, std::shared_ptr<TelemetryLink> link);
  pb::Settings answer(const pb::Settings& asked) const;

  Engine& engine_;
  const wire::rocketmq::MessageLimits limits_;
};

/// Which status a failed operation becomes.
wire::rocketmq::Refusal to_refusal(const Error& error);

}  // namespace hf::broker
