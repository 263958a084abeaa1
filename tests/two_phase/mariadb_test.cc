/// The two-phase commit shop over real HTTP, with payment and inventory on two real MariaDB servers: XA branches.

#include "shop/two_phase/inventory_store.h"
#include "sql/xa.h"
#include "two_phase/real_shop.h"

namespace hf::test {
namespace {

namespace json = boost::json;

using TwoServers = RealShop;

struct Tally {
  int placed = 0, refused = 0, other = 0, done = 0;
};

/// For hundreds of orders on one row. Each holds it until its end, and who waits longer than a second begins anew: on a
/// slow machine that takes more tries, and longer, than a customer is given.
void give_time(ServicesConfig& config) {
  config.orders.answer_within = 2min;
  config.orders.tries = 20;
}

asio::awaitable<void> place_one(asio::awaitable<net::HttpResponse> asked, Tally& tally) {
  const net::HttpResponse answer = co_await std::move(asked);
  ++(answer.status == 200 ? tally.placed : answer.status == 409 ? tally.refused : tally.other);
  if (answer.status != 200 && answer.status != 409) ADD_FAILURE() << answer.status << " " << answer.body;
  ++tally.done;
}

TEST_F(TwoServers, AnOrderChangesBothOrNone) {
  start();
  const net::HttpResponse price =
      call("POST", config.inventory_url + "/inventory/getTotalPrice", order_body("card1", 1, 2));
  EXPECT_EQ(price.body, "40");
  EXPECT_EQ(price.headers.get("x-holdfast-keeps"), "xa");
  const net::HttpResponse placed = place("card1", 1, 2);
  EXPECT_EQ(placed.status, 200) << placed.body;
  EXPECT_EQ(placed.body, "Order placed successfully!");
  EXPECT_TRUE(confirmed(placed));
  EXPECT_EQ(stock(0), 98);
  EXPECT_EQ(balance(0), 960);

  EXPECT_EQ(place("cardX", 1, 2).body, "Payment failed! Card not found!");
  EXPECT_EQ(place("CARD1", 1, 2).body, "Payment failed! Card not found!") << "a card is its bytes";
  EXPECT_EQ(place("card1", 1, 60).body, "Payment failed! Insufficient balance!");
  EXPECT_EQ(place("card1", 9, 1).body, "Item not found!");
  EXPECT_EQ(place("card3", 4, 11).body, "Insufficient stock!");
  EXPECT_EQ(stock(0), 98);
  EXPECT_EQ(balance(0), 960);
  EXPECT_EQ(balance(2), 5000);
  EXPECT_TRUE(eventually([&] { return loop.run_until_done(services->payment->branches().in_doubt())->empty(); }));
  audit();
}

TEST_F(TwoServers, TheTablesAreTheExamples) {
  start();
  struct Column {
    std::string name, type, null, key;
    bool operator==(const Column&) const = default;
  };
  const auto describe = [&](sql::Database& database, std::string table) {
    std::function<Result<std::vector<Column>>(sql::Reader&)> work =
        [table](sql::Reader& reader) -> Result<std::vector<Column>> {
      HF_TRY(const sql::Rows rows, reader.query("DESCRIBE " + table));
      std::vector<Column> columns;
      for (const sql::Row& row : rows) {
        columns.push_back({row.text(0), row.text(1).substr(0, row.text(1).find('(')), row.text(2), row.text(3)});
      }
      return columns;
    };
    return loop.run_until_done(database.read<std::vector<Column>>(std::move(work))).value();
  };
  EXPECT_EQ(describe(*services->payment_db, "Payments"),
            (std::vector<Column>{{"cardno", "varchar", "NO", "PRI"}, {"amount", "int", "NO", ""}}));
  EXPECT_EQ(describe(*services->inventory_db, "Stock"),
            (std::vector<Column>{
                {"itemId", "int", "NO", "PRI"}, {"amount", "int", "YES", ""}, {"unitPrice", "int", "YES", ""}}));
}

TEST_F(TwoServers, TenPiecesAreSoldTenTimes) {
  give_time(config);
  start();
  Tally tally;
  for (int i = 0; i < 200; ++i) {
    tasks.spawn("order", place_one(ask("POST", config.orders_url + "/placeOrder", order_body("card3", 4, 1)), tally));
  }
  EXPECT_TRUE(eventually([&] { return tally.done == 200; }, 150s)) << tally.done;
  EXPECT_EQ(tally.placed, 10);
  EXPECT_EQ(tally.refused, 190);
  EXPECT_TRUE(eventually([&] { return stock(3) == 0 && balance(2) == 5000 - 10 * 60; }));
  EXPECT_TRUE(eventually([&] { return loop.run_until_done(services->payment->branches().in_doubt())->empty(); }));
  audit();
}

TEST_F(TwoServers, NoCardGoesBelowZero) {
  config.inventory.stock = {"1;1000;50"};
  give_time(config);
  start();
  Tally tally;
  for (int i = 0; i < 200; ++i) {
    tasks.spawn("order", place_one(ask("POST", config.orders_url + "/placeOrder", order_body("card1", 1, 1)), tally));
  }
  EXPECT_TRUE(eventually([&] { return tally.done == 200; }, 150s)) << tally.done;
  EXPECT_EQ(tally.placed, 20);
  EXPECT_EQ(tally.refused, 180);
  EXPECT_TRUE(eventually([&] { return balance(0) == 0 && stock(0) == 980; }));
  EXPECT_TRUE(eventually([&] { return loop.run_until_done(services->payment->branches().in_doubt())->empty(); }));
  audit();
}

TEST_F(TwoServers, ADatabaseKilledBetweenPrepareAndCommitCommitsAfterItsReturn) {
  start();
  hold = [&](const std::string& url) { return url.starts_with(config.inventory_url) && url.ends_with("/notify"); };
  const net::HttpResponse placed = place("card1", 1, 2);
  EXPECT_EQ(placed.status, 200) << "the decision is durable: " << placed.body;
  sql::mysql::LocalServer& server = *Servers::get().inventory;
  server.kill_now();
  ASSERT_TRUE(server.start_again());
  EXPECT_EQ(status_of(placed), "processing");
  hold = nullptr;
  EXPECT_TRUE(confirmed(placed));
  EXPECT_EQ(stock(0), 98);
  EXPECT_EQ(balance(0), 960);
  audit();
}

TEST_F(TwoServers, AServiceStartsWhileABranchInDoubtHoldsItsRows) {
  config.link.ask_after = 1h;
  start();
  hold = [&](const std::string& url) { return url.starts_with(config.inventory_url) && url.ends_with("/notify"); };
  const net::HttpResponse placed = place("card1", 1, 2);
  EXPECT_EQ(placed.status, 200) << placed.body;
  loop.run_until_done(services->stop_inventory());
  const Result<void> started = loop.run_until_done(services->start_inventory());
  EXPECT_TRUE(started) << started.error().to_string();
  EXPECT_EQ(loop.run_until_done(services->inventory->branches().in_doubt())->size(), 1U);
  hold = nullptr;
  EXPECT_TRUE(confirmed(placed));
  audit();
}

TEST_F(TwoServers, OneServerDownIsA503AndTheOtherIsUnchanged) {
  start();
  sql::mysql::LocalServer& server = *Servers::get().payment;
  server.kill_now();
  const net::HttpResponse answer = place("card1", 1, 2);
  EXPECT_EQ(answer.status, 503) << answer.body;
  EXPECT_TRUE(answer.headers.get("Retry-After").has_value());
  EXPECT_EQ(stock(0), 100);
  ASSERT_TRUE(server.start_again());
  EXPECT_TRUE(eventually([&] { return place("card1", 1, 2).status == 200; }));
  EXPECT_TRUE(eventually([&] { return stock(0) == 98 && balance(0) == 960; }));
  EXPECT_TRUE(eventually([&] { return loop.run_until_done(services->inventory->branches().in_doubt())->empty(); }));
  audit();
}

struct Tx {
  std::string gtrid;
  net::HttpHeaders headers;
};

class Deadlock : public RealShop {
 protected:
  Tx begin() {
    const json::value begun = json::parse(call("POST", config.coordinator_url + "/2pc/v1/tx", "{}").body);
    Tx tx{std::string(begun.at("gtrid").as_string()), {}};
    tx.headers.add("x-b7a-xid", tx.gtrid);
    tx.headers.add("x-b7a-register-at", std::string(begun.at("register_at").as_string()));
    return tx;
  }
  net::HttpResponse take(const Tx& tx, std::int64_t item) {
    return call("POST", config.inventory_url + "/inventory/updateStock", order_body("card1", item, 1), tx.headers);
  }
  std::string commit(const Tx& tx) {
    const net::HttpResponse answer = call("POST", config.coordinator_url + "/2pc/v1/tx/" + tx.gtrid + "/commit", "{}");
    return std::string(json::parse(answer.body).at("outcome").as_string());
  }
};

TEST_F(Deadlock, InsideABranchLeadsToItsAbortAndToNothingStuck) {
  start();
  const Tx one = begin(), two = begin();
  EXPECT_EQ(take(one, 1).status, 200);
  EXPECT_EQ(take(two, 2).status, 200);
  int first = 0, second = 0;
  auto cross = [&](const Tx& tx, std::int64_t item, int& status) -> asio::awaitable<void> {
    const std::string body = order_body("card1", item, 1);
    status = (co_await ask("POST", config.inventory_url + "/inventory/updateStock", body, tx.headers)).status;
  };
  tasks.spawn("order", cross(one, 2, first));
  tasks.spawn("order", cross(two, 1, second));
  EXPECT_TRUE(eventually([&] { return first != 0 && second != 0; }));
  EXPECT_EQ(first == 200 ? second : first, 503) << "the victim hears that it may try again";
  EXPECT_EQ(std::max(first, second), 503);
  EXPECT_EQ(std::min(first, second), 200);
  EXPECT_EQ(commit(first == 200 ? two : one), "aborted") << "whatever its caller asks for";
  EXPECT_EQ(commit(first == 200 ? one : two), "committed");
  EXPECT_TRUE(eventually([&] { return stock(0) == 99 && stock(1) == 149; }));
  EXPECT_EQ(place("card1", 1, 1).status, 200) << "no lock is left";
}

class Mixed : public RealShop {
 protected:
  Mixed() { config.payment_db = "sqlite:payment.db"; }
};

TEST_F(Mixed, XaAndReservationsTakePartInOneTransaction) {
  start();
  const net::HttpResponse placed = place("card1", 1, 2);
  EXPECT_EQ(placed.status, 200) << placed.body;
  EXPECT_TRUE(confirmed(placed));
  EXPECT_EQ(stock(0), 98);
  EXPECT_EQ(balance(0), 960);
  EXPECT_EQ(place("card1", 1, 60).body, "Payment failed! Insufficient balance!");
  audit();
}

class WithoutXa : public RealShop {
 protected:
  WithoutXa() { config.payment.branches.xa = config.inventory.branches.xa = false; }
};

TEST_F(WithoutXa, ReservationsWorkOnMariaDb) {
  start();
  const net::HttpResponse placed = place("card1", 1, 2);
  EXPECT_EQ(placed.status, 200) << placed.body;
  EXPECT_TRUE(confirmed(placed));
  EXPECT_EQ(place("card3", 4, 11).body, "Insufficient stock!");
  EXPECT_EQ(stock(0), 98);
  audit();
}

/// The example's flow on the same server: a plain SELECT decides, the UPDATE has no guard.
class Straightforward : public RealShop {
 protected:
  using Unit = std::function<Result<std::int64_t>(sql::Transaction&)>;
  std::unique_ptr<sql::XaBranch> branch(const std::string& gtrid) {
    return std::move(*loop.run_until_done(services->inventory_db->xa()->start({gtrid, "plain"})));
  }
  std::int64_t run(sql::XaBranch& branch, Unit unit) {
    return loop.run_until_done(branch.run<std::int64_t>(std::move(unit))).value();
  }
  void prepare_and_commit(sql::XaBranch& branch) {
    ASSERT_EQ(loop.run_until_done(branch.prepare()).value(), sql::XaVote::prepared);
    ASSERT_EQ(loop.run_until_done(branch.commit_prepared()).value(), sql::XaEnd::done);
  }
  void make_plain_table() {
    std::vector<sql::Migration> plain = {{1,
                                          "the example's table",
                                          {"CREATE TABLE Plain (itemId int PRIMARY KEY, amount int, unitPrice int)",
                                           "INSERT INTO Plain VALUES (4, 10, 60)"}}};
    ASSERT_TRUE(loop.run_until_done(services->inventory_db->migrate("plain", std::move(plain))));
  }
};

TEST_F(Straightforward, TheExamplesFlowOversells) {
  start();
  make_plain_table();
  const Unit check = [](sql::Transaction& tx) -> Result<std::int64_t> {
    HF_TRY(const auto row, tx.query_one("SELECT amount FROM Plain WHERE itemId = 4"));
    return row->integer(0);
  };
  const Unit update = [](sql::Transaction& tx) {
    return tx.execute("UPDATE Plain SET amount = amount - 10 WHERE itemId = 4");
  };
  const auto one = branch("t1"), two = branch("t2");
  EXPECT_EQ(run(*one, check), 10);
  EXPECT_EQ(run(*two, check), 10);
  run(*one, update);
  prepare_and_commit(*one);
  run(*two, update);
  prepare_and_commit(*two);
  const auto three = branch("t3");
  EXPECT_EQ(run(*three, check), -10) << "twenty sold of ten";
  ASSERT_TRUE(loop.run_until_done(three->roll_back()));
}

TEST_F(Straightforward, OursCannot) {
  start();
  const std::string gtrid = "t1", other = "t2";
  const auto one = branch(gtrid), two = branch(other);
  const auto take = [](const std::string& id) -> std::function<Result<void>(sql::Transaction&)> {
    return [&id](sql::Transaction& tx) {
      return shop::two_phase::InventoryStore::take(4, 10, 600)({tx, id, participant::Keeps::xa});
    };
  };
  EXPECT_TRUE(loop.run_until_done(one->run(take(gtrid))));
  prepare_and_commit(*one);
  const Result<void> second = loop.run_until_done(two->run(take(other)));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "Error while updating stock: Item not found or insufficient quantity available.");
  EXPECT_FALSE(loop.run_until_done(two->prepare())) << "a branch that failed is not prepared";
  EXPECT_EQ(stock(3), 0);
}

}  // namespace
}  // namespace hf::test
