#include "shop/two_phase/requests.h"

#include <gtest/gtest.h>

#include "shop/two_phase/samples.h"
#include "shop/two_phase/texts.h"

namespace hf::shop::two_phase {
namespace {

struct Case {
  std::string_view what, body, message;
};

TEST(TwoPhaseRequests, TheExamplesOrderIsRead) {
  const auto parsed = parse_order(R"({"cardNo":"card1","itemId":1,"qty":2})");
  ASSERT_TRUE(std::holds_alternative<OrderRequest>(parsed));
  EXPECT_EQ(std::get<OrderRequest>(parsed), (OrderRequest{"card1", 1, 2, {}, ""}));
  EXPECT_EQ(encode(std::get<OrderRequest>(parsed)), R"({"cardNo":"card1","itemId":1,"qty":2})");
}

TEST(TwoPhaseRequests, AnOrderMayNameChannelAndPhone) {
  const auto parsed =
      parse_order(R"({"cardNo":"card1","itemId":1,"qty":2,"channel":["voice","sms"],"phone":"+15551234567"})");
  ASSERT_TRUE(std::holds_alternative<OrderRequest>(parsed));
  EXPECT_EQ(std::get<OrderRequest>(parsed), (OrderRequest{"card1", 1, 2, {"sms", "voice"}, "+15551234567"}));
}

TEST(TwoPhaseRequests, RefusesWhatIsNoOrder) {
  constexpr Case kCases[] = {
      {"not JSON", "{", ""},
      {"no object", "[]", "the body must be a JSON object"},
      {"a card that is no text", R"({"cardNo":1,"itemId":1,"qty":2})", "cardNo must be a text"},
      {"no card", R"({"itemId":1,"qty":2})", "cardNo is missing"},
      {"an empty card", R"({"cardNo":"","itemId":1,"qty":2})", ""},
      {"a long card", R"({"cardNo":"12345678901234567","itemId":1,"qty":2})", ""},
      {"no item", R"({"cardNo":"card1","qty":2})", "itemId is missing"},
      {"an item as text (W11)", R"({"cardNo":"card1","itemId":"1","qty":2})", "itemId must be an integer"},
      {"no quantity", R"({"cardNo":"card1","itemId":1})", "qty is missing"},
      {"an empty quantity (W11)", R"({"cardNo":"card1","itemId":1,"qty":""})", "qty must be an integer"},
      {"half a piece", R"({"cardNo":"card1","itemId":1,"qty":0.5})", "qty must be an integer"},
      {"nothing", R"({"cardNo":"card1","itemId":1,"qty":0})", kInvalidOrderRequest},
      {"less than nothing", R"({"cardNo":"card1","itemId":1,"qty":-3})", kInvalidOrderRequest},
      {"more than INT", R"({"cardNo":"card1","itemId":1,"qty":2147483648})", ""},
      {"more than 64 bits", R"({"cardNo":"card1","itemId":18446744073709551615,"qty":1})", ""},
      {"a field nobody reads", R"({"cardNo":"card1","itemId":1,"qty":1,"chanel":"sms"})", ""},
  };
  for (const Case& c : kCases) {
    const auto parsed = parse_order(c.body);
    ASSERT_TRUE(std::holds_alternative<BadRequest>(parsed)) << c.what;
    EXPECT_EQ(std::get<BadRequest>(parsed).status, 400) << c.what;
    EXPECT_FALSE(std::get<BadRequest>(parsed).message.empty()) << c.what;
    if (!c.message.empty()) EXPECT_EQ(std::get<BadRequest>(parsed).message, c.message) << c.what;
  }
}

TEST(TwoPhaseRequests, RefusesWhatIsNoPayment) {
  constexpr std::string_view kBodies[] = {
      R"({"cardNo":"card1"})",
      R"({"amount":1})",
      R"({"cardNo":"card1","amount":"1"})",
      R"({"cardNo":"card1","amount":-1})",  // a payment that pays out
      R"({"cardNo":"card1","amount":2147483648})",
      R"({"cardNo":"card1","amount":1,"card":"card2"})",
  };
  for (const std::string_view body : kBodies) EXPECT_EQ(parse_payment(body).index(), 1U) << body;
  const auto parsed = parse_payment(R"({"cardNo":"card1","amount":40})");
  ASSERT_TRUE(std::holds_alternative<PaymentRequest>(parsed));
  EXPECT_EQ(std::get<PaymentRequest>(parsed).amount, 40);
}

TEST(TwoPhaseRequests, CardsAreMasked) {
  EXPECT_EQ(mask_card("card1"), "*ard1");
  EXPECT_EQ(mask_card("4111111111111111"), "************1111");
  EXPECT_EQ(mask_card("abc"), "abc");
}

TEST(TwoPhaseSamples, AreReadAndRefusedByName) {
  const auto stock = parse_stock({"1;100;20", "4;10;60"});
  ASSERT_TRUE(stock);
  EXPECT_EQ(stock->at(1).amount, 10);
  EXPECT_EQ(stock->at(1).unit_price, 60);
  for (const char* wrong : {"1;100", "0;1;1", "1;-1;1", "1;1;2147483648", "x;1;1"}) {
    const auto refused = parse_stock({wrong});
    ASSERT_FALSE(refused) << wrong;
    EXPECT_NE(refused.error().message.find(wrong), std::string::npos);
  }
  EXPECT_FALSE(parse_stock({"1;1;1", "1;2;2"}));
  EXPECT_TRUE(parse_accounts({"card1;1000"}));
  for (const char* wrong : {"card1", ";1", "12345678901234567;1", "card1;-1"}) EXPECT_FALSE(parse_accounts({wrong}));
  EXPECT_FALSE(parse_accounts({"card1;1", "card1;2"}));
}

TEST(TwoPhaseTexts, OnlyCardItemBalanceAndStockRefuse) {
  EXPECT_TRUE(is_refusal("Card not found!"));
  EXPECT_TRUE(is_refusal("Error while updating stock: Item not found or insufficient quantity available."));
  EXPECT_TRUE(is_refusal("payment: Insufficient balance!"));
  for (const std::string_view passing : {"", "Price changed!", "Lock wait timeout exceeded", "no answer to prepare"}) {
    EXPECT_FALSE(is_refusal(passing)) << passing;
  }
}

}  // namespace
}  // namespace hf::shop::two_phase
