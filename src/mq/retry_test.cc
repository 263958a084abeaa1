#include "mq/retry.h"

#include "mq/server_settings.h"
#include "wire/rocketmq/times.h"

namespace hf::mq {
namespace {

TEST(Retry, MayRepeat) {
  struct Case {
    Code code;
    bool same_id, if_not_done, idempotent;
  };
  constexpr Case kCases[] = {
      {Code::invalid, false, false, false},   {Code::denied, false, false, false},
      {Code::not_found, false, false, false}, {Code::conflict, false, false, false},
      {Code::exhausted, true, true, true},    {Code::timeout, true, false, true},
      {Code::unavailable, true, true, true},  {Code::corrupt, false, false, false},
      {Code::internal, false, false, false},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(may_repeat(c.code, Repeatable::same_id), c.same_id) << to_string(c.code);
    EXPECT_EQ(may_repeat(c.code, Repeatable::if_not_done), c.if_not_done) << to_string(c.code);
    EXPECT_EQ(may_repeat(c.code, Repeatable::idempotent), c.idempotent) << to_string(c.code);
  }
}

pb::RetryPolicy exponential(Duration initial, Duration max, float factor) {
  pb::RetryPolicy policy;
  wire::rocketmq::to_proto(initial, *policy.mutable_exponential_backoff()->mutable_initial());
  wire::rocketmq::to_proto(max, *policy.mutable_exponential_backoff()->mutable_max());
  policy.mutable_exponential_backoff()->set_multiplier(factor);
  return policy;
}

TEST(Retry, ExponentialBackoff) {
  const BackoffPolicy policy = BackoffPolicy::from(exponential(10ms, 1s, 2));
  EXPECT_EQ(policy.delay(0), 10ms);
  EXPECT_EQ(policy.delay(1), 10ms);
  EXPECT_EQ(policy.delay(2), 20ms);
  EXPECT_EQ(policy.delay(7), 640ms);
  EXPECT_EQ(policy.delay(8), 1s);
  EXPECT_EQ(policy.delay(1'000'000), 1s);
  EXPECT_EQ(policy.max_attempts(), 3);
}

TEST(Retry, AbsurdPoliciesAreTamed) {
  EXPECT_EQ(BackoffPolicy::from(exponential(-1s, -1s, -5)).delay(3), 0s);
  EXPECT_EQ(BackoffPolicy::from(exponential(1s, 365 * 24h, std::numeric_limits<float>::infinity())).delay(3), 4s);
  EXPECT_EQ(BackoffPolicy::from(exponential(2s, 1s, 2)).delay(9), 2s);
  EXPECT_EQ(BackoffPolicy::from(pb::RetryPolicy{}).delay(1), 10ms);
}

TEST(Retry, ListRepeatsItsLastElement) {
  pb::RetryPolicy policy;
  policy.set_max_attempts(17);
  for (const int s : {1, 5, 10}) policy.mutable_customized_backoff()->add_next()->set_seconds(s);
  const BackoffPolicy backoff = BackoffPolicy::from(policy);
  EXPECT_EQ(backoff.delay(1), 1s);
  EXPECT_EQ(backoff.delay(2), 5s);
  EXPECT_EQ(backoff.delay(3), 10s);
  EXPECT_EQ(backoff.delay(16), 10s);
  EXPECT_EQ(backoff.max_attempts(), 17);
}

TEST(ServerSettings, DefaultsAndBounds) {
  const ServerSettings nothing = ServerSettings::from(pb::Settings{});
  EXPECT_EQ(nothing.receive_batch, 32);
  EXPECT_EQ(nothing.polling, 20s);
  pb::Settings settings;
  settings.mutable_subscription()->set_receive_batch_size(1000);
  settings.mutable_subscription()->mutable_long_polling_timeout()->set_seconds(1);
  settings.mutable_subscription()->set_fifo(true);
  EXPECT_EQ(ServerSettings::from(settings).receive_batch, 32);
  EXPECT_EQ(ServerSettings::from(settings).polling, 5s);
  EXPECT_TRUE(ServerSettings::from(settings).fifo);
  settings.mutable_publishing()->set_max_body_size(-1);
  EXPECT_EQ(ServerSettings::from(settings).max_body_size, 4u << 20);
}

}  // namespace
}  // namespace hf::mq
