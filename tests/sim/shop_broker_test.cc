/// Shop, message client and broker as one process would run them, on a simulated disk.
///
/// Goal: whatever fails, an order and its message stand or fall together (P1, P4), what was answered stays (P2),
/// nothing is oversold (P6). Method: each fault point of the shop fails once; then the power goes at random disk
/// operations, seeded. A consumer that was there from the start is the judge.

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "broker/broker.h"
#include "mq/client.h"
#include "shop/shop.h"
#include "sys/sim.h"

namespace hf {
namespace {

constexpr std::int64_t kStock = 30;

class ShopAndBroker : public ::testing::Test {
 protected:
  explicit ShopAndBroker(std::uint64_t seed = 1) : sim_(seed), random_(seed) {
    shop_config_.items = {fmt::format("1;Kettle;7900;{}", kStock)};
    broker_config_.topics = {{shop_config_.topic, broker::TopicType::transaction}};
    broker_config_.groups = {{"judge", 17}};
    broker_config_.segment_bytes = 8 << 20;
    client_config_.drain_timeout = 1s;
  }

  void start() {
    auto opened = broker::Broker::open(sim_.world(), broker_config_, "/data/broker");
    ASSERT_TRUE(opened) << opened.error().to_string();
    broker_ = std::move(*opened);
    auto client = mq::Client::make(sim_.world(), client_config_, &broker_->service());
    ASSERT_TRUE(client) << client.error().to_string();
    client_ = std::move(*client);
    auto db = sql::open(sim_.world(), "sqlite:shop.db", "/data");
    ASSERT_TRUE(db) << db.error().to_string();
    db_ = std::move(*db);
    shop_ = std::make_unique<shop::Shop>(sim_.world(), shop_config_, *db_, *client_);
    const Result<void> started = sim_.run_until_done(shop_->start());
    ASSERT_TRUE(started) << started.error().to_string();
    handler_ = shop_->handler();
  }
  void stop() {
    sim_.run_until_done(shop_->close());
    handler_ = nullptr;
    shop_.reset();
    client_.reset();
    sim_.run_until_done(db_->close());
    db_.reset();
    (void)sim_.run_until_done(broker_->stop());  // fails when the disk is gone, which is the point
    broker_.reset();
  }

  asio::awaitable<net::HttpResponse> post(std::string key, std::int64_t quantity) {
    net::HttpRequest request;
    request.method = "POST";
    request.target = "/orders";
    request.headers.add("Idempotency-Key", std::move(key));
    request.body =
        fmt::format(R"({{"buyer":"b","item":1,"quantity":{},"channel":"sms","phone":"+15551234567"}})", quantity);
    return handler_(std::move(request));
  }
  static std::string order_id_of(const net::HttpResponse& response) {
    return std::string(boost::json::parse(response.body).at("order_id").as_string());
  }
  /// One buyer; what was promised is written down.
  asio::awaitable<void> buy(std::string key) {
    const net::HttpResponse response = co_await post(key, 1);
    if (response.status == 201) promised_[key] = order_id_of(response);
    if (response.status == 409) refused_.insert(key);
  }

  /// The judge's view: the keys of all messages that were ever consumable.
  std::map<std::string, int> consumed() {
    const auto consumer =
        client_->simple_consumer({.group = "judge", .subscriptions = {{.topic = shop_config_.topic}}});
    auto receive_all = [&]() -> asio::awaitable<std::map<std::string, int>> {
      std::map<std::string, int> keys;
      EXPECT_TRUE(co_await consumer->start(10s));
      for (int empty = 0; empty < 8;) {
        const auto messages = co_await consumer->receive(32, 60s);
        EXPECT_TRUE(messages) << messages.error().to_string();
        if (!messages) break;
        empty = messages->empty() ? empty + 1 : 0;
        for (const mq::ReceivedMessage& message : *messages) {
          ++keys[message.message.keys.at(0)];
          EXPECT_TRUE(co_await consumer->ack(message));
        }
      }
      co_await consumer->close();
      co_return keys;
    };
    return sim_.run_until_done(receive_all());
  }
  Result<sql::Rows> query(std::string sql) {
    std::function<Result<sql::Rows>(sql::Reader&)> work = [sql = std::move(sql)](sql::Reader& r) {
      return r.query(sql);
    };
    return sim_.run_until_done(db_->read<sql::Rows>(std::move(work)));
  }

  /// After the faults: a message for each confirmed order, none for anything else, no stock lost or invented.
  void audit() {
    std::set<std::string> confirmed;
    const Result<sql::Rows> orders = query("SELECT order_id FROM orders WHERE status = 'confirmed'");
    ASSERT_TRUE(orders);
    for (const sql::Row& row : *orders) confirmed.insert(row.text(0));
    for (const auto& [key, id] : promised_) EXPECT_TRUE(confirmed.contains(id)) << key << " was promised " << id;
    const std::map<std::string, int> messages = consumed();
    for (const std::string& id : confirmed)
      EXPECT_TRUE(messages.contains(id)) << "confirmed, and nobody is told: " << id;
    for (const auto& [id, times] : messages) {
      EXPECT_TRUE(confirmed.contains(id)) << "a message for no order: " << id;
      EXPECT_EQ(times, 1) << id;
    }
    const Result<sql::Rows> stock = query("SELECT avail, sold FROM items");
    ASSERT_TRUE(stock);
    EXPECT_EQ(stock->at(0).integer(1), static_cast<std::int64_t>(confirmed.size()));
    EXPECT_EQ(stock->at(0).integer(0), kStock - stock->at(0).integer(1));
  }

  sys::SimWorld sim_;
  sys::SeededRandom random_;
  shop::ShopConfig shop_config_;
  broker::BrokerConfig broker_config_;
  mq::ClientConfig client_config_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<mq::Client> client_;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<shop::Shop> shop_;
  net::HttpHandler handler_;
  std::map<std::string, std::string> promised_;  ///< by key: the order id of a 201
  std::set<std::string> refused_;
};

TEST_F(ShopAndBroker, AnOrderIsAMessageAndARefusalIsNone) {
  start();
  const net::HttpResponse confirmed = sim_.run_until_done(post("k1", 3)),
                          refused = sim_.run_until_done(post("k2", 999'999));
  EXPECT_EQ(confirmed.status, 201);
  EXPECT_EQ(refused.status, 409);
  const std::map<std::string, int> messages = consumed();
  EXPECT_EQ(messages, (std::map<std::string, int>{{order_id_of(confirmed), 1}}));
  stop();
}

TEST_F(ShopAndBroker, EachFaultPointFailsOnce) {
  start();
  int number = 0;
  for (const char* point :
       {"shop.before_half", "shop.after_half", "shop.before_begin", "shop.before_commit", "shop.after_commit",
        "shop.before_end_tx", "shop.after_end_tx", "shop.before_answer", "sql.before_commit", "sql.after_commit"}) {
    ASSERT_TRUE(sim_.world().faults.arm(fmt::format("{}=error:1", point)));
    const std::string key = fmt::format("k{}", ++number);
    sim_.run_until_done(buy(key));
    sim_.world().faults.disarm_all();
    sim_.run_until_done(buy(key));
    EXPECT_TRUE(promised_.contains(key)) << point << ": repeating with the key heals it";
  }
  sim_.run_for(2min);  // check-backs
  audit();
  EXPECT_EQ(promised_.size(), 10U);
  stop();
}

TEST_F(ShopAndBroker, DecisionsThatNeverArriveAreAskedFor) {
  start();
  ASSERT_TRUE(sim_.world().faults.arm("mq.end_transaction=drop"));
  for (int i = 0; i < 5; ++i) sim_.run_until_done(buy(fmt::format("k{}", i)));
  sim_.world().faults.disarm_all();
  EXPECT_EQ(promised_.size(), 5U);
  sim_.run_for(2min);
  audit();
  stop();
}

class ShopAndBrokerPower : public ShopAndBroker, public ::testing::WithParamInterface<int> {
 protected:
  ShopAndBrokerPower() : ShopAndBroker(static_cast<std::uint64_t>(GetParam())) {}
};

TEST_P(ShopAndBrokerPower, GoesAtAnyMoment) {
  start();
  for (int life = 0; life < 3; ++life) {
    sim_.disk().fail_operation(1 + random_.below(120), Error{Code::unavailable, "power"}, UINT64_MAX);
    // Half of the keys come again from the life before: buyers whose connection broke.
    for (int i = 0; i < 20;) {
      for (std::uint64_t together = 1 + random_.below(3); together > 0 && i < 20; --together, ++i) {
        sim_.spawn(buy(fmt::format("k{}", life * 10 + i)));
      }
      sim_.run_for(1ms);
    }
    sim_.run_for(20s);
    EXPECT_LT(promised_.size(), static_cast<std::size_t>(life * 10 + 20)) << "the power did not go in time";
    stop();
    sim_.disk().crash(random_.below(2) == 0 ? sys::SimDisk::Unsynced::torn : sys::SimDisk::Unsynced::lost);
    start();
    if (HasFatalFailure()) return;
  }
  sim_.run_for(10min);
  audit();
  for (int i = 0; i < 40; ++i) sim_.run_until_done(buy(fmt::format("k{}", i)));
  EXPECT_EQ(promised_.size(), static_cast<std::size_t>(kStock)) << "all is sold in the end";
  EXPECT_EQ(refused_.size(), 40U - kStock);
  stop();
}
INSTANTIATE_TEST_SUITE_P(Seeds, ShopAndBrokerPower, ::testing::Range(1, 41));

}  // namespace
}  // namespace hf
