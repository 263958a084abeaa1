#include <gtest/gtest.h>

#include "wire/twilio/address.h"
#include "wire/twilio/call.h"
#include "wire/twilio/callback.h"
#include "wire/twilio/dates.h"
#include "wire/twilio/error.h"
#include "wire/twilio/list.h"
#include "wire/twilio/message.h"
#include "wire/twilio/route.h"
#include "wire/twilio/segments.h"
#include "wire/twilio/sid.h"
#include "wire/twilio/signature.h"
#include "wire/twilio/status.h"

namespace hf::wire::twilio {
namespace {

const std::string kAccount = "AC0123456789abcdef0123456789abcdef";
const std::string kMessage = "SM0123456789abcdef0123456789abcdef";
const std::string kCall = "CA0123456789abcdef0123456789abcdef";

Message a_message() {
  Message m;
  m.sid = kMessage;
  m.account_sid = kAccount;
  m.to = "+15558675310";
  m.from = "+15557122661";
  m.body = "Your order \"1042\" <b>";
  m.status = "queued";
  m.date_created = m.date_updated = *from_rfc3339("2026-11-20T10:12:13Z");
  return m;
}

TEST(Message, IsWrittenAsTwilioWritesIt) {
  const std::string json = to_json(a_message());
  for (const char* part : {R"("num_segments":"1")", R"("num_media":"0")", R"("error_code":null)", R"("date_sent":null)",
                           R"("date_created":"Fri, 20 Nov 2026 10:12:13 +0000")", R"("price":null)",
                           R"("messaging_service_sid":null)", R"("api_version":"2010-04-01")"}) {
    EXPECT_NE(json.find(part), std::string::npos) << part << " in " << json;
  }
}

TEST(Message, SurvivesItsOwnRoundTrip) {
  Message m = a_message();
  m.error_code = 30003;
  m.error_message = "Unreachable";
  m.date_sent = m.date_created + 1s;
  const Result<Message> read = parse_message(to_json(m));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(to_json(*read), to_json(m));
}

TEST(Message, WithoutSidIsNone) {
  for (const char* bad : {"", "null", "{}", R"({"sid":"SM1"})", R"({"sid":"SM0123456789abcdef0123456789abcdef")"}) {
    EXPECT_FALSE(parse_message(bad).has_value()) << bad;
  }
}

TEST(Call, SurvivesItsOwnRoundTrip) {
  Call c;
  c.sid = kCall;
  c.account_sid = kAccount;
  c.to = "+15558675310";
  c.from = "+15557122661";
  c.status = "completed";
  c.duration_s = 7;
  c.date_created = c.date_updated = *from_rfc3339("2026-11-20T10:12:13Z");
  c.start_time = c.date_created;
  c.end_time = c.date_created + 7s;
  const Result<Call> read = parse_call(to_json(c));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(to_json(*read), to_json(c));
  EXPECT_NE(to_json(c).find(R"("duration":"7")"), std::string::npos);
}

TEST(Errors, BodyHasTheFourKeysAndIsRecognised) {
  const ApiError error{400, 21211, "Invalid 'To' Phone Number: 123", {}};
  EXPECT_EQ(
      to_json(error),
      R"({"code":21211,"message":"Invalid 'To' Phone Number: 123","more_info":"https://www.twilio.com/docs/errors/21211","status":400})");
  EXPECT_EQ(parse_error(to_json(error), 400), error);
  for (const char* foreign : {"", "<html>502</html>", "[]", R"({"message":"x"})", R"({"code":"21211"})"}) {
    EXPECT_EQ(parse_error(foreign, 502), std::nullopt) << foreign;
  }
}

TEST(Errors, ClassesAreDataAndUnknownCodesHaveADefault) {
  EXPECT_EQ(classify_refusal(20429), FailureClass::retry);
  EXPECT_EQ(classify_refusal(21610), FailureClass::opted_out);
  EXPECT_EQ(classify_refusal(99999), FailureClass::fix);
  EXPECT_EQ(classify_delivery_failure(30003), FailureClass::later);
  EXPECT_EQ(classify_delivery_failure(99999), FailureClass::fallback);
}

TEST(Sid, TwoLettersAndThirtyTwoHexDigits) {
  EXPECT_TRUE(is_message_sid(kMessage));
  EXPECT_TRUE(is_message_sid("MM0123456789ABCDEF0123456789abcdef"));
  for (const char* bad : {"", "SM", "SM0123456789abcdef0123456789abcde", "SM0123456789abcdef0123456789abcdefg",
                          "CA0123456789abcdef0123456789abcdef", "SM0123456789abcdef0123456789abcdeg"}) {
    EXPECT_FALSE(is_message_sid(bad)) << bad;
  }
}

TEST(BasicCredentials, AreReadAndWritten) {
  const BasicCredentials read = parse_basic(basic_header(kAccount, "to:ken"));
  EXPECT_EQ(read.user, kAccount);
  EXPECT_EQ(read.password, "to:ken");
  for (const char* bad : {"", "Basic", "Basic ", "Basic !!!", "Bearer QQ==", "Basic QQ=="}) {
    EXPECT_EQ(parse_basic(bad).user, "") << bad;
  }
}

TEST(Address, NumbersChannelsAndMasks) {
  EXPECT_TRUE(is_e164("+15551234567"));
  for (const char* bad : {"", "+", "15551234567", "+05551234567", "+123456", "+1234567890123456", "+1555123456a"}) {
    EXPECT_FALSE(is_e164(bad)) << bad;
  }
  EXPECT_EQ(parse_recipient("whatsapp:+15551234567")->channel, Channel::whatsapp);
  EXPECT_EQ(mask_address("whatsapp:+15551234567"), "whatsapp:+15*******67");
}

TEST(Dates, BothFormsAndNothingElse) {
  EXPECT_EQ(*from_rfc2822("Fri, 20 Nov 2026 10:12:13 +0000"), *from_rfc3339("2026-11-20T10:12:13Z"));
  for (const char* bad :
       {"", "Fri, 20 Nov 2026 10:12:13 +0100", "Fri, 20 Now 2026 10:12:13 +0000", "Fri, 99 Nov 2026 10:12:13 +0000"}) {
    EXPECT_FALSE(from_rfc2822(bad).has_value()) << bad;
  }
  const DateSpan day = *parse_filter_date("2026-11-20");
  EXPECT_EQ(day.end - day.begin, 24h);
  const DateSpan second = *parse_filter_date("2026-11-20T10:12:13Z");
  EXPECT_EQ(second.end - second.begin, 1s);
}

TEST(Route, NamesListsAndResources) {
  const auto list = parse_route("/2010-04-01/Accounts/" + kAccount + "/Messages.json");
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->sid, "");
  const auto one = parse_route(resource_path(Kind::call, kAccount, kCall));
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(one->kind, Kind::call);
  EXPECT_EQ(one->sid, kCall);
  for (const char* bad : {"/", "/2010-04-01/Accounts/AC1.json", "/2010-04-01/Accounts/AC1/Messages",
                          "/2010-04-01/Accounts/AC1/Messages/SM1/Media.json", "/2010-04-01/Accounts//Messages.json",
                          "/2010-04-01/Accounts/AC1/Messagesx.json", "/2010-04-01/Accounts/AC1/Messages/.json"}) {
    EXPECT_FALSE(parse_route(bad).has_value()) << bad;
  }
}

TEST(Status, RankDecidesWhateverTheOrder) {
  std::vector<std::string> reports = {"queued", "sending", "sent", "delivered", "sent"};
  std::ranges::sort(reports);
  do {
    std::string status = "accepted";
    for (const std::string& report : reports) {
      if (advances(Kind::message, status, report)) status = report;
    }
    EXPECT_EQ(status, "delivered");
  } while (std::ranges::next_permutation(reports).found);
  EXPECT_FALSE(advances(Kind::message, "undelivered", "failed"));
  EXPECT_TRUE(advances(Kind::message, "undelivered", "delivered"));
  EXPECT_FALSE(advances(Kind::message, "sent", "nonsense"));
  EXPECT_TRUE(is_failure(Kind::call, "no-answer"));
  EXPECT_FALSE(is_final(Kind::call, "in-progress"));
}

std::string times(std::string_view what, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += what;
  return out;
}

TEST(Segments, BoundariesOfTheSheet) {
  struct Case {
    const char* what;
    std::string text;
    std::size_t segments;
  };
  const std::vector<Case> cases = {
      {"nothing", "", 1},
      {"160 septets", times("a", 160), 1},
      {"161 septets", times("a", 161), 2},
      {"306 septets", times("a", 306), 2},
      {"307 septets", times("a", 307), 3},
      {"70 units", times("ç", 70), 1},
      {"71 units", times("ç", 71), 2},
      {"134 units", times("ç", 134), 2},
      {"135 units", times("ç", 135), 3},
      {"an extension pair is never split", times("]", 153), 3},
      {"nor is it at the border", times("a", 152) + "€" + times("b", 152), 3},
      {"nor is a surrogate pair", times("👍", 67), 3},
      {"CRLF counts two", times("a", 80) + "\r\n" + times("a", 79), 2},
  };
  for (const Case& c : cases) EXPECT_EQ(segment(c.text).segments, c.segments) << c.what;
  EXPECT_TRUE(segment("é").gsm7);
  EXPECT_FALSE(segment("`").gsm7);
  EXPECT_FALSE(segment("ç").gsm7);
  EXPECT_EQ(segment("€").units, 2u);
}

std::string echo(std::string_view key, std::string_view data) { return std::string(key) + "|" + std::string(data); }

TEST(Signature, WhatIsSigned) {
  struct Case {
    const char* what;
    const char* url;
    Fields form;
    const char* text;
  };
  const std::vector<Case> cases = {
      {"sorted by code unit, no separators",
       "http://h/p",
       {{"b", "2"}, {"B", "1"}, {"_", "3"}, {"1", "0"}},
       "http://h/p10B1_3b2"},
      {"a repeated name: distinct values, sorted",
       "http://h/p",
       {{"a", "y"}, {"a", "x"}, {"a", "y"}},
       "http://h/paxay"},
      {"query kept byte for byte", "http://h/p?z=%20&a=1", {}, "http://h/p?z=%20&a=1"},
      {"fragment and credentials are not signed", "https://u:p@h:8/p?x=1#rc=5", {}, "https://h:8/p?x=1"},
      {"an @ in the path stays", "http://h/p@q", {}, "http://h/p@q"},
      {"spaces and other letters stay", "http://h/", {{"Body", " ä "}}, "http://h/Body ä "},
  };
  for (const Case& c : cases) EXPECT_EQ(signed_text(c.url, c.form), c.text) << c.what;
}

TEST(Signature, EveryChangeIsNoticed) {
  const std::string url = "http://h:4020/hooks?n=1&a=2";
  const Fields form = {{"MessageSid", kMessage}, {"MessageStatus", "sent"}};
  const std::string good = sign(echo, "token", url, form);
  EXPECT_TRUE(verify(echo, "token", url, form, good));
  EXPECT_TRUE(verify(echo, "token", "https://h:8443/v", form, sign(echo, "token", "https://h/v", form)))
      << "signed without port";
  EXPECT_TRUE(verify(echo, "token", "https://h/v", form, sign(echo, "token", "https://h:443/v", form)))
      << "signed with port";
  EXPECT_FALSE(verify(echo, "other", url, form, good));
  EXPECT_FALSE(verify(echo, "token", url + "/", form, good));
  EXPECT_FALSE(verify(echo, "token", "http://h:4020/hooks?a=2&n=1", form, good));
  EXPECT_FALSE(verify(echo, "token", url, {{"MessageSid", kMessage}, {"MessageStatus", "delivered"}}, good));
  EXPECT_FALSE(verify(echo, "token", url, {{"MessageSid", kMessage}}, good));
  EXPECT_FALSE(verify(echo, "token", url, form, ""));
}

TEST(List, QueriesAndTheirErrors) {
  const auto code = [](const Fields& query) {
    const auto parsed = parse_list_query(Kind::message, query);
    return std::holds_alternative<ApiError>(parsed) ? std::get<ApiError>(parsed).code : 0;
  };
  EXPECT_EQ(code({}), 0);
  EXPECT_EQ(code({{"PageSize", "1000"}}), 0);
  EXPECT_EQ(code({{"PageSize", "1001"}}), 20007);
  EXPECT_EQ(code({{"PageSize", "0"}}), 20007);
  EXPECT_EQ(code({{"PageToken", "nonsense"}}), 21481);
  EXPECT_EQ(code({{"DateSent", "yesterday"}}), 20001);
  const auto query = std::get<ListQuery>(parse_list_query(
      Kind::message, {{"DateSent>", "2026-11-20"}, {"DateSent<", "2026-11-21"}, {"PageToken", "PA" + kMessage}}));
  EXPECT_EQ(*query.sent.until - *query.sent.from, 48h);
  EXPECT_EQ(query.after_sid, kMessage);
}

TEST(List, PagesAreWalkedByTheirOwnLinks) {
  const auto query =
      std::get<ListQuery>(parse_list_query(Kind::message, {{"To", "whatsapp:+15558675310"}, {"PageSize", "1"}}));
  const Result<Page> page =
      parse_page(Kind::message, page_json(query, kAccount, {to_json(a_message())}, kMessage, true));
  ASSERT_TRUE(page.has_value());
  ASSERT_EQ(page->items.size(), 1u);
  EXPECT_EQ(parse_message(page->items[0])->sid, kMessage);
  EXPECT_EQ(page->next_page_uri, "/2010-04-01/Accounts/" + kAccount +
                                     "/Messages.json?To=whatsapp%3A%2B15558675310&PageSize=1&Page=1&PageToken=PA" +
                                     kMessage);
  EXPECT_EQ(parse_page(Kind::message, page_json(query, kAccount, {}, {}, false))->next_page_uri, "");
}

TEST(Callback, SaysWhatTheMessageSays) {
  Message m = a_message();
  m.status = "undelivered";
  m.error_code = 30003;
  const auto update = parse_status_update(message_callback(m));
  ASSERT_TRUE(update.has_value());
  EXPECT_EQ(update->sid, kMessage);
  EXPECT_EQ(update->status, "undelivered");
  EXPECT_EQ(update->error_code, 30003);
  EXPECT_FALSE(parse_status_update({{"MessageSid", "x"}, {"MessageStatus", "sent"}}).has_value());
  EXPECT_FALSE(parse_status_update({{"MessageSid", kMessage}, {"MessageStatus", "sunk"}}).has_value());
}

TEST(Callback, RetriesAsTheFragmentAsks) {
  const CallbackTarget plain = parse_callback_target("http://h/x?n=1");
  EXPECT_TRUE(retries(plain.policy, CallbackOutcome::not_connected, 1));
  EXPECT_FALSE(retries(plain.policy, CallbackOutcome::not_connected, 2));
  EXPECT_FALSE(retries(plain.policy, CallbackOutcome::status_5xx, 1));
  const CallbackTarget asked = parse_callback_target("http://h/x?n=1#rc=3&rp=5xx&tt=99999");
  EXPECT_EQ(asked.url, "http://h/x?n=1");
  EXPECT_EQ(asked.policy.total, 15s) << "out of range: the default stays";
  EXPECT_TRUE(retries(asked.policy, CallbackOutcome::status_5xx, 3)) << "four tries in all";
  EXPECT_FALSE(retries(asked.policy, CallbackOutcome::status_5xx, 4));
  EXPECT_FALSE(retries(asked.policy, CallbackOutcome::not_connected, 1));
}

}  // namespace
}  // namespace hf::wire::twilio
