#include "wire/eventbridge/invocation.h"

namespace hf::wire::eventbridge {
namespace {

class InvocationTest : public ::testing::Test {
 protected:
  InvocationTest() {
    destination_.endpoint = "http://127.0.0.1:4020/2010-04-01/Accounts/{AccountSid}/Messages.json";
    destination_.method = "POST";
    connection_.authorization_type = "BASIC";
    connection_.username = "AC123";
    connection_.password = "token";
    target_.path_values = {"AC123"};
    target_.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  }
  Result<Invocation> build(std::string detail) {
    event_ = JsonText::parse(R"({"id":"e-1","detail":)" + detail + "}").value();
    return build_invocation(destination_, connection_, target_, {event_, "arn", "sms", "now"}, "e-1.0001");
  }
  void use_template(const char* text, std::map<std::string, std::string> paths) {
    target_.input = TargetInput::transformed(InputTransformer::compile(paths, text, "t").value());
  }
  static std::string header(const Invocation& call, std::string_view name) {
    for (const auto& [key, value] : call.headers) {
      if (key == name) return value;
    }
    return "(none)";
  }

  ApiDestination destination_;
  Connection connection_;
  Target target_;
  JsonText event_;
};

/// The document's own template (A32), against values that break naive encoders.
TEST_F(InvocationTest, TwilioForm) {
  use_template(R"({"To":"<customer_phone>","From":"<twilio_number>","Body":"Order #<order_id> confirmed."})",
               {{"customer_phone", "$.detail.customer_phone"},
                {"twilio_number", "$.detail.twilio_number"},
                {"order_id", "$.detail.order_id"}});
  const auto call =
      build(R"({"customer_phone":"+15551234567","twilio_number":"+15005550006","order_id":"A 7\"&=\n😀"})");
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(call->url, "http://127.0.0.1:4020/2010-04-01/Accounts/AC123/Messages.json");
  EXPECT_EQ(call->body,
            "To=%2B15551234567&From=%2B15005550006&Body=Order%20%23A%207%22%26%3D%0A%F0%9F%98%80%20confirmed.");
  EXPECT_EQ(header(*call, "Content-Type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(header(*call, "Authorization"), "Basic QUMxMjM6dG9rZW4=");
  EXPECT_EQ(header(*call, "X-Holdfast-Event-Id"), "e-1.0001");
  EXPECT_EQ(header(*call, "User-Agent"), "Amazon/EventBridge/ApiDestinations");
}

TEST_F(InvocationTest, JsonUnlessAskedOtherwise) {
  target_.headers.clear();
  const auto call = build(R"({"n":1.10})");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->body, R"({"id":"e-1","detail":{"n":1.10}})");
  EXPECT_EQ(header(*call, "Content-Type"), "application/json; charset=utf-8");
}

TEST_F(InvocationTest, WildcardsAreFilledInOrderAndEncoded) {
  destination_.endpoint = "https://example.com/*/x/{b}";
  target_.headers.clear();
  target_.path_values = {"$.detail.a", "p/q ü"};
  EXPECT_EQ(build(R"({"a":"7 8"})")->url, "https://example.com/7%208/x/p%2Fq%20%C3%BC");
  EXPECT_FALSE(build(R"({})")) << "a path value that finds nothing";
  target_.path_values = {"one"};
  EXPECT_FALSE(build(R"({"a":"7"})")) << "too few values";
}

TEST_F(InvocationTest, TheConnectionWins) {
  target_.headers = {{"x-a", "target"}, {"X-B", "$.detail.b"}, {"User-Agent", "me"}, {" Host ", "evil"}};
  target_.query = {{"q", "target"}, {"r", "$.detail.b"}, {"s", "$.detail.none"}};
  connection_.headers = {{"X-A", "connection", false}};
  connection_.query = {{"q", "connection", true}};
  connection_.body = {{"extra", "1", false}, {"detail", "mine", false}};
  const auto call = build(R"({"b":"5 &"})");
  ASSERT_TRUE(call);
  EXPECT_EQ(header(*call, "x-a"), "connection");
  EXPECT_EQ(header(*call, "X-B"), "5 &");
  EXPECT_EQ(header(*call, " Host "), "(none)");
  EXPECT_EQ(header(*call, "User-Agent"), "Amazon/EventBridge/ApiDestinations");
  EXPECT_TRUE(call->url.ends_with("/Messages.json?q=connection&r=5%20%26&s=")) << call->url;
  EXPECT_EQ(call->body, R"({"id":"e-1","extra":"1","detail":"mine"})");
}

TEST_F(InvocationTest, ApiKey) {
  target_.headers.clear();
  connection_.authorization_type = "API_KEY";
  connection_.api_key_name = "X-Key";
  connection_.api_key_value = "k";
  EXPECT_EQ(header(*build("{}"), "X-Key"), "k");
  connection_.api_key_name = "Host";
  EXPECT_EQ(header(*build("{}"), "Host"), "(none)");
}

TEST_F(InvocationTest, AHeaderValueCannotBringAnotherHeader) {
  target_.headers = {{"X-Note", "$.detail.note"}};
  EXPECT_EQ(header(*build("{\"note\":\"fine\"}"), "X-Note"), "fine");
  EXPECT_FALSE(build("{\"note\":\"a\\r\\nX-Evil: 1\"}"));
}

TEST(Form, Values) {
  EXPECT_EQ(*to_form(R"({"a":"x","b":1.10,"c":true,"d":null,"e":["1",2],"f":""})"), "a=x&b=1.10&c=true&e=1&e=2&f=");
  EXPECT_EQ(*to_form(R"("a=1&b=2")"), "a=1&b=2");
  EXPECT_FALSE(to_form(R"({"a":{"b":1}})"));
  EXPECT_FALSE(to_form(R"({"a":[[1]]})"));
  EXPECT_FALSE(to_form("[1]"));
  EXPECT_FALSE(to_form("free text"));
}

TEST(RetryAfter, SecondsDatesAndNonsense) {
  const WallTime now = from_rfc3339("2026-11-21T09:00:00Z").value();
  EXPECT_EQ(parse_retry_after("3", now), 3s);
  EXPECT_EQ(parse_retry_after(" -1 ", now), -1s);
  EXPECT_EQ(parse_retry_after("Sat, 21 Nov 2026 09:00:30 GMT", now), 30s);
  EXPECT_EQ(parse_retry_after("Sat, 21 Nov 2026 08:00:30 GMT", now), 0s);
  EXPECT_EQ(parse_retry_after("99999999999999", now), std::chrono::hours(24 * 366));
  EXPECT_EQ(parse_retry_after("soon", now), std::nullopt);
  EXPECT_EQ(parse_retry_after("", now), std::nullopt);
}

}  // namespace
}  // namespace hf::wire::eventbridge
