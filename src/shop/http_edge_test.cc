/// The order service through its HTTP face, on a simulated disk, with everything that can go wrong around it.

#include "shop/http_edge.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "shop/item_list.h"
#include "shop/test_broker.h"
#include "sys/sim.h"

namespace hf::shop {
namespace {

namespace json = boost::json;

struct Answer {
  int status = 0;
  json::object body;
  net::HttpHeaders headers;
  std::string text(std::string_view name) const {
    const json::value* value = body.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  }
  std::string error_code() const {
    const json::value* error = body.if_contains("error");
    return error == nullptr ? "" : std::string(error->at("code").as_string());
  }
};

class ShopTest : public ::testing::Test {
 protected:
  ShopTest() : sim_(11) {
    config_.items = {"1;Kettle;7900;10", "2;Grinder;19900;0"};
    open();
  }
  ~ShopTest() override { close(); }

  void open() {
    auto db = sql::open(sim_.world(), "sqlite:shop.db", "/data");
    HF_ASSERT(db.has_value());
    db_ = std::move(*db);
    store_ = std::make_unique<Store>(sim_.world(), *db_);
    HF_ASSERT(sim_.run_until_done(store_->open(*parse_items(config_.items))).has_value());
    orders_ = std::make_unique<OrderService>(
        sim_.world(), config_, *store_, [this](mq::Message message, mq::LocalExecutor executor, std::any argument) {
          return broker_.send(std::move(message), std::move(executor), std::move(argument));
        });
    edge_ = std::make_unique<HttpEdge>(sim_.world(), config_, *orders_);
  }
  void close() {
    sim_.run_until_done(orders_->close());
    edge_.reset();
    orders_.reset();
    store_.reset();
    sim_.run_until_done(db_->close());
    db_.reset();
  }
  void restart() {
    close();
    open();
  }

  static Answer read(const net::HttpResponse& response) {
    const json::value parsed = json::parse(response.body);
    return {response.status, parsed.as_object(), response.headers};
  }
  static net::HttpRequest request(std::string method, std::string target, std::string body = "", std::string key = "") {
    net::HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    if (!key.empty()) request.headers.add("idempotency-key", std::move(key));
    return request;
  }
  static std::string body(std::int64_t item, std::int64_t quantity, std::string_view channel = R"("sms")") {
    return fmt::format(R"({{"buyer":"b1","item":{},"quantity":{},"channel":{},"phone":"+15551234567"}})", item,
                       quantity, channel);
  }
  Answer call(net::HttpRequest r) { return read(sim_.run_until_done(edge_->handle(std::move(r)))); }
  Answer order(std::int64_t item, std::int64_t quantity, std::string key = "") {
    return call(request("POST", "/orders", body(item, quantity), std::move(key)));
  }
  Answer get(const std::string& target) { return call(request("GET", target)); }
  void check_back() {
    sim_.run_until_done(broker_.check([this](const mq::HalfMessage& half) { return orders_->check(half); }));
  }
  std::int64_t available(std::size_t at = 0) {
    return get("/items").body.at("items").as_array().at(at).at("available").as_int64();
  }
  std::size_t stored_rows() {
    std::function<Result<std::int64_t>(sql::Reader&)> count = [](sql::Reader& reader) -> Result<std::int64_t> {
      HF_TRY(const sql::Rows rows,
             reader.query("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM tx_marker)"));
      return rows.at(0).integer(0);
    };
    return static_cast<std::size_t>(*sim_.run_until_done(db_->read<std::int64_t>(count)));
  }
  void arm(std::string_view faults) { ASSERT_TRUE(sim_.world().faults.arm(faults)); }

  sys::SimWorld sim_;
  ShopConfig config_;
  TestBroker broker_;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<OrderService> orders_;
  std::unique_ptr<HttpEdge> edge_;
};

using State = TestBroker::State;

TEST_F(ShopTest, AnOrderIsConfirmedAndItsMessageCommitted) {
  const Answer answer = order(1, 3);
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.text("status"), "confirmed");
  const std::string id = answer.text("order_id");
  EXPECT_EQ(id.size(), 24U);
  EXPECT_EQ(answer.headers.get("Location"), "/orders/" + id);
  EXPECT_EQ(answer.body.at("total_minor").as_int64(), 3 * 7900);
  EXPECT_EQ(answer.text("phone").find("5551"), std::string::npos) << "masked";
  EXPECT_EQ(available(), 7);
  EXPECT_EQ(broker_.keys_in(State::committed), std::vector<std::string>{id});

  const json::value event = json::parse(broker_.stored.at(id).half.message.body);
  EXPECT_EQ(event.at("source").as_string(), "ecommerce.orders");
  EXPECT_EQ(event.at("detail-type").as_string(), "order.confirmed");
  EXPECT_EQ(event.at("detail").at("order_id").as_string(), id);
  EXPECT_EQ(event.at("detail").at("customer_phone").as_string(), "+15551234567");
  EXPECT_EQ(event.at("detail").at("channel").as_array().at(0).as_string(), "sms");
}

TEST_F(ShopTest, SeveralChannelsAreOneEvent) {
  const Answer answer = call(request("POST", "/orders", body(1, 1, R"(["whatsapp","sms","voice"])")));
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(broker_.stored.size(), 1U);
  const json::value event = json::parse(broker_.stored.begin()->second.half.message.body);
  EXPECT_EQ(event.at("detail").at("channel"), json::value({"sms", "voice", "whatsapp"}));
}

TEST_F(ShopTest, SoldOutIsRefusedAndRememberedAndItsMessageRolledBack) {
  const Answer answer = order(1, 999'999, "k1");
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.error_code(), "sold_out");
  EXPECT_EQ(answer.text("status"), "refused");
  EXPECT_EQ(available(), 10);
  EXPECT_EQ(broker_.keys_in(State::rolled_back), std::vector<std::string>{answer.text("order_id")});
  restart();
  const Answer again = order(1, 999'999, "k1");
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.body, answer.body);
  EXPECT_EQ(broker_.executed, 1);
}

TEST_F(ShopTest, ARepeatedKeyGetsTheSameAnswerAlsoAfterARestart) {
  const Answer first = order(1, 3, "k1");
  const Answer second = order(1, 3, "k1");
  restart();
  const Answer third = order(1, 3, "k1");
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(second.status, 201);
  EXPECT_EQ(third.status, 201);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(third.body, first.body);
  EXPECT_FALSE(first.headers.get("Idempotency-Replayed"));
  EXPECT_EQ(third.headers.get("Idempotency-Replayed"), "true");
  EXPECT_EQ(available(), 7);
  EXPECT_EQ(broker_.stored.size(), 1U);
}

TEST_F(ShopTest, RequestsWithOneKeyAtTheSameTimeAreOneOrder) {
  std::vector<Answer> answers;
  auto one = [&](std::int64_t quantity) -> asio::awaitable<void> {
    answers.push_back(read(co_await edge_->handle(request("POST", "/orders", body(1, quantity), "k1"))));
  };
  for (int i = 0; i < 5; ++i) sim_.spawn(one(3));
  sim_.spawn(one(4));
  sim_.run_for(1s);
  ASSERT_EQ(answers.size(), 6U);
  EXPECT_EQ(std::count_if(answers.begin(), answers.end(), [](const Answer& a) { return a.status == 201; }), 5);
  EXPECT_EQ(std::count_if(answers.begin(), answers.end(), [](const Answer& a) { return a.status == 422; }), 1);
  EXPECT_EQ(available(), 7);
  EXPECT_EQ(broker_.executed, 1);
}

TEST_F(ShopTest, AKeyBelongsToItsRequest) {
  ASSERT_EQ(order(1, 3, "k1").status, 201);
  const Answer other = order(1, 4, "k1");
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.error_code(), "idempotency_key_reused");
  EXPECT_EQ(available(), 7);
}

TEST_F(ShopTest, BadInputStoresNothing) {
  EXPECT_EQ(call(request("POST", "/orders", "{")).status, 400);
  EXPECT_EQ(order(1, -1).status, 422);
  EXPECT_EQ(order(1, 1, "two words").status, 400);
  const Answer unknown = order(99, 1, "k1");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.error_code(), "unknown_item");
  EXPECT_EQ(stored_rows(), 0U);
  EXPECT_TRUE(broker_.stored.empty());
  EXPECT_EQ(order(1, 1, "k1").status, 201) << "a key is spent by a decision alone";
}

TEST_F(ShopTest, PathsAndMethods) {
  EXPECT_EQ(get("/").status, 404);
  EXPECT_EQ(get("/").error_code(), "not_found");
  EXPECT_EQ(get("/orders").status, 405);
  EXPECT_EQ(get("/orders/unknown").status, 404);
  EXPECT_EQ(get("/orders/a%2").status, 400);
  EXPECT_EQ(call(request("DELETE", "/items")).error_code(), "method_not_allowed");
}

TEST_F(ShopTest, TheTimelineOfAnOrder) {
  const std::string id = order(1, 1).text("order_id");
  const Answer found = get("/orders/" + id + "?trace=1");
  EXPECT_EQ(found.status, 200);
  std::vector<std::string> hops;
  std::int64_t last = 0;
  for (const json::value& hop : found.body.at("trace").as_array()) {
    hops.emplace_back(hop.at("hop").as_string());
    EXPECT_GE(hop.at("at_us").as_int64(), last);
    last = hop.at("at_us").as_int64();
  }
  EXPECT_EQ(hops, (std::vector<std::string>{"received", "half_message_acknowledged", "local_transaction_begun",
                                            "local_transaction_committed", "decision_sent", "answered"}));
  EXPECT_FALSE(get("/orders/" + id).body.contains("trace"));
  restart();
  EXPECT_EQ(get("/orders/" + id + "?trace=1").body.at("trace").as_array().size(), 4U) << "what is in the row";
}

TEST_F(ShopTest, TheBrokerIsAway) {
  broker_.half_fails = Error{Code::unavailable, "connection refused"};
  const Answer answer = order(1, 1, "k1");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.error_code(), "broker_unavailable");
  EXPECT_EQ(answer.headers.get("Retry-After"), "1");
  EXPECT_EQ(stored_rows(), 0U);
  broker_.half_fails.reset();
  EXPECT_EQ(order(1, 1, "k1").status, 201);
}

TEST_F(ShopTest, AHalfMessageWhoseAcknowledgementWasLostIsRolledBack) {
  broker_.half_fails = Error{Code::timeout, "no answer"};
  broker_.half_is_stored_anyway = true;
  EXPECT_EQ(order(1, 1).status, 503);
  check_back();
  EXPECT_EQ(broker_.keys_in(State::rolled_back).size(), 1U);
  EXPECT_EQ(available(), 10);
}

TEST_F(ShopTest, ALostDecisionIsFoundByCheckBack) {
  broker_.decisions_are_lost = true;
  const Answer confirmed = order(1, 1), refused = order(2, 1);
  EXPECT_EQ(confirmed.status, 201);
  EXPECT_EQ(refused.status, 409);
  restart();
  check_back();
  EXPECT_EQ(broker_.keys_in(State::committed), std::vector<std::string>{confirmed.text("order_id")});
  EXPECT_EQ(broker_.keys_in(State::rolled_back), std::vector<std::string>{refused.text("order_id")});
}

TEST_F(ShopTest, DiedBeforeTheLocalTransaction) {
  for (const char* point : {"shop.after_half=error:1", "shop.before_begin=error:1", "shop.before_commit=error:1"}) {
    arm(point);
    EXPECT_EQ(order(1, 1).status, 503) << point;
  }
  EXPECT_EQ(stored_rows(), 0U);
  check_back();
  EXPECT_EQ(broker_.keys_in(State::rolled_back).size(), 3U);
  const std::string id = broker_.keys_in(State::rolled_back).front();
  EXPECT_EQ(get("/orders/" + id).text("status"), "rolled_back");
  EXPECT_EQ(available(), 10);
}

TEST_F(ShopTest, DiedAfterTheCommit) {
  for (const char* point : {"shop.after_commit=error:1", "shop.before_end_tx=error:1"}) {
    arm(point);
    EXPECT_EQ(order(1, 1).status, 201) << point << ": the order stands, the broker asks";
  }
  EXPECT_EQ(broker_.keys_in(State::pending).size(), 2U);
  check_back();
  EXPECT_EQ(broker_.keys_in(State::committed).size(), 2U);
}

TEST_F(ShopTest, ALostCommitAnswerIsPendingUntilItIsLookedUp) {
  arm("sql.after_commit=error:1");
  const Answer answer = order(1, 1, "k1");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.text("status"), "pending");
  const std::string id = answer.text("order_id");
  EXPECT_EQ(answer.headers.get("Location"), "/orders/" + id);
  EXPECT_EQ(broker_.keys_in(State::pending), std::vector<std::string>{id});
  EXPECT_EQ(get("/orders/" + id).text("status"), "confirmed");
  EXPECT_EQ(order(1, 1, "k1").text("order_id"), id);
  check_back();
  EXPECT_EQ(broker_.keys_in(State::committed), std::vector<std::string>{id});
}

TEST_F(ShopTest, ALostAnswerIsHealedByRepeating) {
  for (const char* point : {"shop.after_end_tx=error:1", "shop.before_answer=error:1"}) {
    arm(point);
    const Answer lost = order(1, 1, point);
    EXPECT_TRUE(lost.status == 202 || lost.status == 503) << point;
    const Answer again = order(1, 1, point);
    EXPECT_EQ(again.status, 201) << point;
    EXPECT_EQ(get("/orders/" + again.text("order_id")).text("status"), "confirmed");
  }
  EXPECT_EQ(available(), 8);
}

TEST_F(ShopTest, ATransactionThatCheckBackOvertookIsFencedOut) {
  // The check comes between the half message and the commit: the local transaction sleeps before it begins.
  arm("shop.before_begin=delay:60000");
  Answer answer;
  auto late = [&]() -> asio::awaitable<void> {
    answer = read(co_await edge_->handle(request("POST", "/orders", body(1, 1), "k1")));
  };
  sim_.spawn(late());
  sim_.run_for(1s);
  check_back();
  sim_.run_for(2min);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.error_code(), "rolled_back");
  EXPECT_EQ(available(), 10);
  EXPECT_EQ(broker_.keys_in(State::rolled_back).size(), 1U);
  sim_.world().faults.disarm_all();
  EXPECT_EQ(order(1, 1, "k1").status, 201) << "the key is free for a fresh try";
}

TEST_F(ShopTest, TooManyAtOnceAreRefusedEarly) {
  close();
  config_.orders_in_flight = 3;
  open();
  std::map<int, int> statuses;
  auto one = [&]() -> asio::awaitable<void> {
    ++statuses[read(co_await edge_->handle(request("POST", "/orders", body(1, 1)))).status];
  };
  for (int i = 0; i < 5; ++i) sim_.spawn(one());
  sim_.run_for(1s);
  EXPECT_EQ(statuses, (std::map<int, int>{{201, 3}, {503, 2}}));
  EXPECT_EQ(order(1, 1).status, 201);
}

TEST_F(ShopTest, AFullDiskRefusesAndRecovers) {
  sim_.disk().set_capacity(sim_.disk().content("/data/shop.db").size() +
                           sim_.disk().content("/data/shop.db-wal").size());
  const Answer answer = order(1, 1, "k1");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.error_code(), "database_unavailable");
  sim_.disk().set_capacity(UINT64_MAX);
  EXPECT_EQ(order(1, 1, "k1").status, 201);
  check_back();
  EXPECT_EQ(broker_.keys_in(State::committed).size(), 1U);
  EXPECT_EQ(broker_.keys_in(State::rolled_back).size(), 1U);
}

/// The machine dies at random operations; afterwards every acknowledged order is there, each commit has its marker, and
/// stock adds up.
class ShopPowerLoss : public ShopTest, public ::testing::WithParamInterface<int> {};

TEST_P(ShopPowerLoss, KeepsItsPromises) {
  sys::SeededRandom random(static_cast<std::uint64_t>(GetParam()));
  std::set<std::string> confirmed;
  for (int life = 0; life < 3; ++life) {
    sim_.disk().fail_operation(1 + random.below(60), Error{Code::unavailable, "power"}, UINT64_MAX);
    for (int i = 0; i < 8; ++i) {
      const Answer answer = order(1, 1, fmt::format("k{}-{}", life, i));
      if (answer.status == 201) confirmed.insert(answer.text("order_id"));
    }
    sim_.disk().crash(sys::SimDisk::Unsynced::torn);
    edge_.reset(), orders_.reset(), store_.reset(), db_.reset();
    open();
    check_back();
    const std::vector<std::string> committed = broker_.keys_in(State::committed);
    for (const std::string& id : confirmed) {
      EXPECT_EQ(get("/orders/" + id).text("status"), "confirmed") << "acknowledged and lost: " << id;
      EXPECT_NE(std::find(committed.begin(), committed.end(), id), committed.end()) << "no message: " << id;
    }
    EXPECT_EQ(available(), 10 - static_cast<std::int64_t>(committed.size())) << "a message for each sale, and no other";
    EXPECT_TRUE(broker_.keys_in(State::pending).empty());
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, ShopPowerLoss, ::testing::Range(1, 21));

}  // namespace
}  // namespace hf::shop
