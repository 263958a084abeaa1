#include "router/router.h"

#include "mq/scripted_service.h"
#include "router/router_fixture.h"

namespace hf::router {
namespace {

constexpr auto delivered = DeliveryState::delivered;
constexpr auto dead = DeliveryState::dead;

std::string header(const net::HttpRequest& request, std::string_view name) {
  return std::string(request.headers.get(name).value_or("(none)"));
}

TEST_F(RouterTest, AnOrderBecomesATwilioRequest) {
  start();
  const auto id = receive("m-1", order("7", "\"sms\""));
  ASSERT_TRUE(id) << id.error().to_string();
  const EventStory story = settled(*id);
  ASSERT_EQ(seen_.size(), 1u);
  EXPECT_EQ(seen_[0].method, "POST");
  EXPECT_EQ(seen_[0].target, "/2010-04-01/Accounts/" + config_.account_sid + "/Messages.json");
  EXPECT_EQ(seen_[0].body, "To=%2B15551234567&From=%2B15005550006&Body=Order%20%237%20confirmed.");
  EXPECT_EQ(header(seen_[0], "Content-Type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(header(seen_[0], "Authorization"),
            "Basic " + base64(as_bytes(config_.account_sid + ":" + config_.auth_token)));
  EXPECT_EQ(header(seen_[0], "X-Holdfast-Order-Id"), "7");
  EXPECT_EQ(story.event.rules, std::vector<std::string>{"order-confirmed-sms"});
  ASSERT_EQ(story.deliveries.size(), 1u);
  const DeliveryStory& delivery = story.deliveries[0];
  EXPECT_EQ(delivery.delivery.state, delivered);
  EXPECT_EQ(header(seen_[0], "X-Holdfast-Event-Id"), delivery.delivery.id);
  ASSERT_EQ(delivery.attempts.size(), 1u);
  EXPECT_EQ(delivery.attempts[0].status, 201);
  EXPECT_GT(delivery.attempts[0].latency, 0s);
}

TEST_F(RouterTest, EachChannelOnceWithItsOwnText) {
  start();
  const EventStory story = settled(receive("m-1", order("7", R"("sms","whatsapp","voice")")).value());
  EXPECT_EQ(story.deliveries.size(), 3u);
  std::set<std::string> bodies, ids;
  for (const net::HttpRequest& request : seen_) {
    bodies.insert(request.target.substr(request.target.rfind('/') + 1) + " " + request.body);
    ids.insert(header(request, "X-Holdfast-Event-Id"));
  }
  EXPECT_EQ(
      bodies,
      (std::set<std::string>{
          "Messages.json To=%2B15551234567&From=%2B15005550006&Body=Order%20%237%20confirmed.",
          "Messages.json To=whatsapp%3A%2B15551234567&From=whatsapp%3A%2B15005550006&Body=Order%20%237%20confirmed.",
          "Calls.json "
          "To=%2B15551234567&From=%2B15005550006&Twiml=%3CResponse%3E%3CSay%3EOrder%20number%207%20confirmed."
          "%3C%2FSay%3E%3C%2FResponse%3E"}));
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_EQ(seen_.size(), 3u);
}

TEST_F(RouterTest, AMessageThatComesAgainIsTheSameEvent) {
  start();
  const std::string id = receive("m-1", order("7", "\"sms\"")).value();
  settled(id);
  EXPECT_EQ(receive("m-1", order("7", "\"sms\"")).value(), id);
  EXPECT_EQ(receive("m-1", order("7", "\"sms\"")).value(), id);
  turn(20ms);
  EXPECT_EQ(seen_.size(), 1u);
  EXPECT_EQ(loop_.run_until_done(router_->counts())->events, 1);
  EXPECT_NE(receive("m-2", order("7", "\"sms\"")).value(), id);
}

TEST_F(RouterTest, RetriesWithTheSameIdUntilItSucceeds) {
  start();
  answer_ = [this](const net::HttpRequest&) {
    const int statuses[] = {503, 429, 500, 201};
    return net::HttpResponse::json(statuses[std::min<std::size_t>(seen_.size() - 1, 3)], "{}");
  };
  const EventStory story = settled(receive("m-1", order("7", "\"sms\"")).value());
  ASSERT_EQ(story.deliveries[0].attempts.size(), 4u);
  EXPECT_EQ(story.deliveries[0].attempts[1].status, 429);
  EXPECT_EQ(story.deliveries[0].attempts[3].error, "");
  std::set<std::string> ids;
  for (const net::HttpRequest& request : seen_) ids.insert(header(request, "X-Holdfast-Event-Id"));
  EXPECT_EQ(ids.size(), 1u);
}

TEST_F(RouterTest, WrongCredentialsAreADeadLetterUntilTheyAreRight) {
  config_.auth_token = "wrong";
  start();
  answer_ = [](const net::HttpRequest& request) {
    const bool good =
        header(request, "Authorization").ends_with(base64(as_bytes("AC00000000000000000000000000000000:right")));
    return net::HttpResponse::json(good ? 201 : 401,
                                   good ? "{}" : R"({"code":20003,"message":"Authenticate","status":401})");
  };
  const std::string id = receive("m-1", order("7", "\"sms\"")).value();
  const Delivery given_up = settled(id).deliveries[0].delivery;
  EXPECT_EQ(given_up.state, dead);
  EXPECT_EQ(given_up.attempts, 1) << "a configuration error is not repeated";
  EXPECT_EQ(given_up.error_code, "ERROR_FROM_TARGET");
  EXPECT_TRUE(given_up.error.starts_with("HTTP 401: {\"code\":20003")) << given_up.error;
  const auto listed = loop_.run_until_done(router_->dead_letters(10)).value();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].id, given_up.id);

  stop();
  config_.auth_token = "right";
  start();  // the rules file is applied again: the connection has the new password
  ASSERT_TRUE(loop_.run_until_done(router_->redrive(given_up.id)));
  const EventStory healed = settled(id);
  EXPECT_EQ(healed.deliveries[0].delivery.state, delivered);
  EXPECT_EQ(healed.deliveries[0].delivery.redrives, 1);
  EXPECT_EQ(healed.deliveries[0].attempts.size(), 2u);
  EXPECT_EQ(loop_.run_until_done(router_->redrive(given_up.id)).error().code, Code::conflict);
  EXPECT_EQ(loop_.run_until_done(router_->redrive("nothing")).error().code, Code::not_found);
}

/// A41: access error, kept for retry, then dead with the reason; granting and sending on delivers.
TEST_F(RouterTest, WithoutTheRightNothingIsCalled) {
  start();
  ASSERT_TRUE(loop_.run_until_done(router_->grant("holdfast-notify", {})));
  const std::string arn = router_->rules()->rules.at("order-confirmed-sms")->targets[0].arn;
  const std::string role = router_->control().role_arn("holdfast-notify");
  const auto put = call(
      "PutTargets",
      fmt::format(
          R"({{"Rule":"order-confirmed-sms","Targets":[{{"Id":"sms","Arn":"{}","RoleArn":"{}",)"
          R"("Input":"{{}}","HttpParameters":{{"PathParameterValues":["AC1"]}},"RetryPolicy":{{"MaximumRetryAttempts":2}}}}]}})",
          arn, role));
  ASSERT_EQ(put.status, 200) << put.text;
  const std::string id = receive("m-1", order("7", "\"sms\"")).value();
  const EventStory story = settled(id);
  EXPECT_TRUE(seen_.empty());
  const Delivery& refused = story.deliveries[0].delivery;
  EXPECT_EQ(refused.state, dead);
  EXPECT_EQ(refused.attempts, 3);
  EXPECT_EQ(refused.error_code, "NO_PERMISSIONS");
  EXPECT_EQ(refused.condition, "MaximumRetryAttempts");
  EXPECT_NE(refused.error.find("AccessDenied: " + role + " is not authorized to perform events:InvokeApiDestination"),
            std::string::npos);

  const auto granted = admin("PUT", "/admin/router/roles/holdfast-notify",
                             R"({"statements":[{"Action":["events:InvokeApiDestination"],"Resource":["*"]}]})");
  EXPECT_EQ(granted.status, 200) << granted.text;
  EXPECT_EQ(admin("POST", "/admin/router/dlq/" + refused.id + "/redrive").status, 202);
  EXPECT_EQ(settled(id).deliveries[0].delivery.state, delivered);
  EXPECT_EQ(seen_.size(), 1u);
}

TEST_F(RouterTest, ARestartTakesUpWhatWasPending) {
  start();
  const std::uint16_t port = sink_port_;
  close_sink();
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i)
    ids.push_back(receive("m-" + std::to_string(i), order(std::to_string(i), "\"sms\"")).value());
  turn(20ms);
  stop();
  EXPECT_TRUE(seen_.empty());
  open_sink(port);
  start();
  for (const std::string& id : ids) EXPECT_EQ(settled(id).deliveries[0].delivery.state, delivered);
  EXPECT_EQ(seen_.size(), 20u);
}

TEST_F(RouterTest, MoreThanFitsInMemoryIsDeliveredAllTheSame) {
  config_.queue_per_destination = 3;
  start();
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i)
    ids.push_back(receive("m-" + std::to_string(i), order(std::to_string(i), "\"sms\"")).value());
  for (const std::string& id : ids) EXPECT_EQ(settled(id).deliveries[0].delivery.state, delivered);
  EXPECT_EQ(seen_.size(), 40u);
}

TEST_F(RouterTest, ASlowDestinationHoldsBackNobody) {
  config_.concurrency_per_destination = 2;
  start();
  hold_ = [](const net::HttpRequest& request) { return request.target.ends_with("/Calls.json"); };
  std::vector<std::string> slow, fast;
  for (int i = 0; i < 4; ++i) slow.push_back(receive("s-" + std::to_string(i), order("1", "\"voice\"")).value());
  for (int i = 0; i < 10; ++i) fast.push_back(receive("f-" + std::to_string(i), order("1", "\"sms\"")).value());
  for (const std::string& id : fast) EXPECT_EQ(settled(id).deliveries[0].delivery.state, delivered);
  for (const std::string& id : slow) EXPECT_EQ(story(id).deliveries[0].delivery.state, DeliveryState::pending);
  let_go();
  for (const std::string& id : slow) EXPECT_EQ(settled(id).deliveries[0].delivery.state, delivered);
}

TEST_F(RouterTest, ATimeoutIsRepeatedWithTheSameId) {
  config_.request_timeout = 3s;
  start();
  hold_ = [this](const net::HttpRequest&) { return seen_.size() == 1; };
  const EventStory story = settled(receive("m-1", order("7", "\"sms\"")).value());
  ASSERT_EQ(seen_.size(), 2u);
  EXPECT_EQ(header(seen_[0], "X-Holdfast-Event-Id"), header(seen_[1], "X-Holdfast-Event-Id"));
  EXPECT_EQ(story.deliveries[0].attempts[0].status, 0);
  EXPECT_NE(story.deliveries[0].attempts[0].error, "");
  EXPECT_EQ(story.deliveries[0].delivery.state, delivered);
}

TEST_F(RouterTest, AMessageThatIsNoEventIsRefused) {
  start();
  EXPECT_EQ(receive("m-1", "not json").error().code, Code::invalid);
  EXPECT_EQ(receive("m-1", "[1]").error().code, Code::invalid);
  EXPECT_EQ(loop_.run_until_done(router_->counts())->events, 0);
  // Any other object is the detail; the subscription says the rest.
  const EventStory story =
      settled(receive("m-2", R"({"order_id":"9","channel":"sms","customer_phone":"+15551234567"})").value());
  EXPECT_EQ(story.event.source, "ecommerce.orders");
  EXPECT_EQ(story.deliveries.size(), 1u);
}

TEST_F(RouterTest, AMessageIsAcknowledgedOnceItIsDurable) {
  mq::ScriptedService broker(world_.clock);
  auto client = mq::Client::make(world_, {}, &broker).value();
  start();
  ASSERT_TRUE(loop_.run_until_done(router_->subscribe(*client)));
  const auto message = [](const std::string& id, const std::string& body) {
    auto out = mq::ScriptedService::message(id);
    out.mutable_topic()->set_name("ecommerce-orders");
    out.set_body(body);
    return out;
  };
  broker.deliver(
      {message("m-1", order("7", "\"sms\"")), message("m-2", "not json"), message("m-1", order("7", "\"sms\""))});
  const Monotonic deadline = world_.clock.now() + 30s;
  while ((broker.acks.size() < 2 || broker.changes.empty()) && world_.clock.now() < deadline) turn(1ms);
  EXPECT_EQ(broker.acks.size(), 2u);
  EXPECT_EQ(broker.changes.size(), 1u) << "what is no event goes back";
  EXPECT_EQ(loop_.run_until_done(router_->counts())->events, 1);
  const auto id = router_->intake().from_message(config_.topics[0], "m-1", "", {}, order("7", "\"sms\""))->event.id;
  EXPECT_EQ(settled(id).deliveries[0].delivery.state, delivered);
  EXPECT_EQ(seen_.size(), 1u);
  stop();  // before the client it consumes through
}

TEST_F(RouterTest, StartsWithoutTheBrokerAndFindsItLater) {
  mq::ScriptedService broker(world_.clock);
  for (int i = 0; i < 3; ++i) broker.route_answers.push_back(Error{Code::unavailable, "no broker"});
  auto client = mq::Client::make(world_, {}, &broker).value();
  start();
  ASSERT_TRUE(loop_.run_until_done(router_->subscribe(*client)));
  EXPECT_EQ(call("PutEvents", R"({"Entries":[{"Source":"a","DetailType":"x","Detail":"{}"}]})").status, 200);
  auto message = mq::ScriptedService::message("m-1");
  message.mutable_topic()->set_name("ecommerce-orders");
  message.set_body(order("7", "\"sms\""));
  broker.deliver({message});
  const Monotonic deadline = world_.clock.now() + 20s;
  while (broker.acks.empty() && world_.clock.now() < deadline) turn(1ms);
  EXPECT_EQ(broker.acks.size(), 1u);
  stop();
}

TEST_F(RouterTest, RulesFileIsAppliedOnceAndAgain) {
  start();
  const std::string arn = router_->rules()->destinations.at("twilio-messages")->arn;
  ASSERT_EQ(call("DisableRule", R"({"Name":"order-confirmed-voice"})").status, 200);
  stop();
  start();
  EXPECT_EQ(router_->rules()->destinations.at("twilio-messages")->arn, arn);
  EXPECT_EQ(router_->rules()->rules.size(), 3u);
  EXPECT_FALSE(router_->rules()->rules.at("order-confirmed-voice")->enabled)
      << "the file does not say, so the operator's word stands";
  const EventStory story = settled(receive("m-1", order("7", "\"voice\"")).value());
  EXPECT_TRUE(story.deliveries.empty());
}

TEST_F(RouterTest, ABadRulesFileStopsTheStart) {
  config_.rules_file = dir_ + "/rules.json";
  ASSERT_TRUE(sys::replace_file(world_.files, config_.rules_file,
                                R"({"rules":[{"Name":"x","EventPattern":{"a":[{"wildcard":"*"}]},"Targets":[]}]})"));
  router_ = std::make_unique<Router>(world_, config_, *db_);
  const Result<void> started = loop_.run_until_done(router_->start());
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, "rules file, rules 1: Match type wildcard is not supported yet");
}

/// design.md §4: between the provider call and its record, between the write and the ack.
TEST_F(RouterTest, FaultsAtEveryBoundaryLoseAndDoubleNothing) {
  for (const char* point : {"router.before_store", "router.after_store", "router.before_call", "router.after_call",
                            "router.after_record"}) {
    seen_.clear();
    start();
    ASSERT_TRUE(world_.faults.arm(std::string(point) + "=error:1"));
    const std::string message = std::string("m-") + point;
    Result<std::string> id = receive(message, order("7", "\"sms\""));
    if (!id) id = receive(message, order("7", "\"sms\""));  // the broker delivers it again
    ASSERT_TRUE(id) << point;
    const EventStory story = settled(*id);
    EXPECT_EQ(story.deliveries.size(), 1u) << point;
    EXPECT_EQ(story.deliveries[0].delivery.state, delivered) << point;
    std::set<std::string> ids;
    for (const net::HttpRequest& request : seen_) ids.insert(header(request, "X-Holdfast-Event-Id"));
    EXPECT_EQ(ids.size(), 1u) << point << ": every call of one delivery has one id";
    world_.faults.disarm_all();
    stop();
  }
}

TEST_F(RouterTest, PruneRemovesOnlyWhatIsFinished) {
  start();
  const std::string done = receive("m-1", order("7", "\"sms\"")).value();
  settled(done);
  answer_ = [](const net::HttpRequest&) { return net::HttpResponse::json(404, "{}"); };
  const std::string failed = receive("m-2", order("8", "\"sms\"")).value();
  settled(failed);
  Store store(*db_);
  EXPECT_EQ(loop_.run_until_done(store.prune(world_.clock.wall() + 1s, 100)).value(), 1);
  EXPECT_FALSE(*loop_.run_until_done(router_->event(done)));
  EXPECT_EQ(story(failed).deliveries[0].attempts.size(), 1u);
}

TEST_F(RouterTest, AdminTellsTheStory) {
  start();
  const std::string id = receive("m-1", order("7", "\"sms\"")).value();
  settled(id);
  const auto event = admin("GET", "/admin/router/events/" + id);
  EXPECT_EQ(event.status, 200);
  EXPECT_EQ(event.body.at("origin").as_string(), "ecommerce-orders/m-1");
  EXPECT_EQ(event.body.at("event").at("detail").at("order_id").as_string(), "7");
  const auto& delivery = event.body.at("deliveries").at(0);
  EXPECT_EQ(delivery.at("attemptList").at(0).at("status").as_int64(), 201);
  EXPECT_EQ(admin("GET", "/admin/router/deliveries/" + std::string(delivery.at("id").as_string()))
                .body.at("state")
                .as_string(),
            "delivered");
  EXPECT_EQ(admin("GET", "/admin/router").body.at("delivered").as_int64(), 1);
  const auto rules = admin("GET", "/admin/router/rules");
  EXPECT_EQ(rules.body.at("rules").as_array().size(), 3u);
  EXPECT_EQ(rules.text.find(config_.auth_token + "\""), std::string::npos) << "no secrets";
  EXPECT_EQ(admin("GET", "/admin/router/events/nothing").status, 404);
  EXPECT_EQ(admin("GET", "/admin/router/dlq?limit=0").status, 400);
  EXPECT_EQ(admin("DELETE", "/admin/router/dlq").status, 405);
  EXPECT_EQ(admin("GET", "/admin/router/dlq").body.at("deadLetters").as_array().size(), 0u);
}

TEST(TokenBucket, SpreadsCallsEvenly) {
  TokenBucket bucket;
  Monotonic now{};
  int taken = 0;
  for (; now < Monotonic{} + 10s; now = std::max(now + 1ms, bucket.ready_at(5, now))) {
    if (bucket.ready_at(5, now) > now) continue;
    bucket.take();
    ++taken;
  }
  EXPECT_GE(taken, 48);
  EXPECT_LE(taken, 51);
}

TEST(DeliveryId, FollowsFromEventRuleAndTarget) {
  EXPECT_EQ(delivery_id("e", "r", "t"), delivery_id("e", "r", "t"));
  EXPECT_NE(delivery_id("e", "r", "t"), delivery_id("e", "rt", ""));
  EXPECT_TRUE(delivery_id("e", "r", "t").starts_with("e."));
  EXPECT_EQ(delivery_id("e", "r", "t").size(), 18u);
}

}  // namespace
}  // namespace hf::router
