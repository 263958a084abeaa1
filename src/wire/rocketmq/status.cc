#include "wire/rocketmq/status.h"

#include "base/assert.h"

namespace hf::wire::rocketmq {

std::string code_name(int code) {
  if (!pb::Code_IsValid(code)) return std::to_string(code);
  return pb::Code_Name(static_cast<pb::Code>(code));
}

void set_status(pb::Status& status, pb::Code code, std::string_view message) {
  status.set_code(code);
  status.set_message(message.empty() ? code_name(code) : std::string(message));
}

hf::Code to_code(int code) {
  switch (code) {
    case pb::UNAUTHORIZED:
    case pb::PAYMENT_REQUIRED:
    case pb::FORBIDDEN:
      return hf::Code::denied;
    case pb::NOT_FOUND:
    case pb::MESSAGE_NOT_FOUND:
    case pb::TOPIC_NOT_FOUND:
    case pb::CONSUMER_GROUP_NOT_FOUND:
    case pb::OFFSET_NOT_FOUND:
    case pb::INVALID_RECEIPT_HANDLE:  // expired, or never given: the message will come again with a new one
      return hf::Code::not_found;
    case pb::PRECONDITION_FAILED:
      return hf::Code::conflict;
    case pb::TOO_MANY_REQUESTS:
    case pb::LITE_TOPIC_QUOTA_EXCEEDED:
    case pb::LITE_SUBSCRIPTION_QUOTA_EXCEEDED:
      return hf::Code::exhausted;
    case pb::UNRECOGNIZED_CLIENT_TYPE:  // the server forgot our Settings: send them again, then repeat
      return hf::Code::unavailable;
    case pb::NOT_IMPLEMENTED:
    case pb::UNSUPPORTED:
    case pb::VERSION_UNSUPPORTED:
    case pb::VERIFY_FIFO_MESSAGE_UNSUPPORTED:
      return hf::Code::invalid;
    default:
      break;
  }
  // A server's failure says nothing about whether the work was done: INTERNAL_SERVER_ERROR, PROXY_TIMEOUT,
  // HA_NOT_AVAILABLE and the persistence timeouts all may follow a write that took place.
  if (code == pb::REQUEST_TIMEOUT || code >= pb::INTERNAL_ERROR || code < pb::OK) return hf::Code::timeout;
  return hf::Code::invalid;
}

Error to_error(const pb::Status& status, std::source_location where) {
  HF_ASSERT(!is_ok(status));
  const std::string name = code_name(status.code());
  const bool says_more = !status.message().empty() && status.message() != name;
  return Error(to_code(status.code()), says_more ? name + ": " + status.message() : name, where);
}

}  // namespace hf::wire::rocketmq
