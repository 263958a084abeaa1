#include "mq/transaction_producer.h"

#include "base/log.h"
#include "mq/client_fixture.h"
#include "sys/files.h"

namespace hf::mq {
namespace {

class TransactionTest : public ClientFixture {
 protected:
  void make(Checker checker) {
    producer_.emplace(world(), config_, service_, ProducerConfig{.topics = {"orders"}}, std::move(checker));
    ASSERT_TRUE(run(producer_->start(5s)));
  }
  void make() {
    make([this](const HalfMessage& half) -> Task<Resolution> {
      checked_.push_back(half);
      co_return checker_says_;
    });
  }
  ~TransactionTest() override {
    if (producer_) run(producer_->close());
  }
  Result<TransactionOutcome> transact(LocalExecutor executor) {
    return run(producer_->send_message_in_transaction({.topic = "orders", .body = "{}", .keys = {"order-17"}},
                                                      std::move(executor), std::any(17)));
  }
  LocalExecutor says(Result<Resolution> resolution) {
    return [this, resolution](const HalfMessage& half, const std::any& argument) -> Task<Resolution> {
      ++executed_;
      EXPECT_EQ(std::any_cast<int>(argument), 17);
      EXPECT_EQ(half.message.body, "{}");
      EXPECT_EQ(half.transaction_id, "tx-" + half.message.message_id);
      EXPECT_EQ(service_.sends.size(), executed_) << "the half message was acknowledged before";
      co_return resolution;
    };
  }
  void ask(const std::string& id) {
    pb::TelemetryCommand command;
    pb::RecoverOrphanedTransactionCommand& recover = *command.mutable_recover_orphaned_transaction_command();
    *recover.mutable_message() = ScriptedService::message(id);
    recover.set_transaction_id("tx-" + id);
    run(service_.command(std::move(command)));
    sim_.run_ready();
  }

  std::optional<TransactionProducer> producer_;
  std::size_t executed_ = 0;
  std::vector<HalfMessage> checked_;
  Result<Resolution> checker_says_ = Resolution::commit;
  sys::RealFileSystem real_files_;
};

TEST_F(TransactionTest, WhatTheExecutorSaysIsWhatTheBrokerHears) {
  make();
  struct Case {
    const char* what;
    Result<Resolution> says;
    Resolution local;
    std::optional<pb::TransactionResolution> heard;
  };
  const Case kCases[] = {
      {"commit", Resolution::commit, Resolution::commit, pb::COMMIT},
      {"rollback", Resolution::rollback, Resolution::rollback, pb::ROLLBACK},
      {"unknown is not told", Resolution::unknown, Resolution::unknown, std::nullopt},
      {"an error is unknown", Error{Code::timeout, "commit unanswered"}, Resolution::unknown, std::nullopt},
  };
  for (const Case& c : kCases) {
    service_.ends.clear();
    const auto outcome = transact(says(c.says));
    ASSERT_TRUE(outcome) << c.what;
    EXPECT_EQ(outcome->local, c.local) << c.what;
    EXPECT_EQ(outcome->local_error.has_value(), !c.says.has_value()) << c.what;
    EXPECT_EQ(outcome->decided, c.heard ? Decided::taken : Decided::nothing) << c.what;
    ASSERT_EQ(service_.ends.size(), c.heard ? 1u : 0u) << c.what;
    if (!c.heard) continue;
    EXPECT_EQ(service_.ends[0].resolution(), *c.heard) << c.what;
    EXPECT_EQ(service_.ends[0].source(), pb::SOURCE_CLIENT) << c.what;
    EXPECT_EQ(service_.ends[0].transaction_id(), outcome->half.transaction_id) << c.what;
    EXPECT_EQ(service_.ends[0].message_id(), outcome->half.message_id) << c.what;
  }
  EXPECT_EQ(executed_, 4u);
}

TEST_F(TransactionTest, AnExceptionIsUnknown) {
  make();
  const auto thrown = transact([](const HalfMessage&, const std::any&) -> Task<Resolution> {
    throw std::runtime_error("disk on fire");
    co_return Resolution::commit;
  });
  ASSERT_TRUE(thrown);
  EXPECT_EQ(thrown->local, Resolution::unknown);
  EXPECT_THAT(thrown->local_error->message, testing::HasSubstr("disk on fire"));
  const auto foreign = transact([](const HalfMessage&, const std::any&) -> Task<Resolution> { throw 3; });
  EXPECT_EQ(foreign->local, Resolution::unknown) << "thrown before there was a coroutine, of no known type";
  const auto bad_cast = transact([](const HalfMessage&, const std::any& argument) -> Task<Resolution> {
    (void)std::any_cast<std::string>(argument);
    co_return Resolution::commit;
  });
  EXPECT_EQ(bad_cast->local, Resolution::unknown);
  EXPECT_TRUE(service_.ends.empty());
}

TEST_F(TransactionTest, WithoutAHalfMessageNothingIsExecuted) {
  make();
  struct Case {
    Result<pb::Code> answer;
    Code want;
    std::size_t sends;  // a half message is repeated only if it certainly is not there
  };
  for (const Case& c :
       {Case{pb::FORBIDDEN, Code::denied, 1}, Case{Error{Code::timeout, "no answer"}, Code::timeout, 1},
        Case{pb::INTERNAL_SERVER_ERROR, Code::timeout, 1}, Case{pb::TOO_MANY_REQUESTS, Code::exhausted, 3}}) {
    service_.sends.clear();
    for (int i = 0; i < 3; ++i) service_.send_answers.push_back(c.answer);
    const auto outcome = transact(says(Resolution::commit));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, c.want);
    EXPECT_EQ(service_.sends.size(), c.sends);
    service_.send_answers.clear();
  }
  EXPECT_EQ(executed_, 0u);
}

TEST_F(TransactionTest, AnUnheardDecisionIsStillKnownToTheCaller) {
  make();
  for (int i = 0; i < 9; ++i) service_.end_answers.push_back(Error{Code::unavailable, "broker restarts"});
  const auto outcome = transact(says(Resolution::commit));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->local, Resolution::commit);
  EXPECT_EQ(outcome->decided, Decided::unheard);
  EXPECT_EQ(outcome->decided_error->code, Code::unavailable);
  EXPECT_EQ(service_.ends.size(), 3u);
  service_.end_answers = {Error{Code::timeout, "lost"}, pb::OK};
  EXPECT_EQ(transact(says(Resolution::commit))->decided, Decided::taken) << "the same decision may be given again";
}

TEST_F(TransactionTest, ARefusedDecisionIsNotRepeated) {
  make();
  service_.end_answers = {pb::PRECONDITION_FAILED};
  const auto outcome = transact(says(Resolution::commit));
  EXPECT_EQ(outcome->local, Resolution::commit);
  EXPECT_EQ(outcome->decided, Decided::refused);
  EXPECT_EQ(service_.ends.size(), 1u);
}

TEST_F(TransactionTest, DroppedDecisionsAreUnheard) {
  make();
  ASSERT_TRUE(world().faults.arm("mq.end_transaction=drop"));
  const auto outcome = transact(says(Resolution::commit));
  EXPECT_EQ(outcome->decided, Decided::unheard);
  EXPECT_TRUE(service_.ends.empty());
}

TEST_F(TransactionTest, ChecksAreAnsweredByTheChecker) {
  make();
  for (const Resolution resolution : {Resolution::commit, Resolution::rollback}) {
    checker_says_ = resolution;
    ask("7");
  }
  ASSERT_EQ(checked_.size(), 2u);
  EXPECT_EQ(checked_[0].transaction_id, "tx-7");
  EXPECT_EQ(checked_[0].message.body, "body of 7");
  ASSERT_EQ(service_.ends.size(), 2u);
  EXPECT_EQ(service_.ends[0].resolution(), pb::COMMIT);
  EXPECT_EQ(service_.ends[1].resolution(), pb::ROLLBACK);
  EXPECT_EQ(service_.ends[1].source(), pb::SOURCE_SERVER_CHECK);
  EXPECT_EQ(service_.ends[1].topic().name(), "orders");
}

TEST_F(TransactionTest, ACheckerThatDoesNotKnowSaysNothing) {
  make();
  checker_says_ = Resolution::unknown;
  ask("7");
  checker_says_ = Error{Code::unavailable, "no database"};
  ask("8");
  EXPECT_EQ(checked_.size(), 2u);
  EXPECT_TRUE(service_.ends.empty());
  EXPECT_EQ(metric("holdfast_mq_checks_total{outcome=\"unknown\"}"), 2);
}

TEST_F(TransactionTest, ATransactionStillBeingExecutedHereIsNotChecked) {
  make();
  const auto outcome = transact([this](const HalfMessage& half, const std::any&) -> Task<Resolution> {
    pb::TelemetryCommand command;
    command.mutable_recover_orphaned_transaction_command()->set_transaction_id(half.transaction_id);
    co_await service_.command(std::move(command));
    co_await sim_.clock().sleep_for(1s);
    co_return Resolution::commit;
  });
  EXPECT_EQ(outcome->decided, Decided::taken);
  EXPECT_TRUE(checked_.empty()) << "a checker would fence it out with its tombstone";
  EXPECT_EQ(service_.ends.size(), 1u);
}

TEST_F(TransactionTest, ChecksInFlightAreBoundedAndEachOnce) {
  sys::Event gate(world().clock);
  std::size_t started = 0;
  producer_.emplace(world(), config_, service_, ProducerConfig{.topics = {"orders"}, .checks_in_flight = 2},
                    [&](const HalfMessage&) -> Task<Resolution> {
                      ++started;
                      co_await gate.wait();
                      co_return Resolution::commit;
                    });
  ASSERT_TRUE(run(producer_->start(5s)));
  for (const char* id : {"1", "1", "2", "3"}) ask(id);
  EXPECT_EQ(started, 2u);
  gate.notify_all();
  sim_.run_ready();
  EXPECT_EQ(service_.ends.size(), 2u);
  ask("3");
  gate.notify_all();
  sim_.run_ready();
  EXPECT_EQ(service_.ends.size(), 3u);
}

TEST_F(TransactionTest, WithoutACheckerStartWarnsAndChecksAreIgnored) {
  const std::string file = testing::TempDir() + "hf_mq_no_checker.log";
  std::remove(file.c_str());
  log::to_file(file);
  make(Checker());
  ask("7");
  log::to_file("/dev/stderr");
  EXPECT_TRUE(service_.ends.empty());
  std::string text = sys::read_file(real_files_, file).value_or(std::string());
  EXPECT_THAT(text, testing::HasSubstr("mq.transaction.no_checker"));
}

TEST_F(TransactionTest, CloseWaitsForTheExecutor) {
  make();
  bool done = false;
  auto slow = [&](const HalfMessage&, const std::any&) -> Task<Resolution> {
    co_await sim_.clock().sleep_for(20s);
    co_return Resolution::commit;
  };
  auto transaction = [&]() -> asio::awaitable<void> {
    Message message{.topic = "orders", .body = "{}"};
    const auto outcome = co_await producer_->send_message_in_transaction(std::move(message), slow, {});
    done = outcome && outcome->decided == Decided::taken;
  };
  sim_.spawn(transaction());
  sim_.run_for(1s);
  run(producer_->close());
  EXPECT_TRUE(done);
  EXPECT_EQ(service_.goodbyes, 1u);
  EXPECT_EQ(transact(says(Resolution::commit)).error().code, Code::unavailable);
  EXPECT_EQ(executed_, 0u);
}

}  // namespace
}  // namespace hf::mq
