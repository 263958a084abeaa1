/// Payment's and inventory's statements, as their branches run them: on reservations, on a simulated disk. On XA:
/// tests/two_phase.

#include <gtest/gtest.h>

#include "shop/two_phase/inventory_store.h"
#include "shop/two_phase/payment_store.h"
#include "sql/test_url.h"
#include "sys/sim.h"

namespace hf::shop::two_phase {
namespace {

using participant::BranchTx;
using participant::Ended;
using participant::Keeps;
using wire::two_phase::Decision;
using wire::two_phase::Vote;

class StoresTest : public ::testing::Test {
 protected:
  StoresTest() : sim_(3) {
    db_ = std::move(*sql::open(sim_.world(), sql::test_url("sqlite:shop.db"), "/data"));
    payment_ = std::make_unique<PaymentStore>(*db_);
    inventory_ = std::make_unique<InventoryStore>(*db_);
    HF_ASSERT(run(payment_->open({{"card1", 1000}, {"card2", 0}})).has_value());
    HF_ASSERT(run(inventory_->open({{1, 100, 20}, {4, 10, 60}})).has_value());
    participant::BranchConfig config;
    config.name = "payment";
    payments_ = participant::make_reservation_branches(sim_.world(), *db_, config, PaymentStore::settle);
    HF_ASSERT(run(payments_->start()).has_value());
    config.name = "inventory";
    stock_ = participant::make_reservation_branches(sim_.world(), *db_, config, InventoryStore::settle);
    HF_ASSERT(run(stock_->start()).has_value());
  }
  ~StoresTest() override {
    sim_.run_until_done(payments_->close());
    sim_.run_until_done(stock_->close());
    sim_.run_until_done(db_->close());
  }
  template <class T>
  T run(asio::awaitable<T> task) {
    return sim_.run_until_done(std::move(task));
  }
  Account card(std::size_t at) { return run(payment_->accounts())->at(at); }
  StockItem item(std::size_t at) { return run(inventory_->items())->at(at); }
  std::string text_of(const Result<void>& result) { return result ? "" : result.error().message; }
  std::string charge(const std::string& gtrid, const std::string& card_no, std::int64_t amount) {
    participant::Work work = PaymentStore::charge(card_no, amount);
    return text_of(run(payments_->run(gtrid, card_no + std::to_string(amount), std::move(work))));
  }
  std::string take(const std::string& gtrid, std::int64_t item_id, std::int64_t qty,
                   std::optional<std::int64_t> total = std::nullopt) {
    participant::Work work = InventoryStore::take(item_id, qty, total);
    return text_of(run(stock_->run(gtrid, std::to_string(item_id), std::move(work))));
  }
  void set_price(std::int64_t item_id, std::int64_t price) {
    std::function<Result<void>(sql::Transaction&)> work = [=](sql::Transaction& tx) -> Result<void> {
      HF_TRY(tx.execute("UPDATE Stock SET unitPrice = ? WHERE itemId = ?", {price, item_id}));
      return ok();
    };
    ASSERT_TRUE(run(db_->write(std::move(work))));
  }

  sys::SimWorld sim_;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<PaymentStore> payment_;
  std::unique_ptr<InventoryStore> inventory_;
  std::unique_ptr<participant::Branches> payments_, stock_;
};

TEST_F(StoresTest, AChargeIsHeldThenPaid) {
  EXPECT_EQ(charge("t1", "card1", 40), "");
  EXPECT_EQ(card(0).amount, 1000) << "nothing is kept before the vote";
  EXPECT_EQ(run(payments_->prepare("t1"))->vote, Vote::prepared);
  EXPECT_EQ(card(0).amount, 960);
  EXPECT_EQ(card(0).held, 40);
  EXPECT_EQ(run(payments_->end("t1", Decision::commit)).value(), Ended::committed);
  EXPECT_EQ(card(0).amount, 960);
  EXPECT_EQ(card(0).held, 0);
  EXPECT_EQ(card(0).paid, 40);
  EXPECT_EQ(card(0).opening, 1000);
}

TEST_F(StoresTest, AnAbortGivesBack) {
  EXPECT_EQ(charge("t1", "card1", 40), "");
  EXPECT_EQ(charge("t1", "card1", 60), "") << "two payments of one order";
  EXPECT_EQ(take("t1", 1, 3), "");
  EXPECT_EQ(run(payments_->prepare("t1"))->vote, Vote::prepared);
  EXPECT_EQ(run(stock_->prepare("t1"))->vote, Vote::prepared);
  EXPECT_EQ(card(0).held, 100);
  EXPECT_EQ(item(0).reserved, 3);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(run(payments_->end("t1", Decision::abort)).value(), Ended::aborted);
    EXPECT_EQ(run(stock_->end("t1", Decision::abort)).value(), Ended::aborted);
  }
  EXPECT_EQ(card(0).amount, 1000);
  EXPECT_EQ(card(0).held, 0);
  EXPECT_EQ(item(0).amount, 100);
  EXPECT_EQ(item(0).reserved, 0);
}

TEST_F(StoresTest, WhatIsNotThereIsNotTaken) {
  EXPECT_EQ(charge("t1", "card9", 1), "Card not found!");
  EXPECT_EQ(charge("t2", "card1", 1001), "Insufficient balance!");
  EXPECT_EQ(charge("t3", "card2", 0), "") << "a price of nothing";
  EXPECT_EQ(take("t4", 9, 1), "Error while updating stock: Item not found or insufficient quantity available.");
  EXPECT_EQ(take("t5", 4, 11), "Error while updating stock: Item not found or insufficient quantity available.");
  for (const char* gtrid : {"t1", "t2"}) EXPECT_EQ(run(payments_->prepare(gtrid))->vote, Vote::aborted) << gtrid;
  for (const char* gtrid : {"t4", "t5"}) EXPECT_EQ(run(stock_->prepare(gtrid))->vote, Vote::aborted) << gtrid;
  EXPECT_EQ(card(0).amount, 1000);
  EXPECT_EQ(item(1).amount, 10);
}

TEST_F(StoresTest, TwoThatSawTenCannotBothTakeTen) {
  EXPECT_EQ(take("t1", 4, 10), "");
  EXPECT_EQ(take("t2", 4, 10), "") << "the trial sees what is committed";
  EXPECT_EQ(run(stock_->prepare("t1"))->vote, Vote::prepared);
  const auto second = run(stock_->prepare("t2"));
  EXPECT_EQ(second->vote, Vote::aborted);
  EXPECT_EQ(second->reason, "Error while updating stock: Item not found or insufficient quantity available.");
  EXPECT_EQ(item(1).amount, 0);
  EXPECT_EQ(item(1).reserved, 10);
}

TEST_F(StoresTest, TheUpdateTakesPlaceAtTheQuotedPriceOnly) {
  EXPECT_EQ(run(inventory_->total_price(1, 3)).value(), 60);
  EXPECT_EQ(take("t1", 1, 3, 60), "");
  set_price(1, 21);
  EXPECT_EQ(take("t2", 1, 3, 60), "Price changed!");
  EXPECT_EQ(run(stock_->prepare("t1"))->vote, Vote::aborted) << "it changed between the call and the vote";
  EXPECT_EQ(take("t3", 1, 3, 63), "");
  EXPECT_EQ(run(stock_->prepare("t3"))->vote, Vote::prepared);
}

TEST_F(StoresTest, TotalPrices) {
  EXPECT_EQ(run(inventory_->total_price(4, 10)).value(), 600);
  EXPECT_EQ(run(inventory_->total_price(4, 11)).error().message, "Insufficient stock!");
  EXPECT_EQ(run(inventory_->total_price(9, 1)).error().message, "Item not found!");
}

TEST_F(StoresTest, SamplesAreOpenedOnce) {
  EXPECT_EQ(charge("t1", "card1", 40), "");
  EXPECT_EQ(run(payments_->prepare("t1"))->vote, Vote::prepared);
  ASSERT_TRUE(run(payment_->open({{"card1", 5000}, {"card7", 7}})));
  EXPECT_EQ(card(0).amount, 960);
  EXPECT_EQ(card(0).opening, 1000);
  EXPECT_EQ(card(2).card_no, "card7");
}

}  // namespace
}  // namespace hf::shop::two_phase
