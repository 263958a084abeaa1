#pragma once

/// The calls of apache.rocketmq.v2.MessagingService as an interface: behind it is either the network
/// (mq/grpc_service.h) or, in one process, the broker itself (broker/rocketmq_edge.h). Client code cannot tell.
///
/// Source of every shape: docs/protocols/rocketmq-grpc.md. Application errors travel in each response's Status; a
/// failed Task means the call itself failed (transport, deadline, unimplemented).

#include <functional>
#include <memory>
#include <string>

#include "apache/rocketmq/v2/service.pb.h"
#include "base/stream.h"
#include "base/time.h"

namespace hf::wire::rocketmq {

namespace pb = ::apache::rocketmq::v2;

/// What travels in the metadata of a call (x-mq-client-id and friends).
struct CallContext {
  std::string client_id;  ///< empty: the broker answers CLIENT_ID_REQUIRED
  std::string language;   ///< never a reason to refuse
  std::string client_version;
  std::string request_id;
  std::string date_time;      ///< opaque: the string that was signed
  std::string authorization;  ///< "MQv2-HMAC-SHA1 Credential=…, SignedHeaders=…, Signature=…", or empty
  std::string peer;           ///< "127.0.0.1:51234"; "in-process" inside one process
  std::string local;          ///< the address by which the client came in, "127.0.0.1:8081"
  Monotonic deadline = Monotonic::max();
  /// True once nobody waits for the answer any more. May be empty: never.
  std::function<bool()> cancelled;
  /// Calls `wake` once when that happens (a long poll hangs on it). May be empty.
  std::function<void(std::function<void()> wake)> on_cancel;
};

class MessagingService {
 public:
  virtual ~MessagingService() = default;
  virtual Task<pb::QueryRouteResponse> query_route(CallContext, pb::QueryRouteRequest) = 0;
  virtual Task<pb::QueryAssignmentResponse> query_assignment(CallContext, pb::QueryAssignmentRequest) = 0;
  virtual Task<pb::HeartbeatResponse> heartbeat(CallContext, pb::HeartbeatRequest) = 0;
  virtual Task<pb::SendMessageResponse> send_message(CallContext, pb::SendMessageRequest) = 0;
  virtual Task<pb::EndTransactionResponse> end_transaction(CallContext, pb::EndTransactionRequest) = 0;
  virtual Task<pb::AckMessageResponse> ack_message(CallContext, pb::AckMessageRequest) = 0;
  virtual Task<pb::ChangeInvisibleDurationResponse> change_invisible_duration(CallContext,
                                                                              pb::ChangeInvisibleDurationRequest) = 0;
  virtual Task<pb::ForwardMessageToDeadLetterQueueResponse> forward_message_to_dead_letter_queue(
      CallContext, pb::ForwardMessageToDeadLetterQueueRequest) = 0;
  virtual Task<pb::NotifyClientTerminationResponse> notify_client_termination(CallContext,
                                                                              pb::NotifyClientTerminationRequest) = 0;
  /// Status first, then messages, then the delivery timestamp; completes after the last frame was taken by `out`.
  virtual Task<> receive_message(CallContext, pb::ReceiveMessageRequest,
                                 StreamWriter<pb::ReceiveMessageResponse>& out) = 0;
  /// Runs until the client ends its side or the connection is gone. `from_client` and `to_client` outlive the task.
  virtual Task<> telemetry(CallContext, StreamReader<pb::TelemetryCommand>& from_client,
                           StreamWriter<pb::TelemetryCommand>& to_client) = 0;
};

}  // namespace hf::wire::rocketmq
