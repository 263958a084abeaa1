/// The two-phase commit shop on a simulated disk and network (SQLite: reservation branches): what customers see, what
/// the stores hold, what is lost on the way and heals.

#include "two_phase/sim_shop.h"

namespace hf::test {
namespace {

namespace json = boost::json;

using Orders = SimShop;

TEST_F(Orders, AnOrderIsConfirmedWhenBothStoresAre) {
  start();
  const net::HttpResponse answer = place("card1", 1, 2);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "Order placed successfully!");
  EXPECT_TRUE(xid_of(answer).starts_with("hf1.local.")) << xid_of(answer);
  sim.run_for(1s);
  EXPECT_EQ(stock(0), 98);
  EXPECT_EQ(balance(0), 960);
  EXPECT_EQ(status_of(id_of(answer)), "confirmed");
  audit();
  EXPECT_EQ(told(), (std::map<std::string, int>{{id_of(answer), 1}}));
  const json::value story = get("coordinator", "/2pc/v1/tx/" + xid_of(answer) + "/outcome");
  EXPECT_EQ(story.at("outcome").as_string(), "committed");
  EXPECT_TRUE(story.at("finished").as_bool());
}

TEST_F(Orders, EachItemHasItsPrice) {
  start();
  EXPECT_EQ(place("card3", 1, 1).status, 200);
  EXPECT_EQ(place("card3", 2, 2).status, 200);
  EXPECT_EQ(place("card3", 3, 3).status, 200);
  EXPECT_EQ(place("card3", 4, 4).status, 200);
  sim.run_for(1s);
  EXPECT_EQ(balance(2), 5000 - 20 - 2 * 25 - 3 * 18 - 4 * 60);
  EXPECT_EQ(stock(0), 99);
  EXPECT_EQ(stock(1), 148);
  EXPECT_EQ(stock(2), 197);
  EXPECT_EQ(stock(3), 6);
  audit();
}

TEST_F(Orders, WhatIsNoOrderBeginsNothing) {
  start();
  EXPECT_EQ(place("card1", 1, 0).body, "Invalid Order Request!");
  EXPECT_EQ(place("card1", 1, -1).body, "Invalid Order Request!");
  EXPECT_EQ(place("card1", 1, 0).status, 400);
  EXPECT_EQ(call("orders", "POST", "/placeOrder", R"({"cardNo":"card1","itemId":"1","qty":1})").status, 400);
  EXPECT_EQ(call("orders", "POST", "/placeOrder", R"({"cardNo":"card1","qty":1})").status, 400);
  EXPECT_EQ(call("orders", "POST", "/placeOrder", "{").status, 400);
  EXPECT_EQ(call("orders", "GET", "/placeOrder").status, 405);
  EXPECT_TRUE(network.seen.empty()) << network.seen.begin()->first;
}

TEST_F(Orders, ARefusalSaysWhyAndChangesNothing) {
  start();
  struct Case {
    std::string_view card;
    std::int64_t item, qty;
    std::string_view text;
  };
  constexpr Case kCases[] = {
      {"cardX", 1, 2, "Payment failed! Card not found!"},
      {"card1", 1, 60, "Payment failed! Insufficient balance!"},  // 1200 of 1000
      {"card1", 9, 1, "Item not found!"},
      {"card3", 4, 11, "Insufficient stock!"},
  };
  for (const Case& c : kCases) {
    const net::HttpResponse answer = place(c.card, c.item, c.qty);
    EXPECT_EQ(answer.status, 409) << c.text;
    EXPECT_EQ(answer.body, c.text);
    EXPECT_EQ(status_of(id_of(answer)), "refused");
    const json::value outcome = get("coordinator", "/2pc/v1/tx/" + xid_of(answer) + "/outcome");
    EXPECT_EQ(outcome.at("outcome").as_string(), "aborted");
  }
  sim.run_for(1s);
  EXPECT_EQ(balance(0), 1000);
  EXPECT_EQ(stock(0), 100);
  EXPECT_EQ(stock(3), 10);
  audit();
  EXPECT_TRUE(told().empty());
}

TEST_F(Orders, ServicesWorkOnlyInsideATransaction) {
  start();
  const net::HttpResponse pay = call("payment", "POST", "/payment/pay", R"({"cardNo":"card1","amount":40})");
  EXPECT_EQ(pay.status, 403);
  EXPECT_NE(pay.body.find("only inside a transaction"), std::string::npos) << pay.body;
  EXPECT_EQ(call("inventory", "POST", "/inventory/updateStock", order_body("card1", 1, 2)).status, 403);
  EXPECT_EQ(call("inventory", "POST", "/inventory/getTotalPrice", order_body("card1", 1, 2)).body, "40");
  EXPECT_EQ(call("inventory", "POST", "/inventory/getTotalPrice", order_body("card1", 4, 11)).body,
            "Insufficient stock!");
  EXPECT_EQ(call("inventory", "POST", "/inventory/getTotalPrice", order_body("card1", 9, 1)).status, 404);
  EXPECT_EQ(call("payment", "POST", "/payment/pay", R"({"cardNo":"card1","amount":-40})").status, 400);
  EXPECT_EQ(call("payment", "POST", "/payment/steal").status, 404);
  sim.run_for(1s);
  EXPECT_EQ(balance(0), 1000);
  audit();
}

TEST_F(Orders, AnUnknownItemDoesNotPassUpdateStock) {
  start();
  const json::value tx = json::parse(call("coordinator", "POST", "/2pc/v1/tx", "{}").body);
  net::HttpHeaders headers;
  headers.add("x-b7a-xid", std::string(tx.at("gtrid").as_string()));
  headers.add("x-b7a-register-at", std::string(tx.at("register_at").as_string()));
  const net::HttpResponse update =
      call("inventory", "POST", "/inventory/updateStock", order_body("card1", 9, 1), headers);
  EXPECT_EQ(update.status, 404);
  EXPECT_EQ(update.body, "Error while updating stock: Item not found or insufficient quantity available.");
  // A caller that hides the error and asks for commit all the same.
  const net::HttpResponse commit =
      call("coordinator", "POST", "/2pc/v1/tx/" + std::string(tx.at("gtrid").as_string()) + "/commit", "{}");
  EXPECT_EQ(json::parse(commit.body).at("outcome").as_string(), "aborted") << commit.body;
}

/// `orders` at once; how many were placed.
struct Tally {
  int placed = 0, refused = 0, other = 0;
};
asio::awaitable<void> place_one(net::HttpHandler orders, std::string body, Tally& tally) {
  net::HttpRequest request;
  request.method = "POST";
  request.target = "/placeOrder";
  request.body = std::move(body);
  const net::HttpResponse answer = co_await orders(std::move(request));
  ++(answer.status == 200 ? tally.placed : answer.status == 409 ? tally.refused : tally.other);
}

TEST_F(Orders, TenPiecesAreSoldTenTimes) {
  start();
  Tally tally;
  for (int i = 0; i < 200; ++i) sim.spawn(place_one(services->handler("orders"), order_body("card3", 4, 1), tally));
  sim.run_for(1min);
  EXPECT_EQ(tally.placed, 10);
  EXPECT_EQ(tally.refused, 190);
  EXPECT_EQ(stock(3), 0);
  EXPECT_EQ(balance(2), 5000 - 10 * 60);
  audit();
  EXPECT_EQ(told().size(), 10U);
}

TEST_F(Orders, NoCardGoesBelowZero) {
  start();
  Tally tally;
  for (int i = 0; i < 200; ++i) sim.spawn(place_one(services->handler("orders"), order_body("card1", 2, 1), tally));
  sim.run_for(1min);
  EXPECT_EQ(tally.placed, 40);
  EXPECT_EQ(tally.refused, 160);
  EXPECT_EQ(balance(0), 0);
  EXPECT_EQ(stock(1), 110);
  audit();
}

json::object step_of(const json::value& trace, std::string_view name) {
  for (const json::value& step : trace.at("steps").as_array()) {
    if (step.at("name").as_string() == name) return step.as_object();
  }
  ADD_FAILURE() << "no step " << name;
  return {};
}

TEST_F(Orders, ThePartsAreCalledAtOnce) {
  start();
  network.latency_max = 20ms;
  const net::HttpResponse answer = place("card1", 1, 2);
  sim.run_for(1s);
  const json::value trace = get("orders", "/orders/" + id_of(answer) + "/trace");
  EXPECT_EQ(trace.at("transaction_id").as_string(), xid_of(answer));
  const json::object pay = step_of(trace, "payment.pay"), update = step_of(trace, "inventory.updateStock");
  EXPECT_LT(pay.at("begun_at_us").as_int64(), update.at("ended_at_us").as_int64());
  EXPECT_LT(update.at("begun_at_us").as_int64(), pay.at("ended_at_us").as_int64());
  for (const json::object& step : {pay, update}) {
    EXPECT_EQ(step.at("headers").at("x-b7a-xid").as_string(), xid_of(answer));
    EXPECT_TRUE(step.at("headers").as_object().contains("x-b7a-register-at"));
  }
  for (const char* name : {"begin", "inventory.getTotalPrice", "register", "commit", "completion"}) {
    EXPECT_FALSE(step_of(trace, name).empty());
  }
  EXPECT_EQ(get("orders", "/transactions/" + xid_of(answer) + "/trace"), trace);
}

TEST_F(Orders, OrOneAfterTheOther) {
  config.orders.calls = "sequential";
  start();
  const net::HttpResponse answer = place("card1", 1, 2);
  EXPECT_EQ(answer.status, 200);
  const json::value trace = get("orders", "/orders/" + id_of(answer) + "/trace");
  EXPECT_LE(step_of(trace, "payment.pay").at("ended_at_us").as_int64(),
            step_of(trace, "inventory.updateStock").at("begun_at_us").as_int64());
}

TEST_F(Orders, NobodySeesConfirmedWhileAStoreLacksItsHalf) {
  config.link.ask_after = 1h;  // or inventory finds out by itself
  start();
  bool inventory_away = true;
  network.fate = [&](const net::HttpRequest&, const std::string& url) {
    return inventory_away && url.starts_with("http://inventory") && url.ends_with("/notify") ? Fate::refuse
                                                                                             : Fate::pass;
  };
  const net::HttpResponse answer = place("card1", 1, 2);
  EXPECT_EQ(answer.status, 200) << "the decision is durable";
  for (int i = 0; i < 20; ++i) {
    sim.run_for(1s);
    EXPECT_EQ(status_of(id_of(answer)), "processing");
    EXPECT_EQ(number("inventory", "/inventory/stock", "stock", 0, "sold"), 0);
  }
  EXPECT_EQ(balance(0), 960);
  audit(false);
  EXPECT_TRUE(told().empty());
  inventory_away = false;
  sim.run_for(30s);
  EXPECT_EQ(status_of(id_of(answer)), "confirmed");
  audit();
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(Orders, TheSameKeyGetsTheSameAnswer) {
  start();
  const net::HttpResponse first = place("card1", 1, 2, "k1");
  const net::HttpResponse again = place("card1", 1, 2, "k1");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(id_of(again), id_of(first));
  EXPECT_EQ(place("card1", 1, 3, "k1").status, 422);
  const net::HttpResponse refused = place("cardX", 1, 2, "k2");
  sim.run_for(1s);
  const net::HttpResponse later = place("card1", 1, 2, "k1");
  EXPECT_EQ(later.status, 200);
  EXPECT_EQ(later.headers.get("Idempotency-Replayed"), "true");
  EXPECT_EQ(place("cardX", 1, 2, "k2").body, refused.body);
  EXPECT_EQ(id_of(place("cardX", 1, 2, "k2")), id_of(refused));
  EXPECT_EQ(place("card1", 1, 2, std::string("bad key")).status, 400);
  EXPECT_EQ(stock(0), 98);
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(Orders, ALostPrepareAnswerAbortsEverywhereAndTheOrderIsTriedAgain) {
  start();
  int lost = 0;
  network.fate = [&](const net::HttpRequest&, const std::string& url) {
    if (!url.starts_with("http://inventory") || !url.ends_with("/prepare") || lost > 0) return Fate::pass;
    ++lost;
    return Fate::lose_answer;
  };
  const net::HttpResponse answer = place("card1", 1, 2);
  EXPECT_EQ(lost, 1);
  EXPECT_EQ(answer.status, 200) << answer.body;
  sim.run_for(30s);
  EXPECT_EQ(get("orders", "/orders/" + id_of(answer)).at("tries").as_int64(), 2);
  EXPECT_EQ(stock(0), 98) << "the prepared branch of the first try was rolled back";
  audit();
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(Orders, AServiceThatIsAwayIsA503AndTheKeyIsFree) {
  start();
  bool away = true;
  network.fate = [&](const net::HttpRequest&, const std::string& url) {
    return away && url.starts_with("http://payment") ? Fate::refuse : Fate::pass;
  };
  const net::HttpResponse answer = place("card1", 1, 2, "k1");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.get("Retry-After"), "1");
  sim.run_for(1s);
  EXPECT_EQ(stock(0), 100);
  away = false;
  EXPECT_EQ(place("card1", 1, 2, "k1").status, 200);
  sim.run_for(1s);
  audit();
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(Orders, ACoordinatorThatIsAwayIsA503) {
  start();
  sim.run_until_done(services->stop_coordinator());
  const net::HttpResponse answer = place("card1", 1, 2);
  EXPECT_EQ(answer.status, 503);
  ASSERT_TRUE(sim.run_until_done(services->start_coordinator()));
  EXPECT_EQ(place("card1", 1, 2).status, 200);
  sim.run_for(1s);
  audit();
}

TEST_F(Orders, ACommitWhoseAnswerIsLostIsLookedUp) {
  start();
  bool lose = true;
  network.fate = [&](const net::HttpRequest&, const std::string& url) {
    return lose && url.ends_with("/commit") ? Fate::lose_answer : Fate::pass;
  };
  const net::HttpResponse answer = place("card1", 1, 2, "k1");
  EXPECT_EQ(answer.status, 202) << answer.body;
  EXPECT_FALSE(id_of(answer).empty());
  sim.run_for(5s);
  EXPECT_EQ(status_of(id_of(answer)), "confirmed") << "the completion came all the same";
  EXPECT_EQ(place("card1", 1, 2, "k1").status, 200);
  EXPECT_EQ(stock(0), 98);
  audit();
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(Orders, ACommitThatNeverArrivesIsAborted) {
  start();
  bool lose = true;
  network.fate = [&](const net::HttpRequest&, const std::string& url) {
    return lose && url.ends_with("/commit") ? Fate::lose_request : Fate::pass;
  };
  const net::HttpResponse answer = place("card1", 1, 2, "k1");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(place("card1", 1, 2, "k1").status, 202) << "nobody says what is not known";
  sim.run_for(5s);
  EXPECT_EQ(status_of(id_of(answer)), "aborted");
  lose = false;
  EXPECT_EQ(place("card1", 1, 2, "k1").status, 200) << "the key is free again";
  sim.run_for(1s);
  EXPECT_EQ(stock(0), 98);
  audit();
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(Orders, OrdersLeftByAnEarlierProcessAreAskedAbout) {
  start();
  bool lose = true;
  network.fate = [&](const net::HttpRequest&, const std::string& url) {
    return lose && url.find("/completion/") != std::string::npos ? Fate::refuse : Fate::pass;
  };
  const net::HttpResponse committed = place("card1", 1, 2);
  EXPECT_EQ(committed.status, 200);
  network.fate = [&](const net::HttpRequest&, const std::string& url) {
    return lose && (url.ends_with("/commit") || url.ends_with("/outcome")) ? Fate::lose_request
           : lose && url.find("/completion/") != std::string::npos         ? Fate::refuse
                                                                           : Fate::pass;
  };
  const net::HttpResponse never = place("card2", 1, 3);
  EXPECT_EQ(never.status, 202);
  sim.run_until_done(services->stop_orders());
  ASSERT_TRUE(sim.run_until_done(services->start_orders()));
  EXPECT_EQ(status_of(id_of(committed)), "processing");
  EXPECT_EQ(status_of(id_of(never)), "processing");
  lose = false;
  sim.run_for(1min);
  EXPECT_EQ(status_of(id_of(committed)), "confirmed");
  EXPECT_EQ(status_of(id_of(never)), "aborted");
  EXPECT_EQ(stock(0), 98);
  audit();
  EXPECT_EQ(told(), (std::map<std::string, int>{{id_of(committed), 1}}));
}

TEST_F(Orders, EachFaultPointFailsOnce) {
  start();
  int number = 0;
  for (const char* point :
       {"shop.tx_begun", "shop.tx_stored", "shop.tx_worked", "shop.tx_decided", "shop.tx_completion",
        "shop.tx_confirmed", "shop.before_answer", "sql.before_commit", "sql.after_commit"}) {
    ASSERT_TRUE(sim.world().faults.arm(fmt::format("{}=error:1", point)));
    const std::string key = fmt::format("k{}", ++number);
    (void)place("card3", 3, 1, key);
    sim.world().faults.disarm_all();
    sim.run_for(10s);
    const net::HttpResponse healed = place("card3", 3, 1, key);
    EXPECT_EQ(healed.status, 200) << point << ": repeating with the key heals it: " << healed.body;
  }
  sim.run_for(1min);
  EXPECT_EQ(stock(2), 200 - number);
  EXPECT_EQ(balance(2), 5000 - number * 18);
  audit();
  EXPECT_EQ(told().size(), static_cast<std::size_t>(number));
}

/// Checks 26, 27 and 41: any message of any kind is refused, lost, answered into nothing, or comes twice.
class BadNetwork : public SimShop, public ::testing::WithParamInterface<int> {
 protected:
  BadNetwork() : SimShop(static_cast<std::uint64_t>(GetParam())) {}
};

TEST_P(BadNetwork, EndsWithEveryOrderInBothStoresOrInNone) {
  start();
  sys::SeededRandom random(static_cast<std::uint64_t>(GetParam()));
  network.fate = [&](const net::HttpRequest&, const std::string&) {
    const std::uint64_t draw = random.below(100);
    return draw < 3    ? Fate::refuse
           : draw < 6  ? Fate::lose_request
           : draw < 9  ? Fate::lose_answer
           : draw < 14 ? Fate::twice
                       : Fate::pass;
  };
  constexpr int kOrders = 40;
  std::map<std::string, int> answers;  // by order id
  auto buy = [&](int i) -> asio::awaitable<void> {
    const int buyer = i;
    net::HttpHeaders headers;
    headers.add("Idempotency-Key", fmt::format("k{}", buyer));
    const net::HttpResponse answer = co_await start_call("orders", "POST", "/placeOrder",
                                                         order_body("card3", 1 + buyer % 4, 1 + buyer % 3), headers);
    if (!id_of(answer).empty()) answers[id_of(answer)] = answer.status;
  };
  for (int i = 0; i < kOrders; ++i) {
    sim.spawn(buy(i));
    sim.run_for(20ms);
  }
  sim.run_for(1min);
  network.fate = nullptr;
  sim.run_for(10min);
  audit();
  const std::map<std::string, int> confirmations = told();
  std::int64_t charged = 0;
  for (const auto& [id, status] : answers) {
    const json::value order = get("orders", "/orders/" + id);
    const std::string state(order.at("status").as_string());
    EXPECT_NE(state, "processing") << id;
    if (status == 200) EXPECT_EQ(state, "confirmed") << id;
    if (status == 409) EXPECT_EQ(state, "refused") << id;
    EXPECT_EQ(confirmations.contains(id), state == "confirmed") << id;
    if (state == "confirmed") charged += order.at("total").as_int64();
  }
  EXPECT_EQ(balance(2), 5000 - charged);
  EXPECT_LE(confirmations.size(), answers.size());
  for (const auto& [id, times] : confirmations) EXPECT_EQ(times, 1) << id;
}
INSTANTIATE_TEST_SUITE_P(Seeds, BadNetwork, ::testing::Range(1, 21));

/// Checks 16 to 25 and 40, all at once: the power of the whole machine goes at any disk operation.
class PowerCut : public SimShop, public ::testing::WithParamInterface<int> {
 protected:
  PowerCut() : SimShop(static_cast<std::uint64_t>(GetParam())) {}
};

TEST_P(PowerCut, LeavesEveryOrderInBothStoresOrInNone) {
  sys::SeededRandom random(static_cast<std::uint64_t>(GetParam()));
  start();
  std::set<std::string> placed;
  auto buy = [&](int number) -> asio::awaitable<void> {
    net::HttpHeaders headers;
    headers.add("Idempotency-Key", fmt::format("k{}", number));
    const int item = 1 + number % 4;
    const net::HttpResponse answer =
        co_await start_call("orders", "POST", "/placeOrder", order_body("card3", item, 1), headers);
    if (answer.status == 200) placed.insert(id_of(answer));
  };
  for (int life = 0; life < 3; ++life) {
    sim.disk().fail_operation(1 + random.below(300), Error{Code::unavailable, "power"}, UINT64_MAX);
    for (int i = 0; i < 20; ++i) {
      sim.spawn(buy(life * 10 + i));
      sim.run_for(1ms);
    }
    sim.run_for(30s);
    stop();
    sim.disk().crash(random.below(2) == 0 ? sys::SimDisk::Unsynced::torn : sys::SimDisk::Unsynced::lost);
    start();
    if (HasFatalFailure()) return;
  }
  sim.run_for(10min);
  audit();
  const std::map<std::string, int> confirmations = told();
  std::int64_t charged = 0;
  for (const auto& [id, times] : confirmations) {
    EXPECT_GE(times, 1) << id;  // a power cut between publishing and noting it: once more, with the same key
    const json::value order = get("orders", "/orders/" + id);
    EXPECT_EQ(order.at("status").as_string(), "confirmed");
    charged += order.at("total").as_int64();
  }
  EXPECT_EQ(balance(2), 5000 - charged);
  for (const std::string& id : placed) EXPECT_TRUE(confirmations.contains(id)) << id << " was promised";
}
INSTANTIATE_TEST_SUITE_P(Seeds, PowerCut, ::testing::Range(1, 21));

}  // namespace
}  // namespace hf::test
