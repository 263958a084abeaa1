#pragma once

/// Receiving, as both consumers share it: assignments, one long poll, ack, giving back, dead letters.

#include <string>
#include <vector>

#include "mq/cancellation.h"
#include "mq/message.h"
#include "mq/session.h"

namespace hf::mq {

/// One queue to poll, and for what.
struct Assignment {
  Subscription subscription;
  pb::MessageQueue queue;
  /// Stable between calls: topic, broker, queue.
  std::string key() const;
};

struct ReceiveOptions {
  int batch = 1;
  std::optional<Duration> invisible{};  ///< unset: the server renews as long as we live
  Duration polling = 20s;
  std::string attempt_id{};  ///< ordered groups: the same again after a call that failed
};

class Receiver {
 public:
  Receiver(Session& session, std::string group) : session_(session), group_(std::move(group)) {}

  /// Errors: denied: no readable queue.
  Task<std::vector<Assignment>> assignments(const Subscription& subscription, Monotonic deadline);
  /// Empty after `polling` without a message. What arrived before an error is returned: it is ours already.
  Task<std::vector<ReceivedMessage>> receive(const Assignment& assignment, ReceiveOptions options,
                                             const Cancellation& cancellation);
  /// Errors: not_found: the receipt handle is no longer good, the message comes again · others: repeat.
  Task<> ack(const ReceivedMessage& message);
  /// Replaces the receipt handle. Zero: visible at once. Errors: as for ack().
  Task<> change_invisible(ReceivedMessage& message, Duration invisible);
  Task<> forward_to_dead_letters(const ReceivedMessage& message, int max_attempts);

 private:
  Result<Link*> link_of(const ReceivedMessage& message);

  Session& session_;
  const std::string group_;
};

}  // namespace hf::mq
