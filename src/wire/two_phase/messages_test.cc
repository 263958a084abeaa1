#include "wire/two_phase/messages.h"

#include <gtest/gtest.h>

namespace hf::wire::two_phase {
namespace {

const std::string kUnique = "0193f6c2a1b07c3d8e4f5a6b7c8d9e0f";

TEST(TwoPhaseMessages, BodiesAreThoseOfTheProtocol) {
  EXPECT_EQ(
      encode(RegisterRequest{"T", "P", {{Protocol::durable, "http://h/u"}}}),
      R"({"transactionId":"T","participantId":"P","participantProtocols":[{"name":"durable","url":"http://h/u"}]})");
  EXPECT_EQ(encode(RegisterResponse{"T", {{Protocol::durable, "http://c/u"}}}),
            R"({"transactionId":"T","coordinatorProtocols":[{"name":"durable","url":"http://c/u"}]})");
  EXPECT_EQ(encode(PrepareRequest{"T"}), R"({"transactionId":"T"})");
  EXPECT_EQ(encode(NotifyRequest{"T", Decision::commit}), R"({"transactionId":"T","message":"commit"})");
  EXPECT_EQ(encode(Message{"read-only", ""}), R"({"message":"read-only"})");
  EXPECT_EQ(encode_error_message("Transaction-Unknown. Invalid TID:x"),
            R"({"errorMessage":"Transaction-Unknown. Invalid TID:x"})");
}

TEST(TwoPhaseMessages, RoundTrips) {
  const auto request = parse_register_request(encode(RegisterRequest{"t1", "pay:1", {{Protocol::completion, "u"}}}));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->participant_id, "pay:1");
  EXPECT_EQ(request->protocols.at(0).name, Protocol::completion);
  const OutcomeReport report{"t1", "local", Outcome::aborted, true, "inventory", "Insufficient stock!"};
  const auto again = parse_outcome_report(encode(report));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, report);
  const auto begun = parse_begun(encode(Begun{"t1", "http://c/r"}));
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->register_at, "http://c/r");
  const auto message = parse_message(encode(Message{"aborted", "why"}));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->reason, "why");
}

TEST(TwoPhaseMessages, BadBodiesAreRefused) {
  for (const char* body : {"", "[]", "{}", R"({"transactionId":7})", R"({"transactionId":""})",
                           R"({"transactionId":"a'b"})", R"({"transactionId":"a/b"})"}) {
    EXPECT_FALSE(parse_prepare_request(body)) << body;
    EXPECT_FALSE(parse_notify_request(body)) << body;
    EXPECT_FALSE(parse_register_request(body)) << body;
  }
  EXPECT_FALSE(parse_notify_request(R"({"transactionId":"t","message":"maybe"})"));
  EXPECT_FALSE(parse_register_request(R"({"transactionId":"t","participantId":"p","participantProtocols":[]})"));
  const auto unknown = parse_register_request(
      R"({"transactionId":"t","participantId":"p","participantProtocols":[{"name":"saga","url":"u"}]})");
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(unknown.error().message.starts_with("Invalid-Protocol"));
}

TEST(TwoPhaseMessages, GtridFitsXaAndComesBack) {
  EXPECT_LE((Gtrid{"a23456789-12", 99'999'999'999'999U, kUnique}.to_string().size()), 64U);
  const Gtrid gtrid{"local", 7, kUnique};
  EXPECT_EQ(parse_gtrid(gtrid.to_string()), gtrid);
  EXPECT_TRUE(check_transaction_id(gtrid.to_string()));
  EXPECT_EQ((Gtrid{"local", 7, "0192f4c8a1007abc8123456789abcdef"}.began_us()), 0x0192'f4c8'a100 * 1000);
  for (const std::string& other :
       {std::string("6a1b2c3d-uuid"), "hf1.local.7." + kUnique + "0", "hf1.LOCAL.7." + kUnique,
        "hf1.local.x." + kUnique, std::string("hf1.local.7.zz"), std::string("hf1.local"), "hf1.." + kUnique}) {
    EXPECT_EQ(parse_gtrid(other), std::nullopt) << other;
  }
  EXPECT_FALSE(check_transaction_id(std::string(65, 'a')));
  EXPECT_FALSE(check_transaction_id("x'; DROP"));
}

}  // namespace
}  // namespace hf::wire::two_phase
