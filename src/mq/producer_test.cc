#include "mq/producer.h"

#include "mq/client_fixture.h"

namespace hf::mq {
namespace {

class ProducerTest : public ClientFixture {
 protected:
  ~ProducerTest() override { run(producer_.close()); }
  Result<SendReceipt> send(Message message) { return run(producer_.send(std::move(message))); }
  static Message order() { return {.topic = "orders", .body = "{}"}; }
  Producer producer_{world(), config_, service_, ProducerConfig{}};
};

TEST_F(ProducerTest, SendsWithAnIdOfItsOwn) {
  const Result<SendReceipt> receipt = send(order());
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->message_id.size(), 34u);
  EXPECT_EQ(service_.trace.front(), "route orders");
  EXPECT_EQ(service_.settings.back().publishing().topics(0).name(), "orders");
  EXPECT_NE(send(order())->message_id, receipt->message_id);
  EXPECT_EQ(service_.sends[0].messages(0).system_properties().born_host(), "holdfast");
  EXPECT_EQ(metric("holdfast_mq_sends_total{outcome=\"stored\"}"), 2);
}

TEST_F(ProducerTest, RepeatsUnderTheSameIdWhatMayBeRepeated) {
  struct Case {
    const char* what;
    Result<pb::Code> first;
    std::size_t sends;
  };
  const Case kCases[] = {
      {"it did not happen", Error{Code::unavailable, "refused"}, 2},
      {"it may have happened", Error{Code::timeout, "no answer"}, 2},
      {"overload", pb::TOO_MANY_REQUESTS, 2},
      {"the server's failure", pb::INTERNAL_SERVER_ERROR, 2},
      {"the request's fault", pb::ILLEGAL_MESSAGE_KEY, 1},
      {"no permission", pb::FORBIDDEN, 1},
  };
  for (const Case& c : kCases) {
    service_.sends.clear();
    service_.send_answers = {c.first};
    const Result<SendReceipt> receipt = send(order());
    ASSERT_EQ(service_.sends.size(), c.sends) << c.what;
    EXPECT_EQ(receipt.has_value(), c.sends == 2) << c.what;
    EXPECT_EQ(service_.sends.front().messages(0).system_properties().message_id(),
              service_.sends.back().messages(0).system_properties().message_id());
  }
}

TEST_F(ProducerTest, GivesUpAfterTheServersAttempts) {
  for (int i = 0; i < 9; ++i) service_.send_answers.push_back(pb::TOO_MANY_REQUESTS);
  const Result<SendReceipt> receipt = send(order());
  ASSERT_FALSE(receipt);
  EXPECT_EQ(receipt.error().code, Code::exhausted);
  EXPECT_EQ(service_.sends.size(), 3u);
}

TEST_F(ProducerTest, TheWholeSendHasADeadline) {
  ASSERT_TRUE(send(order()));
  for (int i = 0; i < 9; ++i) service_.send_answers.push_back(Error{Code::timeout, "no answer"});
  const Monotonic start = now();
  EXPECT_FALSE(send(order()));
  EXPECT_LE(now() - start, 10s);
}

TEST_F(ProducerTest, RefusesBeforeItSends) {
  for (Message bad : {Message{.topic = "a b", .body = "x"}, Message{.topic = "orders"},
                      Message{.topic = "orders", .body = std::string((4 << 20) + 1, 'x')},
                      Message{.topic = "orders", .body = "x", .properties = {{"UNIQ_KEY", "1"}}},
                      Message{.topic = "orders", .body = "x", .delivery_time = world().clock.wall() + 25h}}) {
    const Result<SendReceipt> receipt = send(bad);
    ASSERT_FALSE(receipt);
    EXPECT_EQ(receipt.error().code, Code::invalid);
  }
  EXPECT_TRUE(service_.trace.empty()) << "not even a route was asked";
}

TEST_F(ProducerTest, ABatchHasAVerdictPerMessage) {
  std::vector<Message> batch{order(), order(), order()};
  const auto receipts = run(producer_.send_batch(std::move(batch)));
  ASSERT_TRUE(receipts);
  ASSERT_EQ(receipts->size(), 3u);
  EXPECT_NE((*receipts)[0]->message_id, (*receipts)[1]->message_id);
  EXPECT_EQ(service_.sends.size(), 1u);
  EXPECT_EQ(run(producer_.send_batch({})).error().code, Code::invalid);
}

TEST_F(ProducerTest, SendsGoOnWhileTelemetryIsDown) {
  ASSERT_TRUE(send(order()));
  service_.break_telemetry();
  const Monotonic start = now();
  EXPECT_TRUE(send(order()));
  EXPECT_EQ(now(), start);
}

TEST_F(ProducerTest, CloseEndsWhoWaitsAndWaitsForWhoCalls) {
  service_.answers_settings = false;
  std::optional<Result<SendReceipt>> waiting, calling;
  auto send_into = [&](std::optional<Result<SendReceipt>>& out) -> asio::awaitable<void> {
    Message message{.topic = "orders", .body = "{}"};
    out = co_await producer_.send(std::move(message));
  };
  sim_.spawn(send_into(waiting));
  sim_.run_for(1s);
  ASSERT_FALSE(waiting) << "no Settings were answered";
  run(producer_.close());
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->error().code, Code::unavailable);

  service_.answers_settings = true;
  Producer other(world(), config_, service_, ProducerConfig{});
  ASSERT_TRUE(run(other.start(1s)));
  service_.send_answers = {Error{Code::timeout, "no answer"}};
  auto send_other = [&]() -> asio::awaitable<void> {
    Message message{.topic = "orders", .body = "{}"};
    calling = co_await other.send(std::move(message));
  };
  sim_.spawn(send_other());
  sim_.run_for(1s);
  EXPECT_EQ(service_.sends.size(), 1u);
  run(other.close());
  ASSERT_TRUE(calling) << "close() waited for the call";
  EXPECT_EQ(calling->error().code, Code::timeout) << "and it was not repeated";
  EXPECT_EQ(run(other.send(order())).error().code, Code::unavailable);
}

}  // namespace
}  // namespace hf::mq
