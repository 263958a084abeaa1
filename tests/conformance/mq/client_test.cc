// Our client against our broker: what a scripted service cannot show.

#include <set>

#include "conformance/mq/rig.h"

namespace hf::mq::test {
namespace {

class ClientTest : public testing::TestWithParam<Way> {
 protected:
  template <class T>
  T run(asio::awaitable<T> task) {
    return rig_->run(std::move(task));
  }
  std::unique_ptr<TransactionProducer> producer(Checker checker) {
    auto made = client_->transaction_producer({.topics = {"orders"}}, std::move(checker));
    const Result<void> started = run(made->start(10s));
    EXPECT_TRUE(started);
    return made;
  }
  Result<TransactionOutcome> transact(TransactionProducer& producer, std::string id, Resolution says) {
    auto executor = [says](const HalfMessage&, const std::any&) -> Task<Resolution> { co_return says; };
    return run(producer.send_message_in_transaction({.topic = "orders", .body = id, .keys = {id}}, executor, {}));
  }
  std::unique_ptr<PushConsumer> listen(std::string group, std::string topic, Listener listener) {
    ConsumerConfig config{.group = std::move(group), .subscriptions = {{.topic = std::move(topic)}}};
    auto made = client_->push_consumer(std::move(config), std::move(listener));
    const Result<void> started = run(made->start(10s));
    EXPECT_TRUE(started) << started.error().to_string();
    return made;
  }
  Listener collect() {
    return [this](const ReceivedMessage& received) -> Task<> {
      heard_.push_back(received.message.body);
      co_return ok();
    };
  }

  std::unique_ptr<Rig> rig_ = Rig::make(GetParam());
  std::unique_ptr<Client> client_ = rig_->client();
  std::vector<std::string> heard_;
};

TEST_P(ClientTest, HundredsOfMessagesInFlight) {
  auto consumer = listen("audit", "numbers", collect());
  auto producer = client_->producer({});
  auto send_all = [&]() -> asio::awaitable<void> {
    sys::TaskGroup group(rig_->world().executor, rig_->world().clock);
    auto one = [&producer](int i) -> asio::awaitable<void> {
      Message message{.topic = "numbers", .body = std::to_string(i)};
      const auto receipt = co_await producer->send(std::move(message));
      EXPECT_TRUE(receipt);
    };
    for (int i = 0; i < 500; ++i) group.spawn("send", one(i));
    co_await group.join();
  };
  run(send_all());
  EXPECT_TRUE(rig_->eventually(20s, [&] { return heard_.size() >= 500; }));
  EXPECT_EQ((std::set<std::string>(heard_.begin(), heard_.end()).size()), 500u);
  EXPECT_EQ(heard_.size(), 500u);
  run(producer->close());
  run(consumer->close());
}

TEST_P(ClientTest, WhatOneProcessLeftAnotherIsAskedAbout) {
  auto consumer = listen("audit", "orders", collect());
  {
    auto first = producer([](const HalfMessage&) -> Task<Resolution> { co_return Resolution::unknown; });
    EXPECT_EQ(transact(*first, "commit-me", Resolution::unknown)->decided, Decided::nothing);
    EXPECT_EQ(transact(*first, "roll-me-back", Resolution::unknown)->decided, Decided::nothing);
    run(first->close());
  }
  std::set<std::string> asked;
  auto second = producer([&](const HalfMessage& half) -> Task<Resolution> {
    asked.insert(half.message.body);
    if (half.message.keys.front() == "roll-me-back") co_return Resolution::rollback;
    co_return Resolution::commit;
  });
  EXPECT_TRUE(rig_->eventually(30s, [&] { return asked.size() == 2 && heard_.size() == 1; }));
  EXPECT_TRUE(rig_->eventually(30s, [&] { return rig_->broker().admin().counters().half_pending == 0; }));
  EXPECT_EQ(heard_, std::vector<std::string>{"commit-me"});
  run(second->close());
  run(consumer->close());
}

TEST_P(ClientTest, ALostDecisionIsAskedForAndTheAnswerIsTheSame) {
  auto consumer = listen("audit", "orders", collect());
  auto first = producer([](const HalfMessage&) -> Task<Resolution> { co_return Resolution::commit; });
  ASSERT_TRUE(rig_->world().faults.arm("mq.end_transaction=drop:3"));
  const auto outcome = transact(*first, "decided", Resolution::commit);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->local, Resolution::commit);
  EXPECT_EQ(outcome->decided, Decided::unheard);
  EXPECT_TRUE(rig_->eventually(30s, [&] { return heard_.size() == 1; }));
  run(first->close());
  run(consumer->close());
}

// The back-off takes 1 s, then 5 s.
class OnVirtualTime : public ClientTest {};
TEST_P(OnVirtualTime, AFailingListenerGetsItAgainAndThenItIsADeadLetter) {
  int calls = 0;
  auto failing = listen("audit", "poison", [&](const ReceivedMessage& received) -> Task<> {
    EXPECT_EQ(received.attempt, ++calls);
    co_return Error{Code::invalid, "cannot be understood"};
  });
  auto producer = client_->producer({});
  const auto receipt = run(producer->send({.topic = "poison", .body = "x", .keys = {"k"}}));
  ASSERT_TRUE(receipt);
  ReceivedMessage dead;
  auto undertaker = listen("dead", "%DLQ%audit", [&](const ReceivedMessage& received) -> Task<> {
    dead = received;
    co_return ok();
  });
  EXPECT_TRUE(rig_->eventually(2min, [&] { return !dead.message.body.empty(); }));
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(dead.dead_letter_topic, "poison");
  EXPECT_EQ(dead.dead_letter_message_id, receipt->message_id);
  for (auto* consumer : {failing.get(), undertaker.get()}) run(consumer->close());
  run(producer->close());
}

TEST_P(ClientTest, ErrorsSayWhatACallerCanDo) {
  auto producer = client_->producer({});
  EXPECT_EQ(run(producer->send({.topic = "TBW102", .body = "x"})).error().code, Code::invalid);
  EXPECT_EQ(run(producer->send({.topic = "t", .body = "x", .message_group = "g"})).error().code, Code::invalid)
      << "ordered messages are not supported yet, and refused before they are stored";
  auto consumer = client_->simple_consumer({.group = "late", .subscriptions = {{.topic = "t"}}, .polling = 5s});
  ASSERT_TRUE(run(consumer->start(10s)));
  ASSERT_TRUE(run(producer->send({.topic = "t", .body = "x"})));
  auto received = run(consumer->receive(1, 10s));
  ASSERT_TRUE(received);
  ASSERT_EQ(received->size(), 1u);
  const std::string first_handle = received->front().receipt_handle;
  ASSERT_TRUE(run(consumer->change_invisible(received->front(), 10s)));
  ReceivedMessage stale = received->front();
  stale.receipt_handle = first_handle;
  EXPECT_EQ(run(consumer->ack(stale)).error().code, Code::not_found);
  EXPECT_TRUE(run(consumer->ack(received->front())));
  run(producer->close());
  run(consumer->close());
}

// An embedded broker dies with its clients.
class OverTheNetwork : public ClientTest {};
TEST_P(OverTheNetwork, EverythingGoesOnAfterTheBrokerWasAway) {
  auto consumer = listen("audit", "orders", collect());
  Resolution checker_says = Resolution::unknown;
  auto producer = this->producer([&](const HalfMessage&) -> Task<Resolution> { co_return checker_says; });
  EXPECT_EQ(transact(*producer, "before", Resolution::commit)->decided, Decided::taken);

  // The broker goes while a local transaction runs, and comes back before it decides.
  auto executor = [](const HalfMessage&, const std::any&) -> Task<Resolution> { co_return Resolution::unknown; };
  EXPECT_TRUE(run(producer->send_message_in_transaction({.topic = "orders", .body = "across"}, executor, {})));
  rig_->stop_broker();
  run(rig_->world().clock.sleep_for(100ms));
  rig_->start_broker();
  checker_says = Resolution::commit;

  EXPECT_TRUE(rig_->eventually(20s, [&] { return heard_.size() >= 2; })) << "the half message is asked about again";
  const auto after = transact(*producer, "after", Resolution::commit);
  ASSERT_TRUE(after) << after.error().to_string();
  EXPECT_EQ(after->decided, Decided::taken);
  EXPECT_TRUE(rig_->eventually(20s, [&] { return std::ranges::find(heard_, "after") != heard_.end(); }));
  EXPECT_EQ((std::set<std::string>(heard_.begin(), heard_.end())),
            (std::set<std::string>{"before", "across", "after"}));
  run(producer->close());
  run(consumer->close());
}

TEST_P(OverTheNetwork, ABrokerThatIsNotThereIsWaitedFor) {
  rig_->stop_broker();
  auto producer = client_->producer({.topics = {"orders"}, .send_timeout = 2s});
  const auto sent = run(producer->send({.topic = "orders", .body = "x"}));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::unavailable);
  rig_->start_broker();
  run(producer->close());
  producer = client_->producer({.topics = {"orders"}, .send_timeout = 30s});
  EXPECT_TRUE(run(producer->send({.topic = "orders", .body = "x"})));
  run(producer->close());
}

std::string name_of(const testing::TestParamInfo<Way>& info) { return to_string(info.param); }
INSTANTIATE_TEST_SUITE_P(Every, ClientTest, testing::Values(Way::embedded, Way::grpc, Way::grpc_tls), name_of);
INSTANTIATE_TEST_SUITE_P(Only, OnVirtualTime, testing::Values(Way::embedded), name_of);
INSTANTIATE_TEST_SUITE_P(Only, OverTheNetwork, testing::Values(Way::grpc, Way::grpc_tls), name_of);

}  // namespace
}  // namespace hf::mq::test
