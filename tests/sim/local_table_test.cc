/// The local message table as two services with their own stores would run it, with the real broker and client, on a
/// simulated disk.
///
/// Goal: whatever fails, an order and its message stand or fall together (P1, P4), stock is taken once per order and
/// never oversold (P6), every order is decided and told of once. Method: each fault point fails; then broker, services
/// and power go at random moments, seeded. A consumer that was there from the start is the judge.

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "broker/broker.h"
#include "mq/client.h"
#include "shop/local_table/inventory.h"
#include "shop/local_table/orders.h"
#include "sys/sim.h"

namespace hf {
namespace {

namespace json = boost::json;
using shop::local_table::Inventory;
using shop::local_table::Orders;

constexpr std::int64_t kStock = 30;

class LocalTable : public ::testing::Test {
 protected:
  explicit LocalTable(std::uint64_t seed = 1) : sim_(seed), random_(seed) {
    config_.items = {fmt::format("1;Kettle;7900;{}", kStock)};
    config_.outbox.redo_first = 20s;
    config_.outbox.lease = 6s;
    broker_config_.topics = {{config_.orders_topic, broker::TopicType::normal},
                             {config_.results_topic, broker::TopicType::normal},
                             {config_.events_topic, broker::TopicType::mixed}};
    broker_config_.groups = {{"judge", 17}, {config_.inventory_group, 17}, {config_.shop_group, 17}};
    broker_config_.segment_bytes = 8 << 20;
    client_config_.drain_timeout = 1s;
  }

  void start_broker() {
    auto opened = broker::Broker::open(sim_.world(), broker_config_, "/data/broker");
    ASSERT_TRUE(opened) << opened.error().to_string();
    broker_ = std::move(*opened);
    auto client = mq::Client::make(sim_.world(), client_config_, &broker_->service());
    ASSERT_TRUE(client) << client.error().to_string();
    client_ = std::move(*client);
  }
  std::unique_ptr<sql::Database> open(const char* url) {
    auto database = sql::open(sim_.world(), url, "/data");
    EXPECT_TRUE(database) << database.error().to_string();
    return std::move(*database);
  }
  void start() {
    start_broker();
    shop_db_ = open("sqlite:shop.db");
    inventory_db_ = open("sqlite:inventory.db");
    orders_ = std::make_unique<Orders>(sim_.world(), config_, *shop_db_, *client_);
    inventory_ = std::make_unique<Inventory>(sim_.world(), config_, *inventory_db_, *client_);
    const Result<void> orders = sim_.run_until_done(orders_->start());
    ASSERT_TRUE(orders) << orders.error().to_string();
    const Result<void> inventory = sim_.run_until_done(inventory_->start());
    ASSERT_TRUE(inventory) << inventory.error().to_string();
    handler_ = orders_->handler();
  }
  void stop() {
    handler_ = nullptr;
    if (orders_) sim_.run_until_done(orders_->close());
    if (inventory_) sim_.run_until_done(inventory_->close());
    orders_.reset();
    inventory_.reset();
    client_.reset();
    for (auto* database : {&shop_db_, &inventory_db_}) {
      if (*database) sim_.run_until_done((*database)->close());
      database->reset();
    }
    if (broker_) (void)sim_.run_until_done(broker_->stop());  // fails when the disk is gone, which is the point
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
  json::value get(const std::string& target) {
    net::HttpRequest request;
    request.method = "GET";
    request.target = target;
    return json::parse(sim_.run_until_done(handler_(std::move(request))).body);
  }
  static std::string text(const json::value& body, const char* field) {
    return std::string(body.at(field).as_string());
  }
  /// One buyer; the promise: what was answered 202 `processing` is decided in the end.
  asio::awaitable<void> buy(std::string key, std::int64_t quantity = 1) {
    const net::HttpResponse response = co_await post(key, quantity);
    if (response.status != 201 && response.status != 202 && response.status != 409) co_return;
    const json::value body = json::parse(response.body);
    if (text(body, "status") != "pending") promised_[key] = text(body, "order_id");
  }

  Result<sql::Rows> query(sql::Database& database, std::string sql) {
    std::function<Result<sql::Rows>(sql::Reader&)> work = [sql = std::move(sql)](sql::Reader& r) {
      return r.query(sql);
    };
    return sim_.run_until_done(database.read<sql::Rows>(std::move(work)));
  }
  std::int64_t number(sql::Database& database, const std::string& sql) {
    const Result<sql::Rows> rows = query(database, sql);
    EXPECT_TRUE(rows) << sql;
    return rows ? rows->at(0).integer(0) : -1;
  }
  /// The judge's view: by order, the distinct message ids of its events.
  std::map<std::string, std::set<std::string>> told() {
    const auto consumer =
        client_->simple_consumer({.group = "judge", .subscriptions = {{.topic = config_.events_topic}}});
    auto receive_all = [&]() -> asio::awaitable<void> {
      EXPECT_TRUE(co_await consumer->start(10s));
      for (int empty = 0; empty < 8;) {
        const auto messages = co_await consumer->receive(32, 60s);
        EXPECT_TRUE(messages) << messages.error().to_string();
        if (!messages) break;
        empty = messages->empty() ? empty + 1 : 0;
        for (const mq::ReceivedMessage& message : *messages) {
          told_[message.message.keys.at(1)].insert(message.message.message_id);
          EXPECT_TRUE(co_await consumer->ack(message));
        }
      }
      co_await consumer->close();
    };
    sim_.run_until_done(receive_all());
    return told_;
  }

  /// After the faults: nothing is under way, and everything adds up.
  void audit() {
    ASSERT_EQ(number(*shop_db_, "SELECT COUNT(*) FROM local_table_orders WHERE state = 'processing'"), 0);
    for (sql::Database* database : {shop_db_.get(), inventory_db_.get()}) {
      EXPECT_EQ(number(*database, "SELECT COUNT(*) FROM outbox WHERE state <> 'done'"), 0);
    }
    EXPECT_EQ(number(*shop_db_,
                     "SELECT COUNT(*) FROM local_table_orders o WHERE NOT EXISTS (SELECT 1 FROM outbox m "
                     "WHERE m.aggregate_id = o.order_id)"),
              0)
        << "orders without message";
    EXPECT_EQ(number(*shop_db_,
                     "SELECT COUNT(*) FROM outbox m WHERE NOT EXISTS (SELECT 1 FROM local_table_orders o "
                     "WHERE m.aggregate_id = o.order_id)"),
              0)
        << "messages without order";
    const Result<sql::Rows> orders = query(*shop_db_, "SELECT order_id, quantity, state FROM local_table_orders");
    ASSERT_TRUE(orders);
    std::set<std::string> confirmed, known;
    std::int64_t sold = 0;
    for (const sql::Row& row : *orders) {
      known.insert(row.text(0));
      if (row.text(2) != "confirmed") continue;
      confirmed.insert(row.text(0));
      sold += row.integer(1);
    }
    for (const auto& [key, id] : promised_) EXPECT_TRUE(known.contains(id)) << key << " was promised " << id;
    EXPECT_EQ(number(*inventory_db_, "SELECT sold FROM local_table_stock"), sold) << "stock lower once per order";
    EXPECT_EQ(number(*inventory_db_, "SELECT avail FROM local_table_stock"), kStock - sold);
    EXPECT_EQ(number(*shop_db_, "SELECT sold FROM local_table_items"), sold);
    const auto events = told();
    for (const std::string& id : confirmed) EXPECT_TRUE(events.contains(id)) << "nobody is told of " << id;
    for (const auto& [id, messages] : events) {
      EXPECT_TRUE(confirmed.contains(id)) << "told of what is not confirmed: " << id;
      EXPECT_EQ(messages.size(), 1U) << "a second event for " << id;
    }
  }

  sys::SimWorld sim_;
  sys::SeededRandom random_;
  shop::LocalTableConfig config_;
  broker::BrokerConfig broker_config_;
  mq::ClientConfig client_config_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<mq::Client> client_;
  std::unique_ptr<sql::Database> shop_db_, inventory_db_;
  std::unique_ptr<Orders> orders_;
  std::unique_ptr<Inventory> inventory_;
  net::HttpHandler handler_;
  std::map<std::string, std::string> promised_;  ///< by key: the order id
  std::map<std::string, std::set<std::string>> told_;
};

TEST_F(LocalTable, EightStepsFromRequestToDone) {
  start();
  const net::HttpResponse taken = sim_.run_until_done(post("k1", 3));
  EXPECT_EQ(taken.status, 202);
  EXPECT_EQ(text(json::parse(taken.body), "status"), "processing");
  const std::string id = text(json::parse(taken.body), "order_id");
  sim_.run_for(1s);
  const json::value order = get("/orders/" + id + "?trace=1");
  EXPECT_EQ(text(order, "status"), "confirmed");
  std::vector<std::string> hops;
  std::int64_t last = 0;
  for (const json::value& hop : order.at("trace").as_array()) {
    hops.push_back(text(hop, "hop"));
    EXPECT_GE(hop.at("at_us").as_int64(), last) << hops.back();
    last = hop.at("at_us").as_int64();
  }
  EXPECT_EQ(hops,
            (std::vector<std::string>{"received", "order_and_message_stored", "message_published", "inventory_received",
                                      "inventory_updated", "result_published", "message_done", "event_published"}));
  const net::HttpResponse again = sim_.run_until_done(post("k1", 3));
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.headers.get("Idempotency-Replayed"), "true");
  EXPECT_EQ(sim_.run_until_done(post("k1", 4)).status, 422) << "another request under the same key";
  audit();
  stop();
}

TEST_F(LocalTable, ARefusalComesBackWithItsReason) {
  start();
  sim_.run_until_done(buy("k1", kStock + 1));
  sim_.run_for(1s);
  const json::value order = get("/orders/" + promised_.at("k1"));
  EXPECT_EQ(text(order, "status"), "refused");
  EXPECT_EQ(text(order.at("error"), "code"), "sold_out");
  EXPECT_EQ(sim_.run_until_done(post("k1", kStock + 1)).status, 409);
  audit();
  stop();
}

TEST_F(LocalTable, BadInputStoresNothing) {
  start();
  for (const char* body :
       {"", "[]", R"({"buyer":"b"})", R"({"buyer":"b","item":1,"quantity":0,"channel":"sms","phone":"+15551234567"})",
        R"({"buyer":"b","item":77,"quantity":1,"channel":"sms","phone":"+15551234567"})"}) {
    net::HttpRequest request;
    request.method = "POST";
    request.target = "/orders";
    request.body = body;
    const net::HttpResponse response = sim_.run_until_done(handler_(std::move(request)));
    EXPECT_GE(response.status, 400) << body;
    EXPECT_LT(response.status, 500) << body;
    EXPECT_TRUE(json::parse(response.body).at("error").at("code").is_string()) << body;
  }
  EXPECT_EQ(number(*shop_db_, "SELECT (SELECT COUNT(*) FROM local_table_orders) + (SELECT COUNT(*) FROM outbox)"), 0);
  stop();
}

TEST_F(LocalTable, EachFaultPointFailsAndTheKeyHealsIt) {
  start();
  int number = 0;
  for (const char* point : {"outbox.between", "outbox.after_claim", "outbox.after_publish", "outbox.after_record",
                            "inbox.between", "mq.before_ack", "sql.before_commit", "sql.after_commit"}) {
    for (const int count : {1, 2, 3}) {
      ASSERT_TRUE(sim_.world().faults.arm(fmt::format("{}=error:{}", point, count)));
      const std::string key = fmt::format("k{}", ++number);
      sim_.run_until_done(buy(key));
      sim_.run_for(500ms);
      sim_.world().faults.disarm_all();
      sim_.run_until_done(buy(key));
      EXPECT_TRUE(promised_.contains(key)) << point;
    }
  }
  sim_.run_for(10min);
  audit();
  stop();
}

TEST_F(LocalTable, BetweenTheTwoInsertsNeitherRowRemains) {
  start();
  ASSERT_TRUE(sim_.world().faults.arm("outbox.between=error"));
  const net::HttpResponse response = sim_.run_until_done(post("k1", 1));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(number(*shop_db_, "SELECT (SELECT COUNT(*) FROM local_table_orders) + (SELECT COUNT(*) FROM outbox)"), 0);
  stop();
}

TEST_F(LocalTable, AnInventoryThatStartsLaterGetsEverything) {
  start();
  sim_.run_until_done(inventory_->close());
  inventory_.reset();
  for (int i = 0; i < 10; ++i) sim_.run_until_done(buy(fmt::format("k{}", i)));
  sim_.run_for(1min);
  EXPECT_EQ(number(*shop_db_, "SELECT COUNT(*) FROM local_table_orders WHERE state = 'processing'"), 10);
  inventory_ = std::make_unique<Inventory>(sim_.world(), config_, *inventory_db_, *client_);
  ASSERT_TRUE(sim_.run_until_done(inventory_->start()));
  sim_.run_for(10min);
  audit();
  stop();
}

TEST_F(LocalTable, ALostResultIsAskedForAgain) {
  start();
  sim_.run_until_done(orders_->close());  // nobody listens to results
  orders_.reset();
  orders_ = std::make_unique<Orders>(sim_.world(), config_, *shop_db_, *client_);
  ASSERT_TRUE(sim_.run_until_done(orders_->start()));
  handler_ = orders_->handler();
  sim_.run_until_done(buy("k1"));
  // The inventory's answer vanishes: its row is gone before it is published.
  ASSERT_TRUE(sim_.world().faults.arm("outbox.after_claim=error:3"));
  sim_.run_for(50ms);
  std::function<Result<void>(sql::Transaction&)> lose = [](sql::Transaction& tx) -> Result<void> {
    HF_TRY(tx.execute("DELETE FROM outbox"));
    return ok();
  };
  ASSERT_TRUE(sim_.run_until_done(inventory_db_->write(std::move(lose))));
  sim_.world().faults.disarm_all();
  sim_.run_for(10min);
  audit();
  EXPECT_EQ(number(*inventory_db_, "SELECT sold FROM local_table_stock"), 1);
  stop();
}

TEST_F(LocalTable, StartRefusesAnOutboxInAnotherDatabase) {
  start_broker();
  shop_db_ = open("sqlite:shop.db");
  inventory_db_ = open("sqlite:elsewhere.db");
  orders_ = std::make_unique<Orders>(sim_.world(), config_, *shop_db_, *client_, inventory_db_.get());
  const Result<void> started = sim_.run_until_done(orders_->start());
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::invalid);
  EXPECT_NE(started.error().message.find("one local transaction"), std::string::npos);
  EXPECT_NE(started.error().message.find("elsewhere.db"), std::string::npos);
  stop();
}

/// Seeded: broker and services stop, faults strike, buyers repeat; then peace.
class LocalTableLife : public LocalTable, public ::testing::WithParamInterface<int> {
 protected:
  LocalTableLife() : LocalTable(static_cast<std::uint64_t>(GetParam())) {}

  void strike() {
    const char* points[] = {"outbox.between", "outbox.after_claim", "outbox.after_publish", "inbox.between",
                            "mq.before_ack",  "sql.before_commit",  "sql.after_commit"};
    ASSERT_TRUE(sim_.world().faults.arm(fmt::format("{}=error:{}", points[random_.below(7)], 1 + random_.below(3))));
  }
};

TEST_P(LocalTableLife, SettlesAfterFaults) {
  start();
  for (int life = 0; life < 3; ++life) {
    for (int i = 0; i < 15; ++i) {
      if (random_.below(3) == 0) strike();
      for (std::uint64_t together = 1 + random_.below(3); together > 0; --together) {
        // Half of the keys come again: buyers whose connection broke.
        sim_.spawn(buy(fmt::format("k{}", random_.below(static_cast<std::uint64_t>(life * 15 + i + 1)))));
      }
      sim_.run_for(std::chrono::microseconds(random_.below(200'000)));
      if (random_.below(4) == 0) sim_.world().faults.disarm_all();
    }
    sim_.world().faults.disarm_all();
    if (random_.below(2) == 0) sim_.run_for(std::chrono::seconds(random_.below(30)));
    stop();
    start();
    if (HasFatalFailure()) return;
  }
  sim_.run_for(30min);
  audit();
  stop();
}
INSTANTIATE_TEST_SUITE_P(Seeds, LocalTableLife, ::testing::Range(1, 31));

/// The power goes at random disk operations; what was not synced is lost or torn.
class LocalTablePower : public LocalTableLife {};
TEST_P(LocalTablePower, GoesAtAnyMoment) {
  start();
  for (int life = 0; life < 3; ++life) {
    sim_.disk().fail_operation(1 + random_.below(200), Error{Code::unavailable, "power"}, UINT64_MAX);
    for (int i = 0; i < 20; ++i) {
      sim_.spawn(buy(fmt::format("k{}", life * 10 + i)));
      if (random_.below(2) == 0) sim_.run_for(1ms);
    }
    sim_.run_for(20s);
    stop();
    sim_.disk().crash(random_.below(2) == 0 ? sys::SimDisk::Unsynced::torn : sys::SimDisk::Unsynced::lost);
    start();
    if (HasFatalFailure()) return;
  }
  sim_.run_for(30min);
  audit();
  for (int i = 0; i < 40; ++i) sim_.run_until_done(buy(fmt::format("k{}", i)));
  sim_.run_for(10min);
  audit();
  EXPECT_EQ(number(*inventory_db_, "SELECT avail FROM local_table_stock"), 0) << "all is sold in the end";
  stop();
}
INSTANTIATE_TEST_SUITE_P(Seeds, LocalTablePower, ::testing::Range(1, 31));

}  // namespace
}  // namespace hf
