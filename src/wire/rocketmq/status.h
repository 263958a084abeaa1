#pragma once

/// Status of RocketMQ 5: how a response says what became of a request, and how that reads as an Error of ours.

#include <string>
#include <string_view>

#include "apache/rocketmq/v2/definition.pb.h"
#include "base/result.h"

namespace hf::wire::rocketmq {

namespace pb = ::apache::rocketmq::v2;

/// Why a request is not accepted, in the protocol's own words.
struct Refusal {
  pb::Code code;
  std::string message;
};

/// Fills `status`. An empty `message` becomes the code's name, as Apache's proxy does: clients show it, and its
/// end-to-end tests look for the word INVALID_RECEIPT_HANDLE in it.
void set_status(pb::Status& status, pb::Code code, std::string_view message = {});
inline void set_status(pb::Status& status, const Refusal& refusal) {
  set_status(status, refusal.code, refusal.message);
}
inline bool is_ok(const pb::Status& status) { return status.code() == pb::OK; }

/// "OK", "TOPIC_NOT_FOUND", or the number of a code we do not know.
std::string code_name(int code);

/// What a caller can do about it. Total: an unknown code is read by its thousands, as HTTP statuses are.
hf::Code to_code(int code);
/// Not for OK. "TOPIC_NOT_FOUND: no topic orders"
Error to_error(const pb::Status& status, std::source_location where = std::source_location::current());

}  // namespace hf::wire::rocketmq
