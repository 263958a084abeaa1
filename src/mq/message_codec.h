#pragma once

/// Message ⇄ apache.rocketmq.v2.Message. Pure.

#include "apache/rocketmq/v2/definition.pb.h"
#include "base/result.h"
#include "mq/message.h"

namespace hf::mq {

namespace pb = ::apache::rocketmq::v2;

enum class SendKind { plain, half };

/// `message` must have its id. The body is moved, not copied.
pb::Message encode(Message message, SendKind kind, WallTime born_at, const std::string& born_host);
/// Total: what a server leaves out gets its default.
ReceivedMessage decode(pb::Message message, const std::string& endpoint);

/// One message may be only one of: in a message group, delayed, a transaction. Error: invalid.
Result<void> check_kind(const Message& message, SendKind kind);

}  // namespace hf::mq
