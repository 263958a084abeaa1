#pragma once

/// The two calls a producer makes, to a broker in this process or over gRPC.

#include "base/task.h"
#include "net/grpc.h"
#include "wire/rocketmq/messaging_service.h"

namespace hf::bench {

namespace pb = wire::rocketmq::pb;

inline constexpr const char* kTopic = "bench";

class Producer {
 public:
  virtual ~Producer() = default;
  virtual Task<pb::SendMessageResponse> send(const pb::SendMessageRequest& request) = 0;
  virtual Task<pb::EndTransactionResponse> end(const pb::EndTransactionRequest& request) = 0;
};

class ProducerOverGrpc final : public Producer {
 public:
  ProducerOverGrpc(net::GrpcChannel& channel, sys::Clock& clock) : channel_(channel), clock_(clock) {}
  Task<pb::SendMessageResponse> send(const pb::SendMessageRequest& request) override;
  Task<pb::EndTransactionResponse> end(const pb::EndTransactionRequest& request) override;

 private:
  template <class Response, class Request>
  Task<Response> call(const char* path, const Request& request);
  net::GrpcChannel& channel_;
  sys::Clock& clock_;
};

/// `messages` of `bytes` each. Half messages come alone.
pb::SendMessageRequest send_request(int messages, std::size_t bytes, pb::MessageType type);

}  // namespace hf::bench
