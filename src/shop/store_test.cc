#include "shop/store.h"

#include <gtest/gtest.h>

#include "sql/test_url.h"
#include "sys/sim.h"

namespace hf::shop {
namespace {

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() : sim_(7) { open(); }
  ~StoreTest() override { sim_.run_until_done(db_->close()); }

  void open() {
    auto db = sql::open(sim_.world(), sql::test_url("sqlite:shop.db"), "/data");
    HF_ASSERT(db.has_value());
    db_ = std::move(*db);
    store_ = std::make_unique<Store>(sim_.world(), *db_);
    std::vector<Item> items = {{1, "Kettle", 7900, 10, 10, 0}, {2, "Grinder", 19900, 0, 0, 0}};
    HF_ASSERT(sim_.run_until_done(store_->open(std::move(items))).has_value());
  }
  void reopen() {
    sim_.run_until_done(db_->close());
    open();
  }
  static Attempt attempt(std::string id, std::int64_t item, std::int64_t quantity,
                         std::optional<std::string> key = {}) {
    return {std::move(id), {"b1", item, quantity, {"sms", "voice"}, "+15551234567"}, std::move(key), "M1", 10, 20};
  }
  Result<Placed> place(Attempt a) { return sim_.run_until_done(store_->place(std::move(a))); }
  Item item(std::int64_t id) {
    const auto items = sim_.run_until_done(store_->items());
    HF_ASSERT(items.has_value());
    return items->at(static_cast<std::size_t>(id - 1));
  }

  sys::SimWorld sim_;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, AConfirmedOrderTakesItsStockAndIsFoundAgain) {
  const auto placed = place(attempt("o1", 1, 3, "k1"));
  ASSERT_TRUE(placed) << placed.error().to_string();
  EXPECT_EQ(placed->verdict, Verdict::confirm);
  EXPECT_EQ(item(1).available, 7);
  EXPECT_EQ(item(1).sold, 3);
  reopen();
  const auto found = sim_.run_until_done(store_->find("o1"));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->status, OrderStatus::confirmed);
  EXPECT_EQ((*found)->request, attempt("", 1, 3).request);
  EXPECT_EQ((*found)->total_minor(), 3 * 7900);
  EXPECT_EQ((*found)->message_id, "M1");
  EXPECT_EQ((*found)->received_at_us, 10);
  EXPECT_EQ((*found)->half_at_us, 20);
  EXPECT_EQ((*sim_.run_until_done(store_->find_by_key("k1")))->order_id, "o1");
  EXPECT_FALSE(*sim_.run_until_done(store_->find_by_key("k2")));
}

TEST_F(StoreTest, SoldOutIsADecisionThatIsKept) {
  EXPECT_EQ(place(attempt("o1", 1, 11, "k1"))->verdict, Verdict::refuse);
  EXPECT_EQ(item(1).available, 10);
  const auto found = sim_.run_until_done(store_->find("o1"));
  EXPECT_EQ((*found)->status, OrderStatus::refused);
  EXPECT_EQ((*found)->reason, "sold_out");
  EXPECT_EQ(*sim_.run_until_done(store_->check("o1")), TxState::rolled_back);
}

TEST_F(StoreTest, ARepeatedKeyChangesNothing) {
  ASSERT_TRUE(place(attempt("o1", 1, 3, "k1")));
  const auto again = place(attempt("o2", 1, 3, "k1"));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->verdict, Verdict::repeat);
  EXPECT_EQ(again->order.order_id, "o1");
  EXPECT_EQ(item(1).available, 7);
  EXPECT_EQ(*sim_.run_until_done(store_->check("o1")), TxState::committed);
  EXPECT_EQ(*sim_.run_until_done(store_->check("o2")), TxState::rolled_back);
}

TEST_F(StoreTest, CheckBackFencesOutALateCommit) {
  EXPECT_EQ(*sim_.run_until_done(store_->check("o1")), TxState::rolled_back);
  const auto late = place(attempt("o1", 1, 3));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::conflict);
  EXPECT_EQ(item(1).available, 10);
  EXPECT_FALSE(*sim_.run_until_done(store_->find("o1")));
  EXPECT_EQ(*sim_.run_until_done(store_->check("o1")), TxState::rolled_back) << "the first final state wins (P3)";
  EXPECT_EQ(*sim_.run_until_done(store_->marker("o1")), TxState::rolled_back);
  EXPECT_EQ(*sim_.run_until_done(store_->marker("o2")), std::nullopt);
}

TEST_F(StoreTest, CheckBackAfterTheCommitSaysCommitted) {
  ASSERT_TRUE(place(attempt("o1", 1, 1)));
  reopen();
  EXPECT_EQ(*sim_.run_until_done(store_->check("o1")), TxState::committed);
}

TEST_F(StoreTest, AFailureBeforeTheCommitLeavesNothing) {
  ASSERT_TRUE(sim_.world().faults.arm("shop.before_commit=error:1"));
  EXPECT_EQ(place(attempt("o1", 1, 3)).error().code, Code::unavailable);
  EXPECT_EQ(item(1).available, 10);
  EXPECT_EQ(*sim_.run_until_done(store_->marker("o1")), std::nullopt);
}

TEST_F(StoreTest, AnUnknownItemLeavesNothing) {
  EXPECT_EQ(place(attempt("o1", 99, 1)).error().code, Code::not_found);
  EXPECT_EQ(*sim_.run_until_done(store_->marker("o1")), std::nullopt);
  EXPECT_FALSE(*sim_.run_until_done(store_->has_item(99)));
  EXPECT_TRUE(*sim_.run_until_done(store_->has_item(2)));
}

TEST_F(StoreTest, SeedingAgainChangesNoStock) {
  ASSERT_TRUE(place(attempt("o1", 1, 3)));
  reopen();
  EXPECT_EQ(item(1).available, 7);
  EXPECT_EQ(item(1).initial, 10);
}

}  // namespace
}  // namespace hf::shop
