#include <gtest/gtest.h>

#include "base/time.h"
#include "wire/twilio/call.h"
#include "wire/twilio/message.h"

namespace hf::wire::twilio {
namespace {

const WallTime kNow = *from_rfc3339("2026-11-21T10:00:00Z");
const std::string kService = "MG0123456789abcdef0123456789abcdef";

int code_of(const Checked<MessageRequest>& checked) {
  return std::holds_alternative<ApiError>(checked) ? std::get<ApiError>(checked).code : 0;
}
int code_of(const Checked<CallRequest>& checked) {
  return std::holds_alternative<ApiError>(checked) ? std::get<ApiError>(checked).code : 0;
}

/// A good request with one thing changed.
Fields with(Fields base, const Fields& changes) {
  for (const auto& [name, value] : changes) {
    std::erase_if(base, [&](const auto& pair) { return pair.first == name; });
  }
  for (const auto& change : changes) base.push_back(change);
  return base;
}

std::string repeated(std::string_view what, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += what;
  return out;
}

struct Case {
  const char* what;
  Fields changes;
  int code;  ///< 0: accepted
};

TEST(MessageRequest, EveryRuleHasItsCode) {
  const Fields good = {{"To", "+15558675310"}, {"From", "+15557122661"}, {"Body", "Your order 1042 has shipped"}};
  Fields eleven_media;
  for (int i = 0; i < 11; ++i) eleven_media.emplace_back("MediaUrl", "https://example.com/a.png");
  const std::vector<Case> cases = {
      {"as it should be", {}, 0},
      {"unknown parameters are ignored", {{"Sparkle", "1"}}, 0},
      {"no To", {{"To", ""}}, 21604},
      {"To is no number", {{"To", "123"}}, 21211},
      {"To is From", {{"To", "+15557122661"}}, 21211},
      {"neither From nor service", {{"From", ""}}, 21603},
      {"a service instead of From", {{"From", ""}, {"MessagingServiceSid", kService}}, 0},
      {"a service that is none", {{"From", ""}, {"MessagingServiceSid", "MG1"}}, 21705},
      {"From is nothing", {{"From", "+0"}}, 21212},
      {"From is a short code", {{"From", "12345"}}, 0},
      {"From is a name", {{"From", "Holdfast"}}, 0},
      {"WhatsApp on both sides", {{"To", "whatsapp:+15558675310"}, {"From", "whatsapp:+15557122661"}}, 0},
      {"WhatsApp on one side only", {{"To", "whatsapp:+15558675310"}}, 21612},
      {"no content", {{"Body", ""}}, 21602},
      {"1 600 characters", {{"Body", std::string(1600, 'a')}}, 0},
      {"1 601 characters", {{"Body", std::string(1601, 'a')}}, 21617},
      {"800 emoji are 1 600 units", {{"Body", repeated("👍", 800)}}, 0},
      {"801 emoji are 1 602 units", {{"Body", repeated("👍", 801)}}, 21617},
      {"media instead of text", {{"Body", ""}, {"MediaUrl", "https://example.com/a.png"}}, 0},
      {"eleven media", eleven_media, 21623},
      {"a medium that is no URL", {{"MediaUrl", "htp://example.com"}}, 21620},
      {"variables without content", {{"ContentVariables", "{}"}}, 21654},
      {"variables that are no JSON",
       {{"ContentSid", "HX0123456789abcdef0123456789abcdef"}, {"ContentVariables", "{"}},
       21656},
      {"content that is none", {{"ContentSid", "HX1"}}, 21655},
      {"a callback", {{"StatusCallback", "http://127.0.0.1:4020/hooks?n=1#rc=5"}}, 0},
      {"a callback host with underscore", {{"StatusCallback", "http://a_b.example/x"}}, 21609},
      {"a callback of another scheme", {{"StatusCallback", "ftp://example.com/x"}}, 21609},
      {"validity 1", {{"ValidityPeriod", "1"}}, 0},
      {"validity 0", {{"ValidityPeriod", "0"}}, 90007},
      {"validity 36001", {{"ValidityPeriod", "36001"}}, 90007},
      {"validity that is no number", {{"ValidityPeriod", "ten"}}, 90007},
      {"scheduled",
       {{"MessagingServiceSid", kService}, {"ScheduleType", "fixed"}, {"SendAt", "2026-11-21T10:06:00Z"}},
       0},
      {"scheduled without a time", {{"MessagingServiceSid", kService}, {"ScheduleType", "fixed"}}, 35111},
      {"a time without a schedule", {{"MessagingServiceSid", kService}, {"SendAt", "2026-11-21T10:06:00Z"}}, 35119},
      {"scheduled without a service", {{"ScheduleType", "fixed"}, {"SendAt", "2026-11-21T10:06:00Z"}}, 35118},
      {"scheduled too near",
       {{"MessagingServiceSid", kService}, {"ScheduleType", "fixed"}, {"SendAt", "2026-11-21T10:05:00Z"}},
       35114},
      {"scheduled too far",
       {{"MessagingServiceSid", kService}, {"ScheduleType", "fixed"}, {"SendAt", "2026-12-27T10:05:00Z"}},
       35114},
  };
  for (const Case& c : cases) EXPECT_EQ(code_of(parse_message_request(with(good, c.changes), kNow)), c.code) << c.what;
}

TEST(CallRequest, EveryRuleHasItsCode) {
  const Fields good = {
      {"To", "+15558675310"}, {"From", "+15557122661"}, {"Twiml", "<Response><Say>Hi</Say></Response>"}};
  const std::vector<Case> cases = {
      {"as it should be", {}, 0},
      {"no To", {{"To", ""}}, 21201},
      {"To is no number", {{"To", "123"}}, 21217},
      {"no From", {{"From", ""}}, 21213},
      {"nothing to say", {{"Twiml", ""}}, 21205},
      {"a URL instead", {{"Twiml", ""}, {"Url", "http://example.com/voice"}}, 0},
      {"a URL that is none", {{"Url", "example"}}, 21205},
      {"TwiML of 4 001 characters", {{"Twiml", std::string(4001, 'a')}}, 21205},
      {"an application that is none", {{"ApplicationSid", "AP1"}}, 21218},
      {"an unknown event", {{"StatusCallbackEvent", "hung-up"}}, 21626},
      {"two events", {{"StatusCallbackEvent", "answered"}, {"StatusCallbackEvent", "completed"}}, 0},
      {"a bad callback", {{"StatusCallback", "x"}}, 21609},
  };
  for (const Case& c : cases) EXPECT_EQ(code_of(parse_call_request(with(good, c.changes))), c.code) << c.what;
}

TEST(Twiml, WhatIsSaidIsHeard) {
  EXPECT_EQ(spoken_text(say("Tom & Jerry's \"<1042>\"")), "Tom & Jerry's \"<1042>\"");
  EXPECT_EQ(spoken_text("<Response><Say voice='alice'>One.</Say><Pause/><Say>Two.</Say></Response>"), "One. Two.");
  EXPECT_EQ(spoken_text("<Response><Say/><Say>x"), "");
}

}  // namespace
}  // namespace hf::wire::twilio
