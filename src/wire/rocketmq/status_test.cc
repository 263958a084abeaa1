#include "wire/rocketmq/status.h"

#include <gtest/gtest.h>

namespace hf::wire::rocketmq {
namespace {

TEST(RocketmqStatus, EveryCodeSaysWhatACallerCanDo) {
  struct Case {
    int code;
    hf::Code want;
  };
  constexpr Case kCases[] = {
      {pb::BAD_REQUEST, hf::Code::invalid},
      {pb::ILLEGAL_TOPIC, hf::Code::invalid},
      {pb::MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, hf::Code::invalid},
      {pb::MULTIPLE_RESULTS, hf::Code::invalid},
      {pb::INVALID_RECEIPT_HANDLE, hf::Code::not_found},
      {pb::TOPIC_NOT_FOUND, hf::Code::not_found},
      {pb::MESSAGE_NOT_FOUND, hf::Code::not_found},
      {pb::UNAUTHORIZED, hf::Code::denied},
      {pb::FORBIDDEN, hf::Code::denied},
      {pb::PRECONDITION_FAILED, hf::Code::conflict},
      {pb::TOO_MANY_REQUESTS, hf::Code::exhausted},
      {pb::UNRECOGNIZED_CLIENT_TYPE, hf::Code::unavailable},
      {pb::HA_NOT_AVAILABLE, hf::Code::timeout},
      {pb::INTERNAL_SERVER_ERROR, hf::Code::timeout},
      {pb::PROXY_TIMEOUT, hf::Code::timeout},
      {pb::MASTER_PERSISTENCE_TIMEOUT, hf::Code::timeout},
      {pb::NOT_IMPLEMENTED, hf::Code::invalid},
      {pb::CODE_UNSPECIFIED, hf::Code::timeout},
      {49999, hf::Code::invalid},
      {59999, hf::Code::timeout},
  };
  for (const Case& c : kCases) EXPECT_EQ(to_code(c.code), c.want) << code_name(c.code);
}

TEST(RocketmqStatus, TextIsNeverEmpty) {
  pb::Status status;
  set_status(status, pb::INVALID_RECEIPT_HANDLE);
  EXPECT_EQ(status.message(), "INVALID_RECEIPT_HANDLE");
  EXPECT_EQ(to_error(status).message, "INVALID_RECEIPT_HANDLE");
  set_status(status, Refusal{pb::TOPIC_NOT_FOUND, "no topic orders"});
  EXPECT_EQ(to_error(status).message, "TOPIC_NOT_FOUND: no topic orders");
  EXPECT_EQ(code_name(12345), "12345");
}

}  // namespace
}  // namespace hf::wire::rocketmq
