#include <boost/json/parse.hpp>

#include "chain.h"
#include "net/crypto.h"
#include "wire/twilio/call.h"
#include "wire/twilio/list.h"
#include "wire/twilio/signature.h"

namespace hf::test {
namespace {

const net::FormFields kSms = {{"To", "+15558675310"}, {"From", "+15005550006"}, {"Body", "Order #1042 confirmed."}};

int code_of(const HttpResponse& response) {
  const auto error = wire::twilio::parse_error(response.body, response.status);
  return error ? error->code : 0;
}

struct Totals {
  std::int64_t notifications, duplicates;
};
Totals totals(Chain& chain) {
  const auto body = boost::json::parse(chain.phone("GET", "/control/totals").body);
  return {body.at("notifications").as_int64(), body.at("duplicates").as_int64()};
}

/// Repeats as the router does, until the answer is final.
HttpResponse insist(Chain& chain, const net::FormFields& form, const std::string& event_id,
                    const std::string& target = kMessages) {
  for (int tries = 0; tries < 100; ++tries) {
    HttpResponse response = chain.notify(form, event_id, target);
    if (response.status != 503 && response.status != 429 && response.status != 0) return response;
    chain.sim.run_for(1s);
  }
  return HttpResponse::text(0, "never answered");
}

std::string state_of(Chain& chain, const std::string& name) {
  const auto body = boost::json::parse(chain.admin("GET", "/admin/notifier/notifications/" + name).body);
  return std::string(body.at("notifications").at(0).at("state").as_string());
}

TEST(Ledger, OneEventIsOneMessageHoweverOftenItComes) {
  Chain chain(1);
  const HttpResponse first = chain.notify(kSms, "event-1");
  ASSERT_EQ(first.status, 201) << first.body;
  const std::string sid = wire::twilio::parse_message(first.body)->sid;
  for (int i = 0; i < 5; ++i) {
    const HttpResponse again = chain.notify(kSms, "event-1");
    EXPECT_EQ(again.status, 201);
    EXPECT_EQ(wire::twilio::parse_message(again.body)->sid, sid);
  }
  EXPECT_EQ(chain.provider_posts, 1u);
  chain.sim.run_for(5s);
  const HttpResponse fetched = chain.get_notifier(kAccounts + "/Messages/" + sid + ".json");
  EXPECT_EQ(wire::twilio::parse_message(fetched.body)->status, "delivered");
  EXPECT_EQ(totals(chain).notifications, 1);
}

TEST(Ledger, ConcurrentRepetitionsWaitForTheOneCall) {
  Chain chain(2);
  chain.latency_max = 50ms;
  std::vector<std::string> sids;
  const auto client = [](Chain& c, std::vector<std::string>& out) -> asio::awaitable<void> {
    Result<HttpResponse> response = co_await c.to_notifier(Chain::create_request(kSms, "event-1"));
    out.push_back(response && response->status == 201 ? wire::twilio::parse_message(response->body)->sid : "none");
  };
  for (int i = 0; i < 10; ++i) chain.sim.spawn(client(chain, sids));
  chain.sim.run_for(10s);
  ASSERT_EQ(sids.size(), 10u);
  EXPECT_EQ(std::count(sids.begin(), sids.end(), sids.front()), 10);
  EXPECT_EQ(chain.provider_posts, 1u);
}

TEST(Ledger, OneEventOnThreeChannelsIsThreeNotifications) {
  Chain chain(3);
  EXPECT_EQ(chain.notify(kSms, "event-1").status, 201);
  EXPECT_EQ(chain.notify({{"To", "whatsapp:+15558675310"}, {"Body", "Order #1042 confirmed."}}, "event-1").status, 201);
  EXPECT_EQ(
      chain.notify({{"To", "+15558675310"}, {"Twiml", wire::twilio::say("Order #1042 confirmed.")}}, "event-1", kCalls)
          .status,
      201);
  chain.sim.run_for(5s);
  EXPECT_EQ(totals(chain).notifications, 3);
  EXPECT_EQ(totals(chain).duplicates, 0);
  const auto shown = boost::json::parse(chain.admin("GET", "/admin/notifier/notifications/event-1").body);
  ASSERT_EQ(shown.at("notifications").as_array().size(), 3u);
  for (const auto& n : shown.at("notifications").as_array()) {
    EXPECT_TRUE(n.at("status").as_string() == "delivered" || n.at("status").as_string() == "read" ||
                n.at("status").as_string() == "completed");
  }
}

TEST(Ledger, WithoutEventIdEveryRequestIsANotification) {
  Chain chain(4);
  EXPECT_EQ(chain.notify(kSms, "").status, 201);
  EXPECT_EQ(chain.notify(kSms, "").status, 201);
  EXPECT_EQ(totals(chain).notifications, 2);
  chain.fault(R"({"mode":"hang_before_create"})");
  const HttpResponse lost = chain.notify(kSms, "");
  EXPECT_EQ(lost.status, 500) << "503 would invite a repetition, which would be another notification";
  EXPECT_EQ(code_of(lost), 20500);
}

TEST(Ledger, AnEventIdMeansOneRequest) {
  Chain chain(5);
  EXPECT_EQ(chain.notify(kSms, "event-1").status, 201);
  net::FormFields other = kSms;
  other.back().second = "Something else";
  EXPECT_EQ(chain.notify(other, "event-1").status, 409);
  std::ranges::reverse(other = kSms);
  EXPECT_EQ(chain.notify(other, "event-1").status, 201) << "the order of parameters means nothing";
  EXPECT_EQ(chain.provider_posts, 1u);
}

TEST(Ledger, WrongRequestsAreRefusedBeforeAnythingIsStored) {
  Chain chain(6);
  EXPECT_EQ(code_of(chain.notify({{"To", "1"}, {"Body", "x"}}, "e1")), 21211);
  EXPECT_EQ(code_of(chain.notify({{"To", "+15558675310"}}, "e2")), 21602);
  EXPECT_EQ(code_of(chain.notify(kSms, "event with spaces")), 20001);
  HttpRequest json = Chain::create_request({}, "e3");
  json.headers.set("Content-Type", "application/json");
  json.body = R"({"To":"+15558675310","Body":"x"})";
  EXPECT_EQ(code_of(*chain.sim.run_until_done(chain.to_notifier(std::move(json)))), 21604);
  HttpRequest stranger = Chain::create_request(kSms, "e4");
  stranger.headers.set("Authorization", "Basic QUM6eA==");
  const HttpResponse refused = *chain.sim.run_until_done(chain.to_notifier(std::move(stranger)));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(code_of(refused), 20003);
  EXPECT_EQ(chain.provider_posts, 0u);
  EXPECT_EQ(boost::json::parse(chain.admin("GET", "/admin/notifier/notifications").body)
                .at("notifications")
                .as_array()
                .size(),
            0u);
}

// What happened to the one call, and what the client gets in the end. Always: one message at most, none lost.
TEST(Ledger, EveryOutcomeOfACallEndsInOneMessageOrARefusal) {
  struct Case {
    const char* fault;
    int status;
    std::int64_t messages;
    std::size_t posts;
  };
  for (const Case& c : {Case{"create_then_hang", 201, 1, 1}, Case{"create_then_500", 201, 1, 1},
                        Case{"gateway_502", 201, 1, 1}, Case{"hang_before_create", 201, 1, 2},
                        Case{"fail_before_create", 201, 1, 2}, Case{"429", 201, 1, 2}, Case{"refuse", 400, 0, 1}}) {
    for (const bool callbacks_lost : {false, true}) {
      Chain chain(7);
      if (callbacks_lost) chain.fault(R"({"mode":"callback_lost","count":0})");
      chain.fault(std::string(R"({"mode":")") + c.fault + R"("})");
      EXPECT_EQ(insist(chain, kSms, "event-1").status, c.status) << c.fault;
      EXPECT_EQ(totals(chain).notifications, c.messages) << c.fault;
      EXPECT_EQ(chain.provider_posts, c.posts) << c.fault;
      const HttpResponse again = chain.notify(kSms, "event-1");
      EXPECT_EQ(again.status, c.status) << "the recorded answer: " << c.fault;
      EXPECT_EQ(chain.provider_posts, c.posts) << c.fault;
    }
  }
}

TEST(Ledger, CallsWithLostAnswersAreResolvedByTheirCallbacksOrTheList) {
  for (const char* fault : {"create_then_hang", "create_then_500", "hang_before_create"}) {
    Chain chain(8);
    chain.fault(std::string(R"({"mode":")") + fault + R"("})");
    const net::FormFields call = {{"To", "+15558675310"}, {"Twiml", wire::twilio::say("Order #1042 confirmed.")}};
    EXPECT_EQ(insist(chain, call, "event-1", kCalls).status, 201) << fault;
    chain.sim.run_for(30s);
    EXPECT_EQ(totals(chain).notifications, 1) << fault;
  }
}

TEST(Ledger, AProviderThatIsAwayIsWaitedFor) {
  Chain chain(9);
  chain.provider_unreachable = true;
  const HttpResponse early = chain.notify(kSms, "event-1");
  EXPECT_EQ(early.status, 503);
  EXPECT_TRUE(early.headers.get("Retry-After").has_value());
  EXPECT_EQ(state_of(chain, "event-1"), "waiting");
  chain.sim.run_for(60s);
  chain.provider_unreachable = false;
  chain.sim.run_for(31s);
  EXPECT_EQ(state_of(chain, "event-1"), "created") << "nobody had to ask again";
  EXPECT_EQ(chain.notify(kSms, "event-1").status, 201);
  EXPECT_EQ(totals(chain).notifications, 1);
}

TEST(Ledger, CallbacksInAnyOrderTwiceAndLostEndInTheFinalStatus) {
  for (const char* fault : {"callback_reordered", "callback_duplicated", "callback_lost"}) {
    Chain chain(10);
    chain.fault(std::string(R"({"mode":")") + fault + R"(","count":3})");
    const std::string sid = wire::twilio::parse_message(chain.notify(kSms, "event-1").body)->sid;
    chain.sim.run_for(std::string_view(fault) == "callback_lost" ? 10min : 5s);  // lost ones: the poll finds out
    const HttpResponse fetched = chain.get_notifier(kAccounts + "/Messages/" + sid + ".json");
    EXPECT_EQ(wire::twilio::parse_message(fetched.body)->status, "delivered") << fault;
  }
}

TEST(Ledger, AFailureKeepsItsCode) {
  Chain chain(11);
  chain.fault(R"({"mode":"undelivered","code":30005})");
  const std::string sid = wire::twilio::parse_message(chain.notify(kSms, "event-1").body)->sid;
  chain.sim.run_for(5s);
  const auto message = *wire::twilio::parse_message(chain.get_notifier(kAccounts + "/Messages/" + sid + ".json").body);
  EXPECT_EQ(message.status, "undelivered");
  EXPECT_EQ(message.error_code, 30005);
}

TEST(Ledger, ForgedCallbacksChangeNothing) {
  Chain chain(12);
  const std::string sid = wire::twilio::parse_message(chain.notify(kSms, "event-1").body)->sid;
  const std::string target = "/hooks/twilio/message?n=NT1&a=1";
  const net::FormFields form = {{"MessageSid", sid}, {"MessageStatus", "read"}};
  const auto post = [&](const std::string& signature) {
    HttpRequest request;
    request.method = "POST";
    request.target = target;
    request.body = net::encode_form(form);
    if (!signature.empty()) request.headers.add("X-Twilio-Signature", signature);
    return chain.hook(std::move(request)).status;
  };
  const std::string url = "http://127.0.0.1:4020" + target;
  EXPECT_EQ(post(""), 403);
  EXPECT_EQ(post("AAAA"), 403);
  EXPECT_EQ(post(wire::twilio::sign(net::hmac_sha1, "wrong token", url, form)), 403);
  EXPECT_EQ(post(wire::twilio::sign(net::hmac_sha1, phone::kSandboxToken, url + "/", form)), 403);
  EXPECT_EQ(chain.admin("GET", "/admin/notifier/notifications/" + sid).body.find("\"read\""), std::string::npos);
  EXPECT_EQ(post(wire::twilio::sign(net::hmac_sha1, phone::kSandboxToken, url, form)), 204);
  EXPECT_NE(chain.admin("GET", "/admin/notifier/notifications/" + sid).body.find("\"read\""), std::string::npos);
}

TEST(Ledger, AReportOfNobodysMessageIsKeptApart) {
  Chain chain(13);
  const std::string target = "/hooks/twilio/message?n=NT1&a=1";
  const net::FormFields form = {{"MessageSid", "SM0123456789abcdef0123456789abcdef"}, {"MessageStatus", "sent"}};
  HttpRequest request;
  request.method = "POST";
  request.target = target;
  request.body = net::encode_form(form);
  request.headers.add("X-Twilio-Signature",
                      wire::twilio::sign(net::hmac_sha1, phone::kSandboxToken, "http://127.0.0.1:4020" + target, form));
  EXPECT_EQ(chain.hook(std::move(request)).status, 204);
  EXPECT_EQ(boost::json::parse(chain.admin("GET", "/admin/notifier/notifications").body)
                .at("notifications")
                .as_array()
                .size(),
            0u);
}

TEST(Ledger, TheClientsOwnCallbackIsPassedOn) {
  Chain chain(14);
  net::FormFields form = kSms;
  form.emplace_back("StatusCallback", "http://client/status?x=1");
  ASSERT_EQ(chain.notify(form, "event-1").status, 201);
  chain.sim.run_for(5s);
  ASSERT_EQ(chain.passed_on.size(), 3u);
  const HttpRequest& first = chain.passed_on.front();
  EXPECT_TRUE(wire::twilio::verify(net::hmac_sha1, phone::kSandboxToken, "http://client/status?x=1",
                                   *net::parse_form(first.body), first.headers.get("X-Twilio-Signature").value_or("")));
}

TEST(Ledger, WhatCannotBeResolvedIsParkedAndAPersonDecides) {
  notifier::NotifierConfig config;
  config.on_absent = notifier::OnAbsent::park;
  Chain chain(15, config);
  chain.fault(R"({"mode":"hang_before_create","count":1})");
  EXPECT_EQ(chain.notify(kSms, "event-1").status, 503);
  chain.sim.run_for(60s);
  ASSERT_EQ(state_of(chain, "event-1"), "parked");
  EXPECT_EQ(chain.provider_posts, 1u);
  EXPECT_EQ(chain.notify(kSms, "event-1").status, 503);
  const auto parked =
      boost::json::parse(chain.admin("GET", "/admin/notifier/parked").body).at("notifications").as_array();
  ASSERT_EQ(parked.size(), 1u);
  EXPECT_EQ(parked[0].at("to").as_string(), "+15*******10");
  const std::string id(parked[0].at("id").as_string());
  const std::string path = "/admin/notifier/notifications/" + id;
  EXPECT_EQ(chain.admin("POST", path + "/resolve", R"({"outcome":"maybe"})").status, 400);
  EXPECT_EQ(chain.admin("POST", path + "/dance").status, 404);
  EXPECT_EQ(chain.admin("POST", path + "/resend").status, 200);
  EXPECT_EQ(chain.admin("POST", path + "/resend").status, 409) << "it is on its way";
  chain.sim.run_for(5s);
  EXPECT_EQ(chain.notify(kSms, "event-1").status, 201);
  EXPECT_EQ(totals(chain).notifications, 1);
}

TEST(Ledger, APersonCanGiveUp) {
  notifier::NotifierConfig config;
  config.on_absent = notifier::OnAbsent::park;
  Chain chain(16, config);
  chain.fault(R"({"mode":"hang_before_create","count":1})");
  chain.notify(kSms, "event-1");
  chain.sim.run_for(60s);
  const auto parked =
      boost::json::parse(chain.admin("GET", "/admin/notifier/parked").body).at("notifications").as_array();
  const std::string id(parked.at(0).at("id").as_string());
  EXPECT_EQ(chain.admin("POST", "/admin/notifier/notifications/" + id + "/resolve", R"({"outcome":"given_up"})").status,
            200);
  EXPECT_EQ(chain.notify(kSms, "event-1").status, 409) << "final for the client";
}

TEST(Ledger, AfterSoManyLostCallsItIsParked) {
  Chain chain(17);
  chain.fault(R"({"mode":"fail_before_create","count":0})");
  chain.notify(kSms, "event-1");
  chain.sim.run_for(10min);
  EXPECT_EQ(state_of(chain, "event-1"), "parked");
  EXPECT_EQ(chain.provider_posts, 3u);
}

TEST(Ledger, OrderIdFindsTheNotificationAndThePageShowsIt) {
  Chain chain(18);
  net::FormFields form = kSms;
  form.emplace_back("HoldfastOrderId", "o-1042");
  const std::string sid = wire::twilio::parse_message(chain.notify(form, "event-1").body)->sid;
  chain.sim.run_for(5s);
  for (const std::string& name : {std::string("o-1042"), sid, std::string("event-1")}) {
    EXPECT_NE(chain.admin("GET", "/admin/notifier/notifications/" + name).body.find(sid), std::string::npos) << name;
  }
  chain.notify({{"To", "+15558675311"}, {"Body", "Order #o-7 confirmed."}}, "event-2");
  EXPECT_NE(chain.admin("GET", "/admin/notifier/notifications/o-7").body.find("event-2"), std::string::npos);
  EXPECT_EQ(chain.phone("GET", "/control/customers").body.find("HoldfastOrderId"), std::string::npos);
  const std::string page = chain.admin("GET", "/notifications?order=o-1042").body;
  for (const char* part : {"o-1042", "delivered", "+15*******10"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_EQ(page.find("8675310"), std::string::npos) << "no whole phone number";
}

TEST(Ledger, ListsLookLikeTwilios) {
  Chain chain(19);
  for (int i = 0; i < 5; ++i) chain.notify(kSms, "event-" + std::to_string(i));
  std::string target = kMessages + "?PageSize=2";
  std::set<std::string> seen;
  while (!target.empty()) {
    const auto page = *wire::twilio::parse_page(wire::twilio::Kind::message, chain.get_notifier(target).body);
    for (const std::string& item : page.items) EXPECT_TRUE(seen.insert(wire::twilio::parse_message(item)->sid).second);
    target = page.next_page_uri;
  }
  EXPECT_EQ(seen.size(), 5u);
  EXPECT_EQ(code_of(chain.get_notifier(kMessages + "?PageSize=1001")), 20007);
  EXPECT_EQ(code_of(chain.get_notifier(kAccounts + "/Messages/SM0123456789abcdef0123456789abcdef.json")), 20404);
}

TEST(Ledger, ACrashAfterTheCallIsResolvedNotRepeated) {
  Chain chain(20);
  chain.fault(R"({"mode":"create_then_hang"})");
  chain.fault(R"({"mode":"callback_lost","count":0})");
  chain.sim.spawn([](Chain& c) -> asio::awaitable<void> {
    const auto response = co_await c.to_notifier(Chain::create_request(kSms, "event-1"));
    EXPECT_FALSE(response.has_value());
  }(chain));
  chain.sim.run_for(1s);
  chain.kill();
  EXPECT_EQ(insist(chain, kSms, "event-1").status, 201);
  EXPECT_EQ(totals(chain).notifications, 1);
  EXPECT_EQ(chain.provider_posts, 1u);
}

// The n-th commit takes effect, and nobody is told.
TEST(Ledger, ACommitWhoseAnswerWasLostIsNeitherForgottenNorDoubled) {
  for (int n = 1; n <= 12; ++n) {
    Chain chain(21);
    // error:n fires the first n times; so every prefix of commits is hit.
    ASSERT_TRUE(chain.sim.world().faults.arm("sql.after_commit=error:" + std::to_string(n)));
    const HttpResponse response = insist(chain, kSms, "event-1");
    EXPECT_EQ(response.status, 201) << n;
    chain.sim.run_for(10min);
    EXPECT_EQ(totals(chain).notifications, 1) << n;
    EXPECT_EQ(chain.provider_posts, 1u) << n;
    EXPECT_NE(chain.admin("GET", "/admin/notifier/notifications/event-1").body.find("\"status\":\"delivered\""),
              std::string::npos)
        << n;
  }
}

TEST(Ledger, BytesThatAreNoTextAreRefused) {
  Chain chain(22);
  EXPECT_EQ(code_of(chain.notify({{"To", "+15558675310"}, {"Body", "\xff\xfe"}}, "e1")), 20001);
  EXPECT_EQ(code_of(chain.notify({{"To", "+15558675310"}, {"Body", std::string("a\0b", 3)}}, "e1")), 20001);
  EXPECT_EQ(chain.provider_posts, 0u);
}

}  // namespace
}  // namespace hf::test
