#include "phone/phone.h"

#include <boost/json/parse.hpp>
#include <set>

#include "net/crypto.h"
#include "sys/sim.h"
#include "wire/twilio/call.h"
#include "wire/twilio/list.h"
#include "wire/twilio/message.h"
#include "wire/twilio/sid.h"
#include "wire/twilio/signature.h"

namespace hf::phone {
namespace {

using net::HttpRequest;
using net::HttpResponse;

const std::string kAccounts = std::string("/2010-04-01/Accounts/") + kSandboxAccount;
const std::string kMessages = kAccounts + "/Messages.json", kCalls = kAccounts + "/Calls.json";

/// The whole sandbox on virtual time and a simulated disk; status callbacks arrive in `callbacks_`.
class PhoneTest : public ::testing::Test {
 protected:
  struct Callback {
    std::string url;
    HttpRequest request;
    net::FormFields form;
  };

  PhoneTest() { start(); }
  ~PhoneTest() override { end(); }

  void start() {
    auto db = sql::open(sim_.world(), "sqlite:phone.db", "/data");
    HF_ASSERT(db.has_value());
    db_ = std::move(*db);
    Transport transport = [this](HttpRequest request, std::string url, Monotonic) -> Task<HttpResponse> {
      const net::FormFields form = *net::parse_form(request.body);
      callbacks_.push_back({url, std::move(request), form});
      if (unreachable_ > 0) {
        --unreachable_;
        co_return Error{Code::unavailable, "connection refused"};
      }
      co_return HttpResponse::text(callback_status_, "");
    };
    auto phone = sim_.run_until_done(Phone::start(sim_.world(), config_, *db_, std::move(transport)));
    HF_ASSERT(phone.has_value());
    phone_ = std::move(*phone);
  }
  void end() {
    sim_.run_until_done(phone_->stop());
    phone_.reset();
    sim_.run_until_done(db_->close());
    db_.reset();
  }

  HttpResponse send(std::string method, std::string target, std::string body = {}, std::string authorization = {}) {
    HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    if (authorization.empty()) authorization = wire::twilio::basic_header(config_.account_sid, config_.auth_token);
    if (authorization != "none") request.headers.add("Authorization", authorization);
    request.headers.add("Content-Type", content_type_);
    return sim_.run_until_done(phone_->http()(std::move(request)));
  }
  HttpResponse create(const net::FormFields& changes = {}, const std::string& target = kMessages) {
    net::FormFields form = {{"To", "+15558675310"}, {"From", "+15005550006"}, {"Body", "Order #1042 confirmed."}};
    if (target == kCalls) form.back() = {"Twiml", wire::twilio::say("Order #1042 confirmed.")};
    for (const auto& [name, value] : changes) {
      std::erase_if(form, [&](const auto& field) { return field.first == name && name != "StatusCallbackEvent"; });
      form.emplace_back(name, value);
    }
    return send("POST", target, net::encode_form(form));
  }
  void fault(const std::string& json) { ASSERT_EQ(send("POST", "/control/faults", json).status, 201); }
  static int code_of(const HttpResponse& response) {
    const auto error = wire::twilio::parse_error(response.body, response.status);
    return error ? error->code : 0;
  }
  std::string statuses() const {
    std::string out;
    for (const Callback& callback : callbacks_) {
      const auto status = net::find_field(callback.form, "MessageStatus");
      out += std::string(status ? *status : net::find_field(callback.form, "CallStatus").value_or("?")) + " ";
    }
    return out;
  }
  std::string fetch_status(const std::string& sid) {
    return wire::twilio::parse_message(send("GET", kAccounts + "/Messages/" + sid + ".json").body)->status;
  }

  sys::SimWorld sim_{7};
  PhoneConfig config_;
  std::string content_type_ = "application/x-www-form-urlencoded";
  std::vector<Callback> callbacks_;
  int callback_status_ = 204;
  int unreachable_ = 0;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Phone> phone_;
};

TEST_F(PhoneTest, WhoIsNotTheAccountIsAnsweredAsTwilioDoes) {
  const HttpResponse none = send("GET", kMessages, "", "none");
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(code_of(none), 20003);
  EXPECT_TRUE(none.headers.get("WWW-Authenticate").has_value());
  EXPECT_EQ(code_of(send("GET", kMessages, "", wire::twilio::basic_header(kSandboxAccount, "wrong"))), 20003);
  EXPECT_EQ(code_of(send("GET", "/2010-04-01/Accounts/AC22222222222222222222222222222222/Messages.json")), 20404);
  EXPECT_EQ(code_of(send("GET", "/2010-04-01/nothing")), 20404);
  EXPECT_EQ(code_of(send("PUT", kMessages)), 20004);
  const HttpResponse list = send("GET", kMessages);
  EXPECT_EQ(list.status, 200);
  for (const char* header : {"Twilio-Request-Id", "Twilio-Concurrent-Requests", "Twilio-Request-Duration"}) {
    EXPECT_TRUE(list.headers.get(header).has_value()) << header;
  }
}

TEST_F(PhoneTest, AMessageIsCreatedAndLives) {
  const HttpResponse created = create({{"StatusCallback", "http://n:4020/hooks?n=1#rc=5"}});
  ASSERT_EQ(created.status, 201) << created.body;
  const auto message = *wire::twilio::parse_message(created.body);
  EXPECT_EQ(message.status, "queued");
  EXPECT_EQ(message.num_segments, 1u);
  sim_.run_for(5s);
  EXPECT_EQ(statuses(), "sending sent delivered ");
  EXPECT_EQ(fetch_status(message.sid), "delivered");
  EXPECT_NE(send("GET", kAccounts + "/Messages/" + message.sid + ".json").body.find(R"("price":"-0.00750")"),
            std::string::npos);
}

TEST_F(PhoneTest, CallbacksAreSignedOnTheUrlWithoutItsFragment) {
  ASSERT_EQ(create({{"StatusCallback", "http://n:4020/hooks?n=1&a=2#rc=5"}}).status, 201);
  sim_.run_for(5s);
  ASSERT_EQ(callbacks_.size(), 3u);
  for (const Callback& callback : callbacks_) {
    EXPECT_EQ(callback.url, "http://n:4020/hooks?n=1&a=2");
    EXPECT_TRUE(wire::twilio::verify(net::hmac_sha1, config_.auth_token, callback.url, callback.form,
                                     callback.request.headers.get("X-Twilio-Signature").value_or("")));
    EXPECT_EQ(net::find_field(callback.form, "SmsSid"), net::find_field(callback.form, "MessageSid"));
  }
}

TEST_F(PhoneTest, WrongRequestsStoreNothing) {
  EXPECT_EQ(code_of(create({{"To", "123"}})), 21211);
  EXPECT_EQ(code_of(create({{"Body", ""}})), 21602);
  content_type_ = "application/json";
  EXPECT_EQ(code_of(send("POST", kMessages, R"({"To":"+15558675310","From":"+15005550006","Body":"x"})")), 21604);
  EXPECT_EQ(wire::twilio::parse_page(wire::twilio::Kind::message, send("GET", kMessages).body)->items.size(), 0u);
}

TEST_F(PhoneTest, ForeignSendersAreRefusedWhereSendersAreNamed) {
  end();
  config_.senders = {"+15005550006"};
  start();
  EXPECT_EQ(create().status, 201);
  EXPECT_EQ(code_of(create({{"From", "+15557122661"}})), 21606);
  EXPECT_EQ(code_of(create({{"From", "+15557122661"}}, kCalls)), 21210);
}

TEST_F(PhoneTest, ListsAreFilteredAndWalkedByTheirLinks) {
  for (int i = 0; i < 7; ++i) {
    create({{"To", i % 2 == 0 ? "+15558675310" : "whatsapp:+15558675311"},
            {"From", i % 2 == 0 ? "+15005550006" : "whatsapp:+15005550006"}});
    sim_.run_for(1ms);
  }
  std::set<std::string> seen;
  WallTime newest = WallTime::max();
  std::string target = kMessages + "?PageSize=2&To=%2B15558675310";
  int pages = 0;
  while (!target.empty()) {
    const auto page = *wire::twilio::parse_page(wire::twilio::Kind::message, send("GET", target).body);
    for (const std::string& item : page.items) {
      const auto message = *wire::twilio::parse_message(item);
      EXPECT_TRUE(seen.insert(message.sid).second) << "each row once";
      EXPECT_LE(message.date_created, newest);
      newest = message.date_created;
    }
    target = page.next_page_uri;
    ++pages;
  }
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_EQ(pages, 2);
  EXPECT_EQ(code_of(send("GET", kMessages + "?PageSize=1001")), 20007);
  EXPECT_EQ(code_of(send("GET", kMessages + "?PageToken=x")), 21481);

  const auto count = [&](const std::string& query) {
    return wire::twilio::parse_page(wire::twilio::Kind::message, send("GET", kMessages + query).body)->items.size();
  };
  const std::string today = to_rfc3339(sim_.clock().wall()).substr(0, 10);
  EXPECT_EQ(count("?DateSent=" + today), 0u) << "nothing was sent yet";
  sim_.run_for(5s);
  EXPECT_EQ(count("?DateSent=" + today), 7u);
  EXPECT_EQ(count("?DateSent%3E=" + today), 7u);
  EXPECT_EQ(count("?DateSent%3C=2001-01-01"), 0u);
}

TEST_F(PhoneTest, ACallIsHeardAndReported) {
  const net::FormFields events = {{"StatusCallback", "http://n/h"},
                                  {"StatusCallbackEvent", "initiated"},
                                  {"StatusCallbackEvent", "ringing"},
                                  {"StatusCallbackEvent", "answered"},
                                  {"StatusCallbackEvent", "completed"}};
  const HttpResponse created = create(events, kCalls);
  ASSERT_EQ(created.status, 201) << created.body;
  sim_.run_for(5s);
  EXPECT_EQ(statuses(), "initiated ringing in-progress completed ");
  for (std::size_t i = 0; i < callbacks_.size(); ++i) {
    EXPECT_EQ(net::find_field(callbacks_[i].form, "SequenceNumber"), std::to_string(i));
  }
  const auto call = *wire::twilio::parse_call(
      send("GET", kAccounts + "/Calls/" + wire::twilio::parse_call(created.body)->sid + ".json").body);
  EXPECT_EQ(call.status, "completed");
  EXPECT_EQ(call.duration_s, 2);
  EXPECT_NE(send("GET", "/control/customers").body.find(R"("text":"Order #1042 confirmed.")"), std::string::npos);
}

TEST_F(PhoneTest, FaultsOfCreation) {
  struct Case {
    const char* mode;
    int status;
    int code;
    std::size_t created;
  };
  for (const Case& c :
       {Case{"refuse", 400, 21610, 0}, Case{"429", 429, 20429, 0}, Case{"create_then_500", 500, 20500, 1},
        Case{"fail_before_create", 500, 20500, 0}, Case{"gateway_502", 502, 0, 1},
        Case{"hang_before_create", 503, 20503, 0}, Case{"create_then_hang", 503, 20503, 1}}) {
    const auto count = [&] {
      return wire::twilio::parse_page(wire::twilio::Kind::message, send("GET", kMessages).body)->items.size();
    };
    const std::size_t before = count();
    fault(std::string(R"({"mode":")") + c.mode + R"(","count":1,"match":{"To":"+15558675310"}})");
    const Monotonic begin = sim_.clock().now();
    const HttpResponse response = create();
    EXPECT_EQ(response.status, c.status) << c.mode;
    EXPECT_EQ(code_of(response), c.code) << c.mode;
    EXPECT_EQ(count() - before, c.created) << c.mode;
    const bool hangs = std::string_view(c.mode).find("hang") != std::string_view::npos;
    EXPECT_EQ(sim_.clock().now() - begin >= config_.hang, hangs) << c.mode;
    EXPECT_EQ(create().status, 201) << "used up";
  }
}

TEST_F(PhoneTest, FaultsOfCallbacks) {
  const net::FormFields callback = {{"StatusCallback", "http://n/h"}};
  fault(R"({"mode":"callback_lost"})");
  create(callback);
  sim_.run_for(5s);
  EXPECT_EQ(statuses(), "sent delivered ");
  callbacks_.clear();
  fault(R"({"mode":"callback_duplicated","count":2})");
  create(callback);
  sim_.run_for(5s);
  EXPECT_EQ(statuses(), "sending sending sent sent delivered ");
  callbacks_.clear();
  fault(R"({"mode":"callback_reordered"})");
  create(callback);
  sim_.run_for(5s);
  EXPECT_EQ(statuses(), "delivered sent sending ");
  callbacks_.clear();
  fault(R"({"mode":"undelivered","code":30005})");
  create(callback);
  sim_.run_for(5s);
  EXPECT_EQ(statuses(), "sending sent undelivered ");
  EXPECT_EQ(net::find_field(callbacks_.back().form, "ErrorCode"), "30005");
}

TEST_F(PhoneTest, CallbacksAreTriedAsTheFragmentAsks) {
  callback_status_ = 500;
  create({{"StatusCallback", "http://n/h"}});
  sim_.run_for(30s);
  EXPECT_EQ(callbacks_.size(), 3u) << "by default a 500 is not tried again";
  callbacks_.clear();
  create({{"StatusCallback", "http://n/h#rc=3&rp=5xx"}});
  sim_.run_for(60s);
  EXPECT_EQ(callbacks_.size(), 12u) << "four tries each";
  std::set<std::string> tokens;
  for (const Callback& callback : callbacks_)
    tokens.emplace(*callback.request.headers.get("I-Twilio-Idempotency-Token"));
  EXPECT_EQ(tokens.size(), 3u) << "tries of one delivery carry one token";
}

TEST_F(PhoneTest, ARestartGoesOnWhereItWas) {
  const HttpResponse created = create({{"StatusCallback", "http://n/h"}});
  sim_.run_for(150ms);
  EXPECT_EQ(statuses(), "sending ");
  end();
  start();
  sim_.run_for(5s);
  EXPECT_EQ(statuses(), "sending sent delivered ");
  EXPECT_EQ(fetch_status(wire::twilio::parse_message(created.body)->sid), "delivered");
}

TEST_F(PhoneTest, WhatCustomersSawIsCounted) {
  create();
  create();
  create({{"To", "whatsapp:+15558675310"}, {"From", "whatsapp:+15005550006"}});
  create({}, kCalls);
  fault(R"({"mode":"failed"})");
  create();
  sim_.run_for(5s);
  const auto body = boost::json::parse(send("GET", "/control/customers").body);
  const auto& totals = body.at("totals");
  EXPECT_EQ(totals.at("messages").as_int64(), 4);
  EXPECT_EQ(totals.at("sms").as_int64(), 3);
  EXPECT_EQ(totals.at("whatsapp").as_int64(), 1);
  EXPECT_EQ(totals.at("calls").as_int64(), 1);
  EXPECT_EQ(totals.at("duplicates").as_int64(), 1) << "the failed one was not seen";
  EXPECT_EQ(totals.at("not_delivered").as_int64(), 1);
  EXPECT_EQ(totals.at("customers").as_int64(), 2);
  const auto one = boost::json::parse(send("GET", "/control/customers?limit=1").body);
  EXPECT_EQ(one.at("customers").as_array().size(), 1u);
  EXPECT_EQ(one.at("next_after").as_string(), "+15558675310");
}

TEST_F(PhoneTest, ScheduledMessagesWait) {
  const std::string at = to_rfc3339_seconds(sim_.clock().wall() + 600s);
  const HttpResponse created = create({{"From", ""},
                                       {"MessagingServiceSid", "MG0123456789abcdef0123456789abcdef"},
                                       {"ScheduleType", "fixed"},
                                       {"SendAt", at},
                                       {"StatusCallback", "http://n/h"}});
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(wire::twilio::parse_message(created.body)->status, "scheduled");
  sim_.run_for(590s);
  EXPECT_TRUE(callbacks_.empty());
  sim_.run_for(20s);
  EXPECT_EQ(statuses(), "queued sending sent delivered ");
}

TEST_F(PhoneTest, TestCredentialsObeyMagicNumbersAndStoreNothing) {
  const std::string test = wire::twilio::basic_header(config_.test_account_sid, config_.test_auth_token);
  const std::string messages = "/2010-04-01/Accounts/" + config_.test_account_sid + "/Messages.json";
  const auto code = [&](const std::string& from, const std::string& to) {
    return code_of(send("POST", messages, net::encode_form({{"To", to}, {"From", from}, {"Body", "x"}}), test));
  };
  EXPECT_EQ(code("+15005550006", "+15558675310"), 0);
  EXPECT_EQ(code("+15005550006", "+15005550009"), 21614);
  EXPECT_EQ(code("+15005550008", "+15558675310"), 21611);
  EXPECT_EQ(code_of(send("GET", messages, "", test)), 20008);
  EXPECT_EQ(create({{"To", "+15005550009"}}).status, 201) << "no magic with live credentials";
}

TEST_F(PhoneTest, BadControlRequestsAreExplained) {
  for (const char* bad : {"", "[]", "{}", R"({"mode":"sulk"})", R"({"mode":"refuse","count":-1})",
                          R"({"mode":"refuse","match":{"From":"x"}})", R"({"mode":"refuse","colour":"red"})"}) {
    EXPECT_EQ(send("POST", "/control/faults", bad).status, 400) << bad;
  }
  EXPECT_EQ(send("DELETE", "/control/faults/fault-99").status, 404);
  EXPECT_EQ(send("GET", "/control/nothing").status, 404);
}

TEST_F(PhoneTest, TheSandboxTokenOpensLoopbackOnly) {
  EXPECT_TRUE(check(config_, "127.0.0.1"));
  EXPECT_FALSE(check(config_, "0.0.0.0"));
}

}  // namespace
}  // namespace hf::phone
