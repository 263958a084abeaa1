// Goal: whatever crashes when, P1, P2 and P3 hold and nothing acknowledged is lost.
// Method: seeded producers and consumers against a broker whose disk fails at a random operation; the process dies,
// unsynced writes are lost, torn or kept; the next run goes on. The model below remembers only what was answered.

#include <gmock/gmock.h>

#include "broker/test_support.h"

namespace hf::broker {
namespace {

using test::Frames;
using test::SimBroker;
namespace pb = wire::rocketmq::pb;

/// What the clients know for certain.
struct Model {
  std::set<std::string> sent;          ///< acknowledged sends, and commits acknowledged: must arrive
  std::set<std::string> may_arrive;    ///< … and what was asked for without an answer
  std::set<std::string> acknowledged;  ///< must not arrive again
  std::set<std::string> arrived;
  int violations = 0;
  std::string last_violation;

  void violate(const std::string& what, const std::string& id) {
    ++violations;
    last_violation = what + ": " + id;
  }
};

struct Undecided {
  std::string message_id, transaction_id;
  pb::TransactionResolution wanted;
};

class Workload {
 public:
  explicit Workload(std::uint64_t seed) : sim_(seed, config()), random_(seed * 7919 + 1) {}

  void run(int crashes) {
    (void)sim_.receive("group", "orders");  // the group begins before anything is sent
    for (int i = 0; i < crashes; ++i) {
      const Error dead{Code::unavailable, "the disk dies"};
      sim_.world.disk().fail_operation(1 + random_.below(60), dead, std::uint64_t{1} << 40);
      for (int client = 0; client < 4; ++client) sim_.world.spawn(produce(client));
      for (int client = 0; client < 2; ++client) sim_.world.spawn(consume());
      sim_.world.run_for(2s);
      stopping_ = true;
      sim_.world.run_for(30s);
      ASSERT_EQ(running_, 0);
      stopping_ = false;
      const auto how = static_cast<sys::SimDisk::Unsynced>(random_.below(3));
      sim_.crash(how);
      if (testing::Test::HasFatalFailure()) return;
    }
    settle();
  }
  const Model& model() const { return model_; }

 private:
  static BrokerConfig config() {
    BrokerConfig config = test::small_config();
    config.segment_bytes = 64 << 10;
    config.limits.body_bytes = 4 << 10;
    config.limits.property_bytes = 1 << 10;
    config.snapshot_every = 16 << 10;
    config.retention.every = 200ms;
    config.retention.keep_consumed_bytes = 32 << 10;
    config.max_attempts = 1000;
    config.cache_bytes = random_cache();
    return config;
  }
  static std::size_t random_cache() { return 4 << 10; }  // most bodies come from the files

  asio::awaitable<void> produce(int client) {
    ++running_;
    while (!stopping_) {
      const std::string id = fmt::format("m{}", next_id_++);
      if (random_.below(3) == 0) {
        co_await send_normal(client, id);
      } else {
        co_await send_transactional(client, id);
      }
      if (random_.below(4) == 0) co_await repeat_a_decision();
      co_await sim_.world.clock().sleep_for(std::chrono::milliseconds(1 + random_.below(20)));
    }
    --running_;
  }

  asio::awaitable<void> send_normal(int client, std::string id) {
    pb::SendMessageRequest request;
    *request.add_messages() = SimBroker::message("orders", id, "", std::string(random_.below(2000) + 1, 'x'));
    model_.may_arrive.insert(id);
    const auto sent = co_await sim_.service().send_message(sim_.call(fmt::format("p{}", client)), std::move(request));
    if (sent && sent->status().code() == pb::OK) model_.sent.insert(id);
  }

  asio::awaitable<void> send_transactional(int client, std::string id) {
    pb::SendMessageRequest request;
    *request.add_messages() = SimBroker::message("orders", id, "", std::string(random_.below(2000) + 1, 'y'));
    request.mutable_messages(0)->mutable_system_properties()->set_message_type(pb::TRANSACTION);
    const auto sent = co_await sim_.service().send_message(sim_.call(fmt::format("p{}", client)), std::move(request));
    if (!sent || sent->status().code() != pb::OK) co_return;
    const std::uint64_t dice = random_.below(5);
    if (dice == 4) co_return;  // never decided: must never arrive
    const Undecided half{id, sent->entries(0).transaction_id(), dice < 2 ? pb::ROLLBACK : pb::COMMIT};
    if (half.wanted == pb::COMMIT) model_.may_arrive.insert(id);
    if (!co_await decide(half)) undecided_.push_back(half);
    decided_.push_back(half);
  }

  /// True once the broker said OK.
  asio::awaitable<bool> decide(Undecided half) {
    pb::EndTransactionRequest request;
    request.mutable_topic()->set_name("orders");
    request.set_transaction_id(half.transaction_id);
    request.set_resolution(half.wanted);
    const auto ended = co_await sim_.service().end_transaction(sim_.call(), std::move(request));
    if (!ended || ended->status().code() != pb::OK) {
      if (ended && ended->status().code() == pb::PRECONDITION_FAILED) model_.violate("P3", half.message_id);
      co_return false;
    }
    if (half.wanted == pb::COMMIT) model_.sent.insert(half.message_id);
    co_return true;
  }

  /// P3: the same again is fine, the opposite is refused, at any time.
  asio::awaitable<void> repeat_a_decision() {
    if (decided_.empty()) co_return;
    const Undecided half = decided_[random_.below(decided_.size())];
    if (std::any_of(undecided_.begin(), undecided_.end(),
                    [&](const Undecided& one) { return one.message_id == half.message_id; })) {
      co_return;  // its first answer is still open
    }
    Undecided opposite = half;
    opposite.wanted = half.wanted == pb::COMMIT ? pb::ROLLBACK : pb::COMMIT;
    pb::EndTransactionRequest request;
    request.mutable_topic()->set_name("orders");
    request.set_transaction_id(opposite.transaction_id);
    request.set_resolution(opposite.wanted);
    const auto ended = co_await sim_.service().end_transaction(sim_.call(), std::move(request));
    if (ended && ended->status().code() == pb::OK) model_.violate("P3: the opposite was accepted", half.message_id);
  }

  asio::awaitable<void> consume() {
    ++running_;
    while (!stopping_) {
      pb::ReceiveMessageRequest request = SimBroker::receive_request("group", "orders", 8, 10s);
      const std::set<std::string> acknowledged_before = model_.acknowledged;
      Frames frames;
      (void)co_await sim_.service().receive_message(sim_.call("consumer"), std::move(request), frames);
      for (const pb::Message& message : frames.messages()) {
        arrive(message, acknowledged_before);
        if (random_.below(10) != 0) co_await acknowledge(message);
      }
      co_await sim_.world.clock().sleep_for(1ms);
    }
    --running_;
  }

  void arrive(const pb::Message& message, const std::set<std::string>& acknowledged_before) {
    const std::string& id = message.system_properties().message_id();
    model_.arrived.insert(id);
    if (!model_.may_arrive.contains(id)) model_.violate("P1: nobody committed it", id);
    if (acknowledged_before.contains(id)) model_.violate("P2: it was acknowledged", id);
  }

  asio::awaitable<void> acknowledge(const pb::Message& message) {
    pb::AckMessageRequest request;
    request.mutable_group()->set_name("group");
    request.mutable_topic()->set_name("orders");
    request.add_entries()->set_receipt_handle(message.system_properties().receipt_handle());
    const auto done = co_await sim_.service().ack_message(sim_.call("consumer"), std::move(request));
    if (done && done->status().code() == pb::OK) model_.acknowledged.insert(message.system_properties().message_id());
  }

  /// No more faults: what is open is decided, everything is consumed.
  void settle() {
    for (const Undecided& half : undecided_) {
      EXPECT_TRUE(sim_.await(decide(half))) << half.message_id;
    }
    for (int quiet = 0; quiet < 8;) {
      const std::set<std::string> before = model_.acknowledged;
      const auto batch = sim_.receive("group", "orders");
      for (const pb::Message& message : batch) {
        arrive(message, before);
        sim_.await(acknowledge(message));
      }
      quiet = batch.empty() ? quiet + 1 : 0;
    }
    for (const std::string& id : model_.sent) {
      if (!model_.arrived.contains(id)) model_.violate("lost", id);
    }
    const auto groups = sim_.broker->admin().groups();
    for (const GroupInfo& group : groups) {
      for (const ReadingInfo& reading : group.topics) EXPECT_EQ(reading.lag, 0) << group.name;
    }
  }

  SimBroker sim_;
  sys::SeededRandom random_;
  Model model_;
  std::vector<Undecided> undecided_, decided_;
  int next_id_ = 0;
  int running_ = 0;
  bool stopping_ = false;
};

class Crashes : public testing::TestWithParam<int> {};

TEST_P(Crashes, NothingAcknowledgedIsLostNothingRolledBackArrives) {
  std::size_t sent = 0;
  for (int i = 0; i < 10; ++i) {
    const auto seed = static_cast<std::uint64_t>(GetParam() * 10 + i);
    Workload workload(seed);
    workload.run(4);
    if (HasFatalFailure()) return;
    EXPECT_EQ(workload.model().violations, 0) << "seed " << seed << ": " << workload.model().last_violation;
    sent += workload.model().sent.size();
  }
  EXPECT_GT(sent, 100u);  // the run is worth something
}

INSTANTIATE_TEST_SUITE_P(Seeds, Crashes, testing::Range(0, 6));

}  // namespace
}  // namespace hf::broker
