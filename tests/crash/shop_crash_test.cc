/// Real processes, real files, kill -9: the shop with its broker dies at each of its fault points, and is started
/// again.
///
/// Goal: what was answered is there, every confirmed order has exactly one message, no other order has one, stock adds
/// up. Method: a child process runs the stack with the fault point armed as a crash, and tells through a pipe what it
/// answered to concurrent buyers; the parent starts on the same folder, lets check-back settle, and counts.

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json/parse.hpp>
#include <filesystem>

#include "broker/broker.h"
#include "mq/client.h"
#include "shop/shop.h"
#include "sys/loop.h"

namespace hf {
namespace {

constexpr std::int64_t kStock = 1000;
constexpr int kBuyers = 4;

/// Broker, client, database and shop in one process, as `holdfast serve --roles broker,shop` has them.
class Stack {
 public:
  explicit Stack(const std::string& dir) {
    shop::ShopConfig shop_config;
    shop_config.items = {fmt::format("1;Kettle;7900;{}", kStock)};
    broker::BrokerConfig broker_config;
    broker_config.topics = {{shop_config.topic, broker::TopicType::transaction}};
    broker_config.groups = {{"judge", 17}};
    broker_config.segment_bytes = 8 << 20;
    broker_config.check_back.first_after = 100ms;
    broker_config.check_back.interval = 200ms;
    auto opened = broker::Broker::open(loop.world(), broker_config, dir + "/broker");
    HF_ASSERT(opened.has_value());
    broker = std::move(*opened);
    auto made = mq::Client::make(loop.world(), {}, &broker->service());
    HF_ASSERT(made.has_value());
    client = std::move(*made);
    auto database = sql::open(loop.world(), "sqlite:shop.db", dir);
    HF_ASSERT(database.has_value());
    db = std::move(*database);
    shop = std::make_unique<shop::Shop>(loop.world(), shop_config, *db, *client);
    HF_ASSERT(loop.run_until_done(shop->start()).has_value());
    handler = shop->handler();
  }
  void stop() {
    loop.run_until_done(shop->close());
    shop.reset();
    client.reset();
    loop.run_until_done(db->close());
    db.reset();
    HF_ASSERT(loop.run_until_done(broker->stop()).has_value());
    broker.reset();
  }

  sys::Loop loop;
  std::unique_ptr<broker::Broker> broker;
  std::unique_ptr<mq::Client> client;
  std::unique_ptr<sql::Database> db;
  std::unique_ptr<shop::Shop> shop;
  net::HttpHandler handler;
};

struct Told {
  int key;
  char order_id[32];
};

asio::awaitable<net::HttpResponse> post(Stack& stack, int key) {
  net::HttpRequest request;
  request.method = "POST";
  request.target = "/orders";
  request.headers.add("Idempotency-Key", fmt::format("k{}", key));
  request.body = R"({"buyer":"b1","item":1,"quantity":1,"channel":"sms","phone":"+15551234567"})";
  return stack.handler(std::move(request));
}

std::string order_id_of(const net::HttpResponse& response) {
  return std::string(boost::json::parse(response.body).at("order_id").as_string());
}

[[noreturn]] void sell_until_killed(const std::string& dir, const std::string& fault, int pipe) {
  Stack stack(dir);
  HF_ASSERT(stack.loop.world().faults.arm(fault));
  int next = 0;
  auto buyer = [&]() -> asio::awaitable<void> {
    for (;;) {
      const int key = ++next;
      const net::HttpResponse response = co_await post(stack, key);
      if (response.status != 201) continue;
      Told told{key, {}};
      order_id_of(response).copy(told.order_id, sizeof told.order_id - 1);
      HF_ASSERT(::write(pipe, &told, sizeof told) == sizeof told);
    }
  };
  for (int i = 0; i < kBuyers; ++i) asio::co_spawn(stack.loop.executor(), buyer(), asio::detached);
  stack.loop.run();
  ::_exit(1);
}

class ShopCrash : public ::testing::TestWithParam<const char*> {
 protected:
  ShopCrash() {
    char name[] = "/tmp/hf_shop_crash_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
  }
  ~ShopCrash() override { std::filesystem::remove_all(dir_); }

  /// Returns what the child answered before it died.
  std::map<int, std::string> sell_and_die(const std::string& fault) {
    int pipe[2];
    HF_ASSERT(::pipe(pipe) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipe[0]);
      sell_until_killed(dir_, fault, pipe[1]);
    }
    ::close(pipe[1]);
    std::map<int, std::string> answered;
    for (Told told{}; ::read(pipe[0], &told, sizeof told) == sizeof told;) answered[told.key] = told.order_id;
    ::close(pipe[0]);
    int status = 0;
    HF_ASSERT(::waitpid(child, &status, 0) == child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it did not die at " << fault;
    return answered;
  }

  /// Until nothing is undecided any more.
  static asio::awaitable<bool> settle(Stack& stack) {
    sys::Clock& clock = stack.loop.world().clock;
    for (const Monotonic end = clock.now() + 30s; clock.now() < end; co_await clock.sleep_for(20ms)) {
      const auto undecided = co_await stack.broker->admin().half_messages(1);
      if (undecided && undecided->empty()) co_return true;
    }
    co_return false;
  }

  static asio::awaitable<std::set<std::string>> receive(Stack& stack, std::size_t count) {
    const auto consumer =
        stack.client->simple_consumer({.group = "judge", .subscriptions = {{.topic = "ecommerce-orders"}}});
    EXPECT_TRUE(co_await consumer->start(10s));
    std::set<std::string> keys;
    const Monotonic end = stack.loop.world().clock.now() + 30s;
    while (keys.size() < count && stack.loop.world().clock.now() < end) {
      const auto messages = co_await consumer->receive(32, 60s);
      if (!messages) continue;
      for (const mq::ReceivedMessage& message : *messages) keys.insert(message.message.keys.at(0));
    }
    co_await consumer->close();
    co_return keys;
  }

  static Result<sql::Rows> query(Stack& stack, std::string sql) {
    std::function<Result<sql::Rows>(sql::Reader&)> work = [sql = std::move(sql)](sql::Reader& r) {
      return r.query(sql);
    };
    return stack.loop.run_until_done(stack.db->read<sql::Rows>(std::move(work)));
  }

  std::string dir_;
};

TEST_P(ShopCrash, IsHealedByStartingAgain) {
  const std::map<int, std::string> answered = sell_and_die(fmt::format("{}=crash:25", GetParam()));
  Stack stack(dir_);
  ASSERT_TRUE(stack.loop.run_until_done(settle(stack)));
  // The buyers whose connection broke repeat with their keys; so does one who had his answer.
  std::map<int, std::string> repeated;
  auto repeat = [&]() -> asio::awaitable<void> {
    for (int key = 1; key <= 25 + kBuyers; ++key) repeated[key] = order_id_of(co_await post(stack, key));
  };
  stack.loop.run_until_done(repeat());
  for (const auto& [key, id] : answered) {
    if (repeated.contains(key)) EXPECT_EQ(repeated[key], id) << "the same key, another order";
  }

  const Result<sql::Rows> orders = query(stack, "SELECT order_id FROM orders WHERE status = 'confirmed'");
  const Result<sql::Rows> stock = query(stack, "SELECT avail, sold FROM items");
  ASSERT_TRUE(orders && stock);
  std::set<std::string> confirmed;
  for (const sql::Row& row : *orders) confirmed.insert(row.text(0));
  for (const auto& [key, id] : answered) EXPECT_TRUE(confirmed.contains(id)) << "answered and lost: " << id;
  EXPECT_EQ(stock->at(0).integer(1), std::ssize(confirmed));
  EXPECT_EQ(stock->at(0).integer(0), kStock - std::ssize(confirmed));
  EXPECT_EQ(stack.loop.run_until_done(receive(stack, confirmed.size())), confirmed);
  std::int64_t consumable = 0;
  for (const broker::TopicInfo& topic : stack.broker->admin().topics()) {
    if (topic.name == "ecommerce-orders") consumable += topic.next_offset - topic.first_offset;
  }
  EXPECT_EQ(consumable, std::ssize(confirmed)) << "one message each, and no other";
  stack.stop();
}
INSTANTIATE_TEST_SUITE_P(Points, ShopCrash,
                         ::testing::Values("shop.before_half", "shop.after_half", "shop.before_begin",
                                           "shop.before_commit", "shop.after_commit", "shop.before_end_tx",
                                           "shop.after_end_tx", "shop.before_answer", "sql.before_commit",
                                           "sql.after_commit"));

}  // namespace
}  // namespace hf
