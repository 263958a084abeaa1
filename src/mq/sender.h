#pragma once

/// Sending, as Producer and TransactionProducer share it: check, choose, call, repeat what is safe.

#include "mq/message.h"
#include "mq/message_codec.h"
#include "mq/session.h"

namespace hf::mq {

class Sender {
 public:
  Sender(Session& session, const ProducerConfig& config);

  struct Sent {
    std::vector<Result<SendReceipt>> receipts;  ///< one per message, in order
    Link* link = nullptr;                       ///< who took them; for the decision on a half message
  };
  /// At least one message; all of one topic, with their ids. The error is of the request as a whole; each message may
  /// have its own.
  Task<Sent> send(std::vector<Message> messages, SendKind kind, Monotonic deadline);

 private:
  Task<Sent> attempt(const pb::SendMessageRequest& request, SendKind kind, std::uint64_t turn, Monotonic deadline);
  Result<pb::SendMessageRequest> prepare(std::vector<Message> messages, SendKind kind) const;

  Session& session_;
  const ProducerConfig& config_;
  std::uint64_t turn_ = 0;
};

}  // namespace hf::mq
