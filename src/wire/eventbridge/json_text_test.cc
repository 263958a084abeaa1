#include "wire/eventbridge/json_text.h"

#include "wire/eventbridge/event.h"
#include "wire/eventbridge/json_path.h"
#include "wire/eventbridge/value.h"

namespace hf::wire::eventbridge {
namespace {

TEST(JsonText, MinifiesAndChangesNothingElse) {
  const auto json = JsonText::parse(" { \"b\" : [ 1.10 , 1e2, 9007199254740993 ] ,\n\t\"a\" : \"x \\u0041\\n\" } ");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->text(), R"({"b":[1.10,1e2,9007199254740993],"a":"x \u0041\n"})");
  const auto a = json->find(JsonText::root(), "a");
  EXPECT_EQ(json->content(a), "x A\n");
  EXPECT_EQ(json->raw(a), R"("x \u0041\n")");
}

TEST(JsonText, TheLastOfARepeatedMemberCounts) {
  const auto json = JsonText::parse(R"({"a":1,"b":2,"a":3})");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->content(json->find(JsonText::root(), "a")), "3");
  EXPECT_EQ(json->text(), R"({"a":1,"b":2,"a":3})");
  for (const int members : {2, 15, 16, 17, 40}) {  // either way of looking for repetitions
    std::string text = R"({"a":0)";
    for (int i = 2; i < members; ++i) text += fmt::format(R"(,"m{}":{})", i, i);
    const auto many = JsonText::parse(text + R"(,"\u0061":1})");
    ASSERT_TRUE(many);
    EXPECT_EQ(many->content(many->find(JsonText::root(), "a")), "1") << members;
    std::size_t visible = 0;
    many->for_each_child(JsonText::root(), [&](JsonText::Node) { ++visible; });
    EXPECT_EQ(visible, static_cast<std::size_t>(members) - 1);
  }
}

TEST(JsonText, DecodesSurrogatePairs) {
  const auto json = JsonText::parse(R"(["\ud83d\ude00\u00e9"])");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->content(1), "😀é");
}

TEST(JsonText, RefusesWhatIsNotJson) {
  for (const char* bad :
       {"",           " ",           "{",           "[1,]", "{\"a\"}", "{a:1}",       "01",      "1.",
        "-",          "+1",          "1e",          "nul",  "\"",      "\"\\x\"",     "\"\n\"",  "[1] 2",
        "{\"a\":1,}", "\"\\ud83d\"", "\"\\ude00\"", "'a'",  "\"\\",    "[\"\\u12\"]", "\"\xff\""}) {
    EXPECT_FALSE(JsonText::parse(bad)) << bad;
  }
  EXPECT_FALSE(JsonText::parse(std::string(2'000, '[')));
  EXPECT_TRUE(JsonText::parse(std::string(900, '[') + std::string(900, ']')));
}

TEST(JsonText, EveryCutOfATextIsAnErrorAndNoCrash) {
  const std::string whole = R"({"a":[1.5e-3,"\u00e9\\",{"b":null}],"c":true})";
  ASSERT_TRUE(JsonText::parse(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(JsonText::parse(whole.substr(0, size))) << size;
}

TEST(JsonPath, FindsPartsAsTheyAreSpelled) {
  const auto json =
      JsonText::parse(R"({"detail":{"items":[{"sku":"a"},{"sku":"b \" "},{}],"n":1.10,"a-b":{"c":null}}})");
  ASSERT_TRUE(json);
  const auto find = [&](std::string_view path) {
    const auto found = JsonPath::parse(path).value().select(*json);
    return found ? found->json + "|" + found->text : "nothing";
  };
  EXPECT_EQ(find("$.detail.n"), "1.10|1.10");
  EXPECT_EQ(find("$.detail.items[1].sku"), R"("b \" "|b " )");
  EXPECT_EQ(find("$.detail.items[*].sku"), R"(["a","b \" "]|["a","b \" "])");
  EXPECT_EQ(find("$.detail.a-b.c"), "null|null");
  EXPECT_EQ(find("$.detail.items[7]"), "nothing");
  EXPECT_EQ(find("$.other"), "nothing");
  EXPECT_EQ(find("$.detail.items[*].none"), "nothing");
  for (const char* bad : {"", "detail", "$detail", "$.", "$..a", "$.a[", "$.a[x]", "$.a[]", "$.a['b']", "$.a[-1]"}) {
    EXPECT_FALSE(JsonPath::parse(bad)) << bad;
  }
}

TEST(Envelope, HasTheMembersInOrder) {
  const Event event{
      "id-1", "order.confirmed", "ecommerce.orders", "000000000000", wall_from_us(1'773'480'413'900'000), "us-east-1",
      {},     "{ \"n\" : 1.10 }"};
  EXPECT_EQ(
      to_json(event),
      R"({"version":"0","id":"id-1","detail-type":"order.confirmed","source":"ecommerce.orders","account":"000000000000",)"
      R"("time":"2026-03-14T09:26:53Z","region":"us-east-1","resources":[],"detail":{"n":1.10}})");
}

TEST(Value, NumbersAreOneValueHoweverSpelled) {
  EXPECT_EQ(exact_number("300"), exact_number("3e2"));
  EXPECT_EQ(exact_number("300"), exact_number("300.0"));
  EXPECT_EQ(exact_number("-0"), exact_number("0.0"));
  EXPECT_TRUE(exact_number("0.1"));
  EXPECT_FALSE(exact_number("9007199254740993"));
  EXPECT_FALSE(exact_number("1e999"));
  EXPECT_FALSE(exact_number("0.1000000000000000055511151231257827"));
}

}  // namespace
}  // namespace hf::wire::eventbridge
