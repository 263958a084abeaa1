#include "mq/push_consumer.h"

#include "mq/client_fixture.h"
#include "mq/simple_consumer.h"
#include "wire/rocketmq/times.h"

namespace hf::mq {
namespace {

class PushConsumerTest : public ClientFixture {
 protected:
  PushConsumerTest() {
    service_.server_settings_ = [this](const pb::Settings& own) {
      pb::Settings answer = own;
      answer.mutable_backoff_policy()->set_max_attempts(3);
      for (const int s : {1, 5, 10})
        answer.mutable_backoff_policy()->mutable_customized_backoff()->add_next()->set_seconds(s);
      answer.mutable_subscription()->set_fifo(fifo_);
      return answer;
    };
  }
  ~PushConsumerTest() override {
    if (consumer_) run(consumer_->close());
  }
  void make(Listener listener, int concurrency = 16) {
    ConsumerConfig config{.group = "router", .subscriptions = {{.topic = "orders", .filter = "a||b"}}};
    config.concurrency = concurrency;
    consumer_.emplace(world(), config_, service_, config, std::move(listener));
    ASSERT_TRUE(run(consumer_->start(5s)));
    sim_.run_ready();
  }
  Listener says(Result<void> answer) {
    return [this, answer](const ReceivedMessage& received) -> Task<> {
      heard_ += received.message.message_id + " ";
      co_return answer;
    };
  }

  std::optional<PushConsumer> consumer_;
  std::string heard_;
  bool fifo_ = false;
};

TEST_F(PushConsumerTest, SuccessIsAcknowledged) {
  make(says(ok()));
  service_.deliver({ScriptedService::message("1"), ScriptedService::message("2")});
  sim_.run_ready();
  EXPECT_EQ(heard_, "1 2 ");
  ASSERT_EQ(service_.acks.size(), 2u);
  EXPECT_EQ(service_.acks[0].group().name(), "router");
  EXPECT_EQ(service_.acks[0].topic().name(), "orders");
  EXPECT_EQ(service_.acks[0].entries(0).receipt_handle(), "handle-1");
  const pb::ReceiveMessageRequest& receive = service_.receives.front();
  EXPECT_TRUE(receive.auto_renew());
  EXPECT_FALSE(receive.has_invisible_duration());
  EXPECT_EQ(receive.filter_expression().expression(), "a||b");
  EXPECT_EQ(receive.batch_size(), 32);
  EXPECT_EQ(receive.long_polling_timeout().seconds(), 20);
}

TEST_F(PushConsumerTest, FailureIsGivenBackWithTheGroupsBackoff) {
  make(says(Error{Code::unavailable, "target is down"}));
  service_.deliver(
      {ScriptedService::message("1", 1), ScriptedService::message("2", 2), ScriptedService::message("9", 9)});
  sim_.run_ready();
  EXPECT_TRUE(service_.acks.empty());
  ASSERT_EQ(service_.changes.size(), 3u);
  EXPECT_EQ(service_.changes[0].invisible_duration().seconds(), 1);
  EXPECT_EQ(service_.changes[1].invisible_duration().seconds(), 5);
  EXPECT_EQ(service_.changes[2].invisible_duration().seconds(), 10);
  EXPECT_TRUE(service_.dead.empty()) << "dead letters are the broker's affair";
}

TEST_F(PushConsumerTest, AnExceptionIsAFailure) {
  make([](const ReceivedMessage&) -> Task<> { throw std::runtime_error("x"); });
  service_.deliver({ScriptedService::message("1")});
  sim_.run_ready();
  EXPECT_EQ(service_.changes.size(), 1u);
}

TEST_F(PushConsumerTest, AnAckIsRepeatedUntilHeardOrTooLate) {
  make(says(ok()));
  service_.ack_answers = {Error{Code::unavailable, "x"}, pb::INTERNAL_SERVER_ERROR, pb::OK};
  service_.deliver({ScriptedService::message("1")});
  sim_.run_for(10s);
  EXPECT_EQ(service_.acks.size(), 3u);
  service_.acks.clear();
  service_.ack_answers = {Error{Code::timeout, "x"}, pb::INVALID_RECEIPT_HANDLE, pb::OK};
  service_.deliver({ScriptedService::message("2")});
  sim_.run_for(30s);
  EXPECT_EQ(service_.acks.size(), 2u) << "INVALID_RECEIPT_HANDLE: it will come again";
  EXPECT_EQ(metric("holdfast_mq_consumed_total{outcome=\"acknowledged_too_late\"}"), 1);
}

TEST_F(PushConsumerTest, ListenersAreBounded) {
  sys::Event gate(world().clock);
  int running = 0, most = 0;
  make(
      [&](const ReceivedMessage&) -> Task<> {
        most = std::max(most, ++running);
        co_await gate.wait();
        --running;
        co_return ok();
      },
      2);
  for (int i = 0; i < 3; ++i) service_.deliver({ScriptedService::message("a"), ScriptedService::message("b")});
  sim_.run_ready();
  const std::size_t polls = service_.receives.size();
  EXPECT_LE(polls, 3u) << "no further batch while one waits";
  for (int i = 0; i < 6; ++i) gate.notify_all(), sim_.run_ready();
  EXPECT_EQ(most, 2);
  EXPECT_EQ(service_.acks.size(), 6u);
}

TEST_F(PushConsumerTest, CloseFinishesWhatRunsAndLeavesTheRest) {
  sys::Event gate(world().clock);
  make(
      [&](const ReceivedMessage& received) -> Task<> {
        heard_ += received.message.message_id;
        co_await gate.wait();
        co_return ok();
      },
      1);
  service_.deliver({ScriptedService::message("1"), ScriptedService::message("2")});
  sim_.run_ready();
  bool closed = false;
  sim_.spawn([](PushConsumer& consumer, bool& flag) -> asio::awaitable<void> {
    co_await consumer.close();
    flag = true;
  }(*consumer_, closed));
  sim_.run_ready();
  EXPECT_FALSE(closed);
  EXPECT_EQ(service_.goodbyes, 0u) << "goodbye comes after the last ack";
  gate.notify_all();
  sim_.run_for(1s);
  EXPECT_TRUE(closed);
  EXPECT_EQ(heard_, "1");
  EXPECT_EQ(service_.acks.size(), 1u);
  EXPECT_EQ(service_.goodbyes, 1u);
}

TEST_F(PushConsumerTest, CloseDoesNotWaitForABrokerThatIsAway) {
  make(says(ok()));
  service_.answers_settings = false;
  service_.break_telemetry();
  sim_.run_for(30s);
  const Monotonic start = now();
  run(consumer_->close());
  EXPECT_LE(now() - start, config_.request_timeout);
}

TEST_F(PushConsumerTest, OrderedGroupsRepeatHereThenGiveUp) {
  fifo_ = true;
  int failures = 4;
  make([&](const ReceivedMessage& received) -> Task<> {
    heard_ += received.message.message_id;
    if (received.message.message_id == "1" && failures-- > 2) co_return Error{Code::unavailable, "x"};
    if (received.message.message_id == "2") co_return Error{Code::invalid, "poison"};
    co_return ok();
  });
  service_.deliver({ScriptedService::message("1"), ScriptedService::message("2"), ScriptedService::message("3")});
  sim_.run_for(1min);
  EXPECT_EQ(heard_, "1112223");
  EXPECT_EQ(service_.acks.size(), 2u);
  ASSERT_EQ(service_.dead.size(), 1u);
  EXPECT_EQ(service_.dead[0].receipt_handle(), "handle-2");
  EXPECT_EQ(service_.dead[0].delivery_attempt(), 3);
}

class SimpleConsumerTest : public ClientFixture {
 protected:
  ~SimpleConsumerTest() override { run(consumer_.close()); }
  ConsumerConfig config() { return {.group = "tests", .subscriptions = {{.topic = "orders"}}, .polling = 5s}; }
  SimpleConsumer consumer_{world(), config_, service_, config()};
};

TEST_F(SimpleConsumerTest, ReceivesAcksAndChanges) {
  ASSERT_TRUE(run(consumer_.start(5s)));
  service_.deliver({ScriptedService::message("1")});
  auto messages = run(consumer_.receive(100, 30s));
  ASSERT_TRUE(messages);
  ASSERT_EQ(messages->size(), 1u);
  EXPECT_EQ(service_.receives[0].batch_size(), 32);
  EXPECT_FALSE(service_.receives[0].auto_renew());
  EXPECT_EQ(service_.receives[0].invisible_duration().seconds(), 30);
  ReceivedMessage& message = messages->front();
  EXPECT_TRUE(run(consumer_.change_invisible(message, 20s)));
  EXPECT_EQ(message.receipt_handle, "handle-1'") << "the old one is useless now";
  EXPECT_TRUE(run(consumer_.ack(message)));
  EXPECT_EQ(service_.acks[0].entries(0).receipt_handle(), "handle-1'");
  service_.ack_answers = {pb::INVALID_RECEIPT_HANDLE};
  EXPECT_EQ(run(consumer_.ack(message)).error().code, Code::not_found);
}

TEST_F(SimpleConsumerTest, NothingIsNoError) {
  ASSERT_TRUE(run(consumer_.start(5s)));
  const Monotonic start = now();
  const auto messages = run(consumer_.receive(1, 30s));
  ASSERT_TRUE(messages);
  EXPECT_TRUE(messages->empty());
  EXPECT_EQ(now() - start, 5s);
}

TEST_F(SimpleConsumerTest, RefusesNonsense) {
  EXPECT_EQ(run(consumer_.receive(0, 30s)).error().code, Code::invalid);
  EXPECT_EQ(run(consumer_.receive(1, 9s)).error().code, Code::invalid);
  EXPECT_EQ(run(consumer_.receive(1, 13h)).error().code, Code::invalid);
  EXPECT_TRUE(service_.trace.empty());
  ReceivedMessage foreign;
  foreign.endpoint = "elsewhere";
  EXPECT_EQ(run(consumer_.ack(foreign)).error().code, Code::invalid);
}

}  // namespace
}  // namespace hf::mq
