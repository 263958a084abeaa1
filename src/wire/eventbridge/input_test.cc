#include "wire/eventbridge/input.h"

namespace hf::wire::eventbridge {
namespace {

const char kEvent[] =
    R"({"version":"0","id":"e-1","detail-type":"order.confirmed","source":"ecommerce.orders","account":"000000000000",)"
    R"("time":"2026-11-21T09:00:00Z","region":"us-east-1","resources":[],"detail":{"s":"baz","n":1.10,"t":true,"z":null,)"
    R"("o":{"acc_id":"0a78","sf_id":"baz"},"l":["HIGH"],"q":"say \"hi\"\nand & \\ 😀"}})";

struct Case {
  const char* what;
  const char* text;
  const char* want;  ///< nullptr: permanent failure
};

constexpr Case kCases[] = {
    {"string template, text", R"("Order <s> is <n>")", R"("Order baz is 1.10")"},
    {"string template, lines", "\"a <s>\"\n\"b <t>\"", "\"a baz\"\n\"b true\""},
    {"string template, object", R"("<o>")", R"("{acc_id:0a78,sf_id:baz}")"},
    {"string template, list", R"("<l>")", R"("[HIGH]")"},
    {"bare text", R"({"id": <s>})", R"({"id": "baz"})"},
    {"bare number keeps its spelling", R"({"id": <n>})", R"({"id": 1.10})"},
    {"bare object", R"({"id": <o>})", R"({"id": {"acc_id":"0a78","sf_id":"baz"}})"},
    {"quoted text", R"({"x":"a <s> b <n>"})", R"({"x":"a baz b 1.10"})"},
    {"quoted object", R"({"x":"<o>"})", nullptr},
    {"quoted text that needs escapes", R"({"x":"<q>"})", R"({"x":"say \"hi\"\nand & \\ 😀"})"},
    {"nothing found, bare", R"({"x":<none>})", R"({"x":""})"},
    {"nothing found, quoted", R"({"x":"[<none>]"})", R"({"x":"[]"})"},
    {"null, bare", R"({"x":<z>})", R"({"x":null})"},
    {"null, quoted", R"({"x":"<z>"})", R"({"x":"null"})"},
    {"free text", R"(Order <s>)", nullptr},
    {"whole value", R"(<o>)", R"({"acc_id":"0a78","sf_id":"baz"})"},
    {"escaped quote in a template", R"({"x":"\"<s>\""})", R"({"x":"\"baz\""})"},
    {"angle brackets that are no placeholder", R"({"x":"a < b </Say> <>"})", R"({"x":"a < b </Say> <>"})"},
    {"rule name", R"({"r":<aws.events.rule-name>,"a":"<aws.events.rule-arn>"})", R"({"r":"sms","a":"arn:rule"})"},
    {"ingestion time", R"({"i":<aws.events.event.ingestion-time>})", R"({"i":"2026-11-21T09:00:01Z"})"},
    {"event without detail", R"({"e":<aws.events.event>})",
     R"({"e":{"id":"e-1","account":"000000000000","detailType":"order.confirmed","time":"2026-11-21T09:00:00Z",)"
     R"("source":"ecommerce.orders","region":"us-east-1","resources":[],"version":"0"}})"},
};

class InputTest : public ::testing::Test {
 protected:
  Result<std::string> fill(const char* text) {
    const std::map<std::string, std::string> paths = {
        {"s", "$.detail.s"}, {"n", "$.detail.n"}, {"t", "$.detail.t"}, {"z", "$.detail.z"},
        {"o", "$.detail.o"}, {"l", "$.detail.l"}, {"q", "$.detail.q"}, {"none", "$.detail.none"}};
    HF_TRY(const InputTransformer transformer, InputTransformer::compile(paths, text, "target-1"));
    return transformer.render(context_);
  }
  JsonText event_ = JsonText::parse(kEvent).value();
  InputContext context_{event_, "arn:rule", "sms", "2026-11-21T09:00:01Z"};
};

TEST_F(InputTest, Templates) {
  for (const Case& c : kCases) {
    const auto got = fill(c.text);
    if (c.want == nullptr) {
      EXPECT_FALSE(got) << c.what;
    } else {
      ASSERT_TRUE(got) << c.what << ": " << got.error().message;
      EXPECT_EQ(*got, c.want) << c.what;
    }
  }
}

TEST_F(InputTest, TheWholeEventInsideATemplate) {
  EXPECT_EQ(*fill("{\"e\":<aws.events.event.json>}"), fmt::format("{{\"e\":{}}}", kEvent));
}

TEST_F(InputTest, RefusesWhatCannotWork) {
  EXPECT_EQ(fill("{\"x\":<unknown>}").error().message,
            "InputTemplate for target target-1 contains invalid placeholder unknown.");
  EXPECT_FALSE(fill("{\"x\":<aws.events.nothing>}"));
  EXPECT_FALSE(InputTransformer::compile({{"aws.x", "$.id"}}, "\"<aws.x>\"", "t"));
  EXPECT_FALSE(InputTransformer::compile({{"x", "id"}}, "\"<x>\"", "t"));
  EXPECT_FALSE(InputTransformer::compile({}, "", "t"));
  EXPECT_FALSE(InputTransformer::compile({}, std::string(8'193, ' '), "t"));
}

TEST_F(InputTest, SourcesOfTheBody) {
  EXPECT_EQ(*TargetInput::whole_event().body(context_), kEvent);
  EXPECT_EQ(*TargetInput::constant("{\"a\": 1}").body(context_), "{\"a\": 1}");
  EXPECT_EQ(*TargetInput::part(JsonPath::parse("$.detail.o").value()).body(context_),
            R"({"acc_id":"0a78","sf_id":"baz"})");
  EXPECT_EQ(*TargetInput::part(JsonPath::parse("$.detail.s").value()).body(context_), R"("baz")");
  EXPECT_FALSE(TargetInput::part(JsonPath::parse("$.detail.none").value()).body(context_));
}

}  // namespace
}  // namespace hf::wire::eventbridge
