#include "mq/session.h"

#include "mq/client_fixture.h"
#include "mq/own_settings.h"
#include "net/crypto.h"

namespace hf::mq {
namespace {

class SessionTest : public ClientFixture {
 protected:
  SessionTest() : session_(world(), config_, service_, producer_settings({.topics = {"orders"}})) {}
  ~SessionTest() override { run(session_.close()); }
  Result<void> start() { return run(session_.start(now() + 10s)); }
  Session session_;
};

TEST_F(SessionTest, RouteThenSettingsThenHeartbeats) {
  ASSERT_TRUE(start());
  EXPECT_EQ(service_.trace, (std::vector<std::string>{"route orders", "telemetry", "settings"}));
  const pb::Settings& own = service_.settings.front();
  EXPECT_EQ(own.client_type(), pb::PRODUCER);
  EXPECT_EQ(own.publishing().topics(0).name(), "orders");
  EXPECT_EQ(own.request_timeout().seconds(), 3);
  EXPECT_EQ(own.user_agent().language(), pb::CPP);
  EXPECT_TRUE(own.has_access_point());
  sim_.run_for(31s);
  EXPECT_EQ(count("heartbeat"), 4u) << "after 1, 11, 21, 31 s";
  EXPECT_EQ(count("settings"), 1u);
}

TEST_F(SessionTest, TelemetryIsReopenedWithinTwoSecondsWithSettings) {
  ASSERT_TRUE(start());
  for (std::size_t i = 2; i < 6; ++i) {
    service_.break_telemetry();
    sim_.run_for(900ms);
    EXPECT_EQ(service_.streams, i - 1);
    EXPECT_FALSE(session_.link(service_.access_point()).ready());
    sim_.run_for(1200ms);
    EXPECT_EQ(service_.streams, i);
    EXPECT_EQ(service_.settings.size(), i);
    EXPECT_TRUE(session_.link(service_.access_point()).ready());
  }
}

TEST_F(SessionTest, AForgottenClientSendsItsSettingsAgain) {
  ASSERT_TRUE(start());
  service_.heartbeat_answers.push_back(pb::UNRECOGNIZED_CLIENT_TYPE);
  sim_.run_for(1s);
  EXPECT_EQ(service_.settings.size(), 2u);
  EXPECT_EQ(service_.streams, 1u);
}

TEST_F(SessionTest, SilenceAfterSettingsEndsTheStream) {
  service_.answers_settings = false;
  const Result<void> started = start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::unavailable);
  EXPECT_EQ(service_.streams, 2u) << "after 6 s the first was given up";
  service_.answers_settings = true;
  EXPECT_TRUE(start());
}

TEST_F(SessionTest, TransientRouteErrorsAreRepeatedOthersAreNot) {
  service_.route_answers = {Error{Code::unavailable, "no connection"}, pb::TOO_MANY_REQUESTS, pb::OK};
  EXPECT_TRUE(start());
  EXPECT_EQ(count("route orders"), 3u);
  service_.route_answers = {pb::TOPIC_NOT_FOUND};
  const auto route = run(session_.route("nothing", now() + 10s));
  ASSERT_FALSE(route);
  EXPECT_EQ(route.error().code, Code::not_found);
}

TEST_F(SessionTest, ANewTopicIsAnnounced) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(run(session_.route("refunds", now() + 10s)));
  ASSERT_TRUE(run(session_.link(service_.access_point()).settled(now() + 1s)));
  ASSERT_EQ(service_.settings.size(), 2u);
  EXPECT_EQ(service_.settings.back().publishing().topics(1).name(), "refunds");
}

TEST_F(SessionTest, RoutesAreRefreshed) {
  ASSERT_TRUE(start());
  sim_.run_for(65s);
  EXPECT_EQ(count("route orders"), 3u);
}

TEST_F(SessionTest, ClosingSaysGoodbyeOnce) {
  ASSERT_TRUE(start());
  run(session_.close());
  EXPECT_EQ(service_.goodbyes, 1u);
  EXPECT_EQ(run(session_.link(service_.access_point()).settled(now() + 1h)).error().code, Code::unavailable);
}

TEST_F(SessionTest, HeadersAreSignedWhenKeysAreGiven) {
  EXPECT_EQ(session_.context(now()).authorization, "");
  EXPECT_EQ(session_.context(now()).language, "CPP");
  EXPECT_EQ(session_.context(now()).client_id, session_.client_id());
  EXPECT_NE(session_.context(now()).request_id, session_.context(now()).request_id);
  ClientConfig with_keys;
  with_keys.access_key = "ak";
  with_keys.secret_key = "sk";
  Session session(world(), with_keys, service_, pb::Settings{});
  const wire::rocketmq::CallContext context = session.context(now());
  EXPECT_EQ(context.authorization, "MQv2-HMAC-SHA1 Credential=ak, SignedHeaders=x-mq-date-time, Signature=" +
                                       hex(as_bytes(net::hmac_sha1("sk", context.date_time)), HexCase::upper));
}

}  // namespace
}  // namespace hf::mq
