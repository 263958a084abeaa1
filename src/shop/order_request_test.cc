#include "shop/order_request.h"

#include <gtest/gtest.h>

namespace hf::shop {
namespace {

struct Case {
  const char* what;
  const char* body;
  int status;
  const char* code;
  const char* field;
};
constexpr Case kRefused[] = {
    {"nothing", "", 400, "invalid_json", ""},
    {"not JSON", "buyer=b1&item=1", 400, "invalid_json", ""},
    {"cut off", R"({"buyer":"b1")", 400, "invalid_json", ""},
    {"too deep", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 400, "invalid_json", ""},
    {"not an object", "[]", 400, "invalid_json", ""},
    {"a typo", R"({"buyer":"b1","item":1,"qty":1,"channel":"sms","phone":"+15551234567"})", 400, "unknown_field",
     "qty"},
    {"no phone", R"({"buyer":"b1","item":1,"quantity":1,"channel":"sms"})", 400, "missing_field", "phone"},
    {"no buyer", R"({"item":1,"quantity":1,"channel":"sms","phone":"+15551234567"})", 400, "missing_field", "buyer"},
    {"buyer null", R"({"buyer":null,"item":1,"quantity":1,"channel":"sms","phone":"+15551234567"})", 400, "wrong_type",
     "buyer"},
    {"buyer empty", R"({"buyer":"","item":1,"quantity":1,"channel":"sms","phone":"+15551234567"})", 422,
     "invalid_value", "buyer"},
    {"buyer with a newline", R"({"buyer":"b\n1","item":1,"quantity":1,"channel":"sms","phone":"+15551234567"})", 422,
     "invalid_value", "buyer"},
    {"item as a text", R"({"buyer":"b1","item":"1","quantity":1,"channel":"sms","phone":"+15551234567"})", 400,
     "wrong_type", "item"},
    {"half a piece", R"({"buyer":"b1","item":1,"quantity":0.5,"channel":"sms","phone":"+15551234567"})", 400,
     "wrong_type", "quantity"},
    {"two, as a real", R"({"buyer":"b1","item":1,"quantity":2.0,"channel":"sms","phone":"+15551234567"})", 400,
     "wrong_type", "quantity"},
    {"none", R"({"buyer":"b1","item":1,"quantity":0,"channel":"sms","phone":"+15551234567"})", 422, "invalid_value",
     "quantity"},
    {"less than none", R"({"buyer":"b1","item":1,"quantity":-1,"channel":"sms","phone":"+15551234567"})", 422,
     "invalid_value", "quantity"},
    {"beyond 64 bits",
     R"({"buyer":"b1","item":1,"quantity":18446744073709551615,"channel":"sms","phone":"+15551234567"})", 422,
     "invalid_value", "quantity"},
    {"far beyond 64 bits",
     R"({"buyer":"b1","item":1,"quantity":99999999999999999999999,"channel":"sms","phone":"+15551234567"})", 400,
     "wrong_type", "quantity"},
    {"unknown channel", R"({"buyer":"b1","item":1,"quantity":1,"channel":"pigeon","phone":"+15551234567"})", 422,
     "invalid_value", "channel"},
    {"no channel in the list", R"({"buyer":"b1","item":1,"quantity":1,"channel":[],"phone":"+15551234567"})", 422,
     "invalid_value", "channel"},
    {"a channel twice", R"({"buyer":"b1","item":1,"quantity":1,"channel":["sms","sms"],"phone":"+15551234567"})", 422,
     "invalid_value", "channel"},
    {"a number as channel", R"({"buyer":"b1","item":1,"quantity":1,"channel":[1],"phone":"+15551234567"})", 400,
     "wrong_type", "channel"},
    {"phone without +", R"({"buyer":"b1","item":1,"quantity":1,"channel":"sms","phone":"15551234567"})", 422,
     "invalid_value", "phone"},
    {"phone empty", R"({"buyer":"b1","item":1,"quantity":1,"channel":"sms","phone":""})", 422, "invalid_value",
     "phone"},
    {"phone with letters", R"({"buyer":"b1","item":1,"quantity":1,"channel":"sms","phone":"+1555CALLNOW"})", 422,
     "invalid_value", "phone"},
    {"phone too long", R"({"buyer":"b1","item":1,"quantity":1,"channel":"sms","phone":"+1234567890123456"})", 422,
     "invalid_value", "phone"},
    {"phone with a leading 0", R"({"buyer":"b1","item":1,"quantity":1,"channel":"sms","phone":"+05551234567"})", 422,
     "invalid_value", "phone"},
};

TEST(OrderRequest, RefusesWhatItCannotMean) {
  for (const Case& c : kRefused) {
    const auto parsed = parse_order_request(c.body);
    const auto* bad = std::get_if<BadRequest>(&parsed);
    ASSERT_NE(bad, nullptr) << c.what;
    EXPECT_EQ(bad->status, c.status) << c.what;
    EXPECT_EQ(bad->code, c.code) << c.what;
    EXPECT_EQ(bad->field, c.field) << c.what;
    EXPECT_FALSE(bad->message.empty()) << c.what;
  }
}

TEST(OrderRequest, ReadsOneChannelOrSeveral) {
  const auto one =
      parse_order_request(R"({"buyer":"b1","item":7,"quantity":3,"channel":"voice","phone":"+491701234567"})");
  const auto* request = std::get_if<OrderRequest>(&one);
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(request->buyer, "b1");
  EXPECT_EQ(request->item, 7);
  EXPECT_EQ(request->quantity, 3);
  EXPECT_EQ(request->channels, std::vector<std::string>{"voice"});
  EXPECT_EQ(request->phone, "+491701234567");

  const auto ab = parse_order_request(
      R"({"buyer":"ü","item":7,"quantity":3,"channel":["whatsapp","sms"],"phone":"+491701234567"})");
  const auto ba = parse_order_request(
      R"({"phone":"+491701234567","channel":["sms","whatsapp"],"buyer":"ü","item":7,"quantity":3})");
  ASSERT_TRUE(std::holds_alternative<OrderRequest>(ab));
  EXPECT_EQ(std::get<OrderRequest>(ab), std::get<OrderRequest>(ba)) << "the same request, spelled otherwise";
}

TEST(OrderRequest, Keys) {
  EXPECT_FALSE(check_key("a"));
  EXPECT_FALSE(check_key(std::string(kKeyMax, 'k')));
  EXPECT_TRUE(check_key(""));
  EXPECT_TRUE(check_key(std::string(kKeyMax + 1, 'k')));
  EXPECT_TRUE(check_key("two words"));
  EXPECT_TRUE(check_key("naïve"));
}

}  // namespace
}  // namespace hf::shop
