#include "notifier/provider.h"

#include "notifier/page.h"
#include "wire/twilio/message.h"

namespace hf::notifier {
namespace {

using net::HttpResponse;
using wire::twilio::Kind;

const WallTime kNow = *from_rfc3339("2026-11-21T10:00:00Z");
const std::string kSid = "SM0123456789abcdef0123456789abcdef";

HttpResponse with_header(HttpResponse response, std::string name, std::string value) {
  response.headers.add(std::move(name), std::move(value));
  return response;
}

TEST(Provider, WhatAnAnswerMeans) {
  struct Case {
    const char* what;
    Result<HttpResponse> response;
    const char* event;
  };
  const std::string created = R"({"sid":")" + kSid + R"(","status":"queued"})";
  const auto error = [](int code) { return fmt::format(R"({{"code":{},"message":"m","status":400}})", code); };
  const std::vector<Case> cases = {
      {"201 with a SID", HttpResponse::json(201, created), "call_created"},
      {"200 with a SID", HttpResponse::json(200, created), "call_created"},
      {"201 without a SID", HttpResponse::json(201, "{}"), "call_lost"},
      {"201 cut off", HttpResponse::json(201, created.substr(0, 20)), "call_lost"},
      {"201 of a call, for a message", HttpResponse::json(201, R"({"sid":"CA0123456789abcdef0123456789abcdef"})"),
       "call_lost"},
      {"never connected", Error{Code::unavailable, "refused"}, "call_not_made"},
      {"no answer", Error{Code::timeout, "deadline"}, "call_lost"},
      {"our bug in between", Error{Code::internal, "?"}, "call_lost"},
      {"400 of Twilio", HttpResponse::json(400, error(21211)), "call_refused"},
      {"401 of Twilio", HttpResponse::json(401, error(20003)), "call_refused"},
      {"404 of Twilio", HttpResponse::json(404, error(21701)), "call_refused"},
      {"400 of a proxy", HttpResponse::text(400, "<html>"), "call_lost"},
      {"429 too many", HttpResponse::json(429, error(20429)), "call_not_made"},
      {"429 queue full", HttpResponse::json(429, error(21611)), "call_not_made"},
      {"429 with another code", HttpResponse::json(429, error(99999)), "call_lost"},
      {"429 of a proxy", HttpResponse::text(429, "slow down"), "call_lost"},
      {"500 of Twilio", HttpResponse::json(500, error(20500)), "call_lost"},
      {"503 of Twilio", HttpResponse::json(503, error(20503)), "call_lost"},
      {"502 of a gateway", HttpResponse::text(502, "<html>"), "call_lost"},
      {"a redirect", HttpResponse::text(302, ""), "call_lost"},
  };
  for (const Case& c : cases) EXPECT_EQ(name_of(read_answer(Kind::message, c.response).event), c.event) << c.what;
  const Answer later =
      read_answer(Kind::message, with_header(HttpResponse::json(429, error(20429)), "Retry-After", "7"));
  EXPECT_EQ(std::get<CallNotMade>(later.event).retry_after, 7s);
}

Notification a_row() {
  Notification row;
  row.id = "NT1";
  row.to = "+15558675310";
  row.from = "+15005550006";
  row.text = "Order #1042 confirmed.";
  row.form = "To=x";
  row.entry.attempt_started = kNow;
  return row;
}

TEST(Provider, WhatInTheListMayBeOurs) {
  struct Case {
    const char* what;
    Listed listed;
    bool ours;
  };
  const std::string text = "Order #1042 confirmed.";
  const std::vector<Case> cases = {
      {"the same", {kSid, "sent", "+15005550006", text, "", 0, kNow + 1s}, true},
      {"with the trial prefix",
       {kSid, "sent", "+15005550006", "Sent from your Twilio trial account - " + text, "", 0, kNow},
       true},
      {"another text", {kSid, "sent", "+15005550006", "Order #1043 confirmed.", "", 0, kNow}, false},
      {"another sender", {kSid, "sent", "+15005550007", text, "", 0, kNow}, false},
      {"a clock a little behind", {kSid, "sent", "+15005550006", text, "", 0, kNow - 29s}, true},
      {"an earlier one", {kSid, "sent", "+15005550006", text, "", 0, kNow - 31s}, false},
      {"much later", {kSid, "sent", "+15005550006", text, "", 0, kNow + 10min}, false},
  };
  for (const Case& c : cases) EXPECT_EQ(may_be(c.listed, a_row(), {}), c.ours) << c.what;
  Notification service = a_row();
  service.from = "";
  EXPECT_TRUE(may_be(cases[3].listed, service, {})) << "a service picks its sender";
  EXPECT_FALSE(is_too_old({kSid, "", "", "", "", 0, kNow - 5min}, a_row(), {}));
  EXPECT_TRUE(is_too_old({kSid, "", "", "", "", 0, kNow - 6min}, a_row(), {}));
}

TEST(Provider, WhatALookSays) {
  const Listed one{kSid, "sent", "", "", "", 0, kNow};
  struct Case {
    const char* what;
    Kind kind;
    std::size_t candidates;
    Store::Rivals rivals;
    const char* event;
  };
  for (const Case& c :
       {Case{"nothing there", Kind::message, 0, {1, 0}, "not_found"},
        Case{"there it is", Kind::message, 1, {1, 0}, "found"},
        Case{"a twin is under way", Kind::message, 1, {1, 1}, "look_failed"},
        Case{"twins with one text are the same to the customer", Kind::message, 1, {2, 0}, "found"},
        Case{"calls have no text: whose is it?", Kind::call, 1, {2, 0}, "look_failed"},
        Case{"one each", Kind::call, 2, {2, 0}, "found"}, Case{"none for all", Kind::call, 0, {2, 0}, "not_found"}}) {
    EXPECT_EQ(name_of(read_look(c.kind, std::vector<Listed>(c.candidates, one), c.rivals)), c.event) << c.what;
  }
}

TEST(Provider, TheOrderATextNames) {
  const NotifierConfig config;
  EXPECT_EQ(order_id_in("Order #o-1042 confirmed.", config), "o-1042");
  EXPECT_EQ(order_id_in("<Response><Say>Order number 7 confirmed.</Say></Response>", config), "7");
  EXPECT_EQ(order_id_in("Order #7.", config), "7");
  for (const char* none : {"", "Your table is ready", "Order #", "Order # 7"})
    EXPECT_EQ(order_id_in(none, config), "") << none;
}

TEST(Provider, WhatGoesOut) {
  const NotifierConfig config;
  const auto out = outgoing_form(
      Kind::message,
      {{"To", "whatsapp:+15558675310"}, {"Body", "x"}, {"StatusCallback", "http://client/"}, {"HoldfastOrderId", "7"}},
      config);
  EXPECT_EQ(net::encode_form(out), "To=whatsapp%3A%2B15558675310&Body=x&From=whatsapp%3A%2B15005550006");
  const ProviderCall call = create_call(a_row(), config);
  EXPECT_EQ(call.url, "http://127.0.0.1:4030/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json");
  const auto form = *net::parse_form(call.request.body);
  EXPECT_EQ(wire::twilio::field(form, "StatusCallback"),
            "http://127.0.0.1:4020/hooks/twilio/message?n=NT1&a=1#rc=5&rp=ct,rt,5xx");
  NotifierConfig silent;
  silent.callback_base_url = "";
  EXPECT_EQ(create_call(a_row(), silent).request.body, "To=x");
}

TEST(Provider, TheLedgersStatusStandsOverTheProvidersFirstAnswer) {
  Notification row = a_row();
  row.entry.state = State::created;
  row.entry.sid = kSid;
  row.entry.status = "undelivered";
  row.entry.error_code = 30003;
  row.entry.state_since = kNow;
  for (const std::string& resource :
       {std::string(), R"({"sid":")" + kSid + R"(","status":"queued","body":"from Twilio"})"}) {
    row.resource = resource;
    const auto message = *wire::twilio::parse_message(to_json(row, {}));
    EXPECT_EQ(message.status, "undelivered");
    EXPECT_EQ(message.error_code, 30003);
    EXPECT_EQ(message.body, resource.empty() ? row.text : "from Twilio");
  }
}

TEST(Page, EverythingIsEscapedAndNumbersAreMasked) {
  PageRow row{a_row(), {{1, "call_lost", "<script>alert(1)</script>", "", 0, "unknown", kNow}}};
  row.row.order_id = "\"><img src=x>";
  const std::string page = notifications_page({row}, {{"unknown", 1}});
  EXPECT_EQ(page.find("<script>"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("8675310"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
}

}  // namespace
}  // namespace hf::notifier
