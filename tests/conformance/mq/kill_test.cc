// A broker process under load is killed with SIGKILL and started again, three times. What it acknowledged is there;
// what was rolled back is not (P1, P2, P3); clients go on by themselves.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "mq/client.h"
#include "sys/eventually.h"
#include "sys/loop.h"

namespace hf::mq {
namespace {

/// hf_broker_process, started and killed.
class BrokerProcess {
 public:
  BrokerProcess() {
    std::string pattern = testing::TempDir() + "hf_kill_XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~BrokerProcess() {
    kill();
    std::filesystem::remove_all(dir_);
  }
  void start() {
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const std::string port = std::to_string(port_), log = dir_ + "/broker.log";
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      ::dup2(out[1], STDOUT_FILENO);
      ::dup2(::open(log.c_str(), O_CREAT | O_APPEND | O_WRONLY, 0600), STDERR_FILENO);
      ::execl(HF_BROKER_PROCESS, HF_BROKER_PROCESS, (dir_ + "/data").c_str(), port.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(out[1]);
    std::string line;
    for (char c; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(out[0]);
    ASSERT_TRUE(line.starts_with("ready ")) << line;
    port_ = std::stoi(line.substr(6));
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  std::string url() const { return "rocketmq://127.0.0.1:" + std::to_string(port_); }

 private:
  std::string dir_;
  pid_t pid_ = -1;
  int port_ = 0;
};

/// Everything that was said and heard. Bodies are unique.
struct Ledger {
  std::set<std::string> acknowledged;         // must be heard
  std::set<std::string> rolled_back;          // must never be heard
  std::map<std::string, Resolution> decided;  // by the local transaction; what a checker answers
  std::multiset<std::string> heard;
};

class KillTest : public testing::Test {
 protected:
  void SetUp() override {
    broker_.start();
    ClientConfig config;
    config.url = broker_.url();
    config.reconnect_min = 100ms;
    config.reconnect_max = 200ms;
    client_ = std::move(*Client::make(loop_.world(), config));
  }
  asio::awaitable<void> send_plain(Producer& producer, int worker) {
    for (int i = 0; !stop_; ++i) {
      const std::string body = "plain-" + std::to_string(worker) + "-" + std::to_string(i);
      Message message{.topic = "orders", .body = body};
      const auto receipt = co_await producer.send(std::move(message));
      if (receipt) ledger_.acknowledged.insert(body);
    }
  }
  asio::awaitable<void> transact(TransactionProducer& producer, int worker) {
    for (int i = 0; !stop_; ++i) {
      const std::string body = "tx-" + std::to_string(worker) + "-" + std::to_string(i);
      const Resolution says = i % 3 == 2 ? Resolution::rollback : Resolution::commit;
      auto executor = [this, says](const HalfMessage& half, const std::any&) -> Task<Resolution> {
        ledger_.decided[half.message.body] = says;  // "durable" before the broker hears of it
        (says == Resolution::commit ? ledger_.acknowledged : ledger_.rolled_back).insert(half.message.body);
        co_return says;
      };
      Message message{.topic = "orders", .body = body, .keys = {body}};
      (void)co_await producer.send_message_in_transaction(std::move(message), executor, {});
    }
  }
  asio::awaitable<void> run_load(Producer& producer, TransactionProducer& transactions) {
    sys::TaskGroup group(loop_.world().executor, loop_.world().clock);
    for (int worker = 0; worker < 4; ++worker) {
      group.spawn("plain", send_plain(producer, worker));
      group.spawn("transact", transact(transactions, worker));
    }
    for (int round = 0; round < 3; ++round) {
      co_await more_acknowledged();
      co_await loop_.world().clock.sleep_for(Duration(loop_.world().random.below(200'000'000)));
      broker_.kill();
      co_await loop_.world().clock.sleep_for(50ms);
      broker_.start();
    }
    co_await more_acknowledged();
    stop_ = true;
    co_await group.join();
  }
  asio::awaitable<void> more_acknowledged() {
    const std::size_t wanted = ledger_.acknowledged.size() + 50;
    EXPECT_TRUE(co_await sys::eventually(loop_.world().clock, [&] { return ledger_.acknowledged.size() >= wanted; }));
  }
  bool all_heard() const {
    return std::ranges::all_of(ledger_.acknowledged, [this](const auto& body) { return ledger_.heard.contains(body); });
  }
  asio::awaitable<void> settle(Duration limit) {
    const Monotonic end = loop_.world().clock.now() + limit;
    while (!all_heard() && loop_.world().clock.now() < end) co_await loop_.world().clock.sleep_for(20ms);
  }

  BrokerProcess broker_;
  sys::Loop loop_;
  std::unique_ptr<Client> client_;
  Ledger ledger_;
  bool stop_ = false;
};

TEST_F(KillTest, WhatWasAcknowledgedSurvives) {
  auto listener = [this](const ReceivedMessage& received) -> Task<> {
    ledger_.heard.insert(received.message.body);
    co_return ok();
  };
  auto checker = [this](const HalfMessage& half) -> Task<Resolution> {
    const auto found = ledger_.decided.find(half.message.body);
    co_return found == ledger_.decided.end() ? Resolution::rollback : found->second;
  };
  auto consumer = client_->push_consumer({.group = "audit", .subscriptions = {{.topic = "orders"}}}, listener);
  auto producer = client_->producer({.topics = {"orders"}});
  auto transactions = client_->transaction_producer({.topics = {"orders"}}, checker);
  ASSERT_TRUE(loop_.run_until_done(consumer->start(10s)));
  ASSERT_TRUE(loop_.run_until_done(transactions->start(10s)));
  loop_.run_until_done(run_load(*producer, *transactions));
  loop_.run_until_done(settle(40s));  // a lost decision is asked for after 6 s

  std::size_t lost = 0, ghosts = 0;
  for (const std::string& body : ledger_.acknowledged) lost += ledger_.heard.contains(body) ? 0 : 1;
  for (const std::string& body : ledger_.rolled_back) ghosts += ledger_.heard.contains(body) ? 1 : 0;
  EXPECT_EQ(lost, 0u);
  EXPECT_EQ(ghosts, 0u);
  EXPECT_GT(ledger_.acknowledged.size(), 100u);
  RecordProperty("acknowledged", static_cast<int>(ledger_.acknowledged.size()));
  RecordProperty("rolled_back", static_cast<int>(ledger_.rolled_back.size()));
  RecordProperty("heard", static_cast<int>(ledger_.heard.size()));
  loop_.run_until_done(producer->close());
  loop_.run_until_done(transactions->close());
  loop_.run_until_done(consumer->close());
  loop_.drain(1s);
}

}  // namespace
}  // namespace hf::mq
