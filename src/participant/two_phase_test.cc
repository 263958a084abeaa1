/// The HTTP face over real sockets. Numbers in comments: the checks of docs/protocols/two-phase-commit.md.

#include "participant/two_phase.h"

#include "participant/test_service.h"
#include "sys/wait.h"

namespace hf::participant {
namespace {

namespace two_phase = wire::two_phase;

const std::string kTx = gtrid_of(1);

/// A coordinator that says what the test tells it to, and remembers what it heard.
class ScriptedCoordinator {
 public:
  explicit ScriptedCoordinator(sys::World world) {
    net::ListenerOptions options;
    options.name = "coordinator";
    options.http = [this](net::HttpRequest request) { return answer(std::move(request)); };
    listener_ = std::move(*net::Listener::start(std::move(world), std::move(options)));
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", listener_->port()); }
  asio::awaitable<void> close(Monotonic deadline) { return listener_->drain(deadline); }

  std::vector<net::HttpRequest> heard;
  std::vector<net::HttpResponse> says;  ///< in their order; the last one for all further ones

 private:
  asio::awaitable<net::HttpResponse> answer(net::HttpRequest request) {
    heard.push_back(std::move(request));
    co_return says.at(std::min(heard.size(), says.size()) - 1);
  }
  std::unique_ptr<net::Listener> listener_;
};

struct Settings {
  std::string secret = {};
  Duration ask_after = 5s, ask_max = 30s;
};

class TwoPhaseTest : public BranchesTest {
 protected:
  TwoPhaseTest() : coordinator_(loop_.world()), client_(loop_.world(), {}) {
    open({.name = "inventory"});
    EXPECT_TRUE(run_statements(loop_, *db_, stock_tables()));
    accept_registration();
  }
  ~TwoPhaseTest() override {
    stop();
    loop_.run_until_done(coordinator_.close(loop_.world().clock.now() + 5s));
  }

  void accept_registration() {
    two_phase::RegisterResponse accepted;
    accepted.transaction_id = kTx;
    accepted.protocols.push_back(
        {two_phase::Protocol::durable, coordinator_.url() + "/balcoordinator/initiator/2pc/1"});
    coordinator_.says = {net::HttpResponse::json(200, encode(accepted))};
  }
  void start(const Settings& settings = {}) {
    TwoPhaseConfig config;
    config.secret = settings.secret;
    config.ask_after = settings.ask_after;
    config.ask_max = settings.ask_max;
    config.name = "inventory";
    config.coordinator_url = coordinator_.url();
    net::ListenerOptions options;
    options.name = "inventory";
    options.http = [this](net::HttpRequest request) { return service_->handle(std::move(request)); };
    listener_ = std::move(*net::Listener::start(loop_.world(), std::move(options)));
    config.base_url = url_ = fmt::format("http://127.0.0.1:{}", listener_->port());
    service_ = std::make_unique<TestService>(loop_.world(), std::move(config), *branches_,
                                             [this](net::HttpRequest request, std::string url, Monotonic deadline) {
                                               return client_.send(std::move(request), std::move(url), deadline);
                                             });
    EXPECT_TRUE(loop_.run_until_done(service_->participant().start()));
  }
  void stop() {
    if (!service_) return;
    loop_.run_until_done(service_->participant().stop());
    loop_.run_until_done(listener_->drain(loop_.world().clock.now() + 5s));
    listener_.reset();
    service_.reset();
  }

  /// "status body"
  std::string post(std::string url, std::string body, net::HttpHeaders headers = {}, Duration limit = 30s) {
    net::HttpRequest request;
    request.method = body.empty() ? "GET" : "POST";
    request.headers = std::move(headers);
    request.body = std::move(body);
    const Result<net::HttpResponse> answer =
        loop_.run_until_done(client_.send(std::move(request), std::move(url), loop_.world().clock.now() + limit));
    return answer ? fmt::format("{} {}", answer->status, answer->body) : std::string(to_string(answer.error().code));
  }
  net::HttpHeaders inside(const std::string& gtrid = kTx, std::string register_at = {}) {
    net::HttpHeaders headers;
    headers.add("x-b7a-xid", gtrid);
    headers.add("x-b7a-register-at",
                register_at.empty() ? two_phase::register_url(coordinator_.url(), gtrid) : std::move(register_at));
    return headers;
  }
  static net::HttpHeaders secret(const std::string& text) {
    net::HttpHeaders headers;
    headers.add("Authorization", "Bearer " + text);
    return headers;
  }
  std::string take_three(net::HttpHeaders headers) { return post(url_ + "/take", "1 3", std::move(headers)); }
  /// U of the last registration.
  std::string registered_url() {
    const auto request = two_phase::parse_register_request(coordinator_.heard.back().body);
    EXPECT_TRUE(request);
    return request ? request->protocols.front().url : "";
  }
  std::string prepare_body(const std::string& gtrid = kTx) {
    return two_phase::encode(two_phase::PrepareRequest{gtrid});
  }
  std::string notify_body(Decision decision, const std::string& gtrid = kTx) {
    return two_phase::encode(two_phase::NotifyRequest{gtrid, decision});
  }

  ScriptedCoordinator coordinator_;
  net::HttpClient client_;
  std::unique_ptr<TestService> service_;
  std::unique_ptr<net::Listener> listener_;
  std::string url_;
};

// 6
TEST_F(TwoPhaseTest, ACallInATransactionRegistersTheBranchOnce) {
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  EXPECT_EQ(take_three(inside()), "200 taken");
  ASSERT_EQ(coordinator_.heard.size(), 1U);
  const net::HttpRequest& heard = coordinator_.heard.front();
  EXPECT_EQ(heard.method, "POST");
  EXPECT_EQ(heard.target, "/balcoordinator/initiator/" + kTx + "/register");
  const auto request = two_phase::parse_register_request(heard.body);
  ASSERT_TRUE(request) << heard.body;
  EXPECT_EQ(request->transaction_id, kTx);
  EXPECT_TRUE(request->participant_id.starts_with("inventory:")) << request->participant_id;
  ASSERT_EQ(request->protocols.size(), 1U);
  EXPECT_EQ(request->protocols[0].name, two_phase::Protocol::durable);
  EXPECT_TRUE(request->protocols[0].url.starts_with(url_ + "/balcoordinator/participant/2pc/" + kTx));
}

TEST_F(TwoPhaseTest, OutsideOfATransactionACallIsRefused) {
  start();
  EXPECT_EQ(take_three({}).substr(0, 3), "403");
  EXPECT_TRUE(coordinator_.heard.empty());
}

TEST_F(TwoPhaseTest, OldReleasesHeadersAreUnderstood) {
  start();
  net::HttpHeaders headers;
  headers.add("X-XID", kTx);
  headers.add("X-Register-At-URL", two_phase::register_url(coordinator_.url(), kTx));
  EXPECT_EQ(take_three(headers), "200 taken");
}

// 7: what comes after prepare began is refused by the coordinator, and then by us.
TEST_F(TwoPhaseTest, ACallThatCannotRegisterIsRefused) {
  start();
  coordinator_.says = {net::HttpResponse::json(400, two_phase::encode_error_message("Cannot-Register"))};
  EXPECT_EQ(take_three(inside()).substr(0, 3), "409");
  coordinator_.says = {net::HttpResponse::text(503, "")};
  EXPECT_EQ(take_three(inside()).substr(0, 3), "503");
  coordinator_.says = {net::HttpResponse::text(200, "what?")};
  EXPECT_EQ(take_three(inside()).substr(0, 3), "503");
  EXPECT_EQ(prepare(kTx), "not_found: Transaction-Unknown");
}

// 7
TEST_F(TwoPhaseTest, AfterPrepareALateCallMustAskTheCoordinatorAgain) {
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  EXPECT_EQ(post(registered_url() + "/prepare", prepare_body()), R"(200 {"message":"prepared"})");
  coordinator_.says = {net::HttpResponse::json(400, two_phase::encode_error_message("Cannot-Register"))};
  EXPECT_EQ(take_three(inside()).substr(0, 3), "409");
  EXPECT_EQ(stock(), "97/3/0");
}

// 51: an original initiator's exchange, byte for byte.
TEST_F(TwoPhaseTest, AnOriginalInitiatorsExchange) {
  start();
  const std::string tx = "9b1f4c1e-7e1a-4f0c-8f5d-2d8d1f0a6c55";
  two_phase::RegisterResponse accepted;
  accepted.transaction_id = tx;
  accepted.protocols.push_back({two_phase::Protocol::durable, coordinator_.url() + "/balcoordinator/initiator/2pc/7"});
  coordinator_.says = {net::HttpResponse::json(200, encode(accepted))};
  net::HttpHeaders headers = inside(tx, coordinator_.url() + "/balcoordinator/initiator/7/register");
  headers.add("x-b7a-info-record", R"([{"xid":[57,98],"retryNumber":0,"startTime":1700000000000,"prevAttempt":null}])");
  EXPECT_EQ(post(url_ + "/take", "1 3", headers), "200 taken");
  const std::string u = registered_url();
  EXPECT_EQ(post(u + "/prepare", R"({"transactionId":")" + tx + R"("})"), R"(200 {"message":"prepared"})");
  EXPECT_EQ(post(u + "/notify", R"({"transactionId":")" + tx + R"(", "message":"commit"})"),
            R"(200 {"message":"committed"})");
  EXPECT_EQ(stock(), "97/0/3");
}

// 8, 10
TEST_F(TwoPhaseTest, RefusalsAreSpelledAsTheProtocolSpellsThem) {
  start();
  const std::string unknown = two_phase::participant_url(url_, kTx);
  EXPECT_EQ(post(unknown + "/prepare", prepare_body()), R"(404 {"message":"Transaction-Unknown"})");
  EXPECT_EQ(post(unknown + "/notify", notify_body(Decision::commit)), R"(404 {"message":"Transaction-Unknown"})");
  EXPECT_EQ(take_three(inside()), "200 taken");
  const std::string u = registered_url();
  EXPECT_EQ(post(u + "/notify", notify_body(Decision::commit)), R"(400 {"message":"not-prepared"})");
  EXPECT_EQ(post(u + "/prepare", prepare_body(gtrid_of(2))), R"(404 {"message":"Transaction-Unknown"})")
      << "the path is another transaction's";
  EXPECT_EQ(post(u + "/notify", notify_body(Decision::abort, gtrid_of(2))).substr(0, 3), "404");
  for (const std::string body : {"x", "[]", "{}", R"({"transactionId":7})", R"({"transactionId":"a b"})"}) {
    EXPECT_EQ(post(u + "/prepare", body).substr(0, 3), "400") << body;
    EXPECT_EQ(post(u + "/notify", body).substr(0, 3), "400") << body;
  }
  EXPECT_EQ(post(u + "/notify", R"({"transactionId":")" + kTx + R"(","message":"perhaps"})").substr(0, 3), "400");
  EXPECT_EQ(stock(), "100/0/0");
}

// 9
TEST_F(TwoPhaseTest, PrepareAndNotifyThreeTimes) {
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  const std::string u = registered_url();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(post(u + "/prepare", prepare_body()), R"(200 {"message":"prepared"})");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(post(u + "/notify", notify_body(Decision::commit)), R"(200 {"message":"committed"})");
  }
  EXPECT_EQ(stock(), "97/0/3");
}

// 11
TEST_F(TwoPhaseTest, AnAbortThatOvertakesThePrepare) {
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  const std::string u = registered_url();
  EXPECT_EQ(post(u + "/notify", notify_body(Decision::abort)), R"(200 {"message":"aborted"})");
  EXPECT_EQ(post(u + "/prepare", prepare_body()), R"(200 {"message":"aborted","reason":"told to abort"})");
}

TEST_F(TwoPhaseTest, AVoteAgainstItSaysWhy) {
  start();
  EXPECT_EQ(post(url_ + "/take", "2 11", inside()), "409 Insufficient stock!");
  EXPECT_EQ(post(registered_url() + "/prepare", prepare_body()),
            R"(200 {"message":"aborted","reason":"Insufficient stock!"})");
}

// 39: commit of what an operator aborted answers what the branch is.
TEST_F(TwoPhaseTest, AHeuristicEndIsToldToTheCoordinator) {
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  const std::string u = registered_url();
  EXPECT_EQ(post(u + "/prepare", prepare_body()), R"(200 {"message":"prepared"})");
  EXPECT_EQ(resolve(kTx, Decision::abort, "by hand"), "aborted");
  EXPECT_EQ(post(u + "/notify", notify_body(Decision::commit)),
            R"(200 {"message":"aborted","reason":"the branch had ended the other way"})");
}

// 45
TEST_F(TwoPhaseTest, WithoutTheSecretNobodyIsHeard) {
  start({.secret = "s3cret"});
  EXPECT_EQ(take_three(inside()), "200 taken");
  EXPECT_EQ(coordinator_.heard.front().headers.get("authorization").value_or(""), "Bearer s3cret");
  const std::string u = registered_url();
  for (const net::HttpHeaders& headers : {net::HttpHeaders(), secret("s3cre"), secret("s3cret2"), secret("")}) {
    EXPECT_EQ(post(u + "/prepare", prepare_body(), headers).substr(0, 3), "401");
    EXPECT_EQ(post(u + "/notify", notify_body(Decision::abort), headers).substr(0, 3), "401");
  }
  EXPECT_EQ(post(u + "/prepare", prepare_body(), secret("s3cret")), R"(200 {"message":"prepared"})");
  EXPECT_EQ(post(u + "/notify", notify_body(Decision::commit)).substr(0, 3), "401");
  EXPECT_EQ(in_doubt().size(), 1U);
}

// 44
TEST_F(TwoPhaseTest, HostileHeadersAreRefusedBeforeAnybodyIsCalled) {
  start();
  for (const std::string id : {"a b", "a'--", "../../etc", "a/b"}) {
    EXPECT_EQ(take_three(inside(id, coordinator_.url() + "/x")).substr(0, 3), "400") << id;
  }
  EXPECT_EQ(take_three(inside(std::string(65, 'x'), coordinator_.url() + "/x")).substr(0, 3), "400");
  for (const std::string url : {"ftp://x/y", "file:///etc/passwd", "x", "http://", "http://a b/"}) {
    EXPECT_EQ(take_three(inside(kTx, url)).substr(0, 3), "400") << url;
  }
  EXPECT_TRUE(coordinator_.heard.empty());
}

// 45: a caller must not choose who gets to know the secret.
TEST_F(TwoPhaseTest, TheSecretIsGivenToNobodyButOurCoordinator) {
  ScriptedCoordinator stranger(loop_.world());
  stranger.says = {net::HttpResponse::text(500, "")};
  start({.secret = "s3cret"});
  EXPECT_EQ(take_three(inside(kTx, two_phase::register_url(stranger.url(), kTx))).substr(0, 3), "400");
  EXPECT_TRUE(stranger.heard.empty());
  loop_.run_until_done(stranger.close(loop_.world().clock.now() + 5s));
}

// 22: half of what a transaction asked of us is gone with the process; the rest must not commit alone.
TEST_F(TwoPhaseTest, WhatWasAskedBeforeARestartIsMissedAtPrepare) {
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  const std::string first = registered_url();
  stop();
  close();
  open({.name = "inventory"});
  start();
  EXPECT_EQ(post(url_ + "/take", "1 5", inside()), "200 taken");
  ASSERT_EQ(coordinator_.heard.size(), 2U);
  EXPECT_NE(registered_url(), first) << "another life is another participant";
  // The first URL has the port of the first life; the same service answers for both.
  const std::string first_path = first.substr(first.find("/balcoordinator"));
  EXPECT_EQ(post(url_ + first_path + "/prepare", prepare_body()),
            R"(200 {"message":"aborted","reason":"the service was restarted after it was called"})");
}

// 24: a vote outlives the process, whatever life it was given in.
TEST_F(TwoPhaseTest, AVoteIsRepeatedByTheNextLife) {
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  const std::string path = registered_url().substr(url_.size());
  EXPECT_EQ(post(url_ + path + "/prepare", prepare_body()), R"(200 {"message":"prepared"})");
  stop();
  close();
  open({.name = "inventory"});
  start();
  EXPECT_EQ(post(url_ + path + "/prepare", prepare_body()), R"(200 {"message":"prepared"})");
  EXPECT_EQ(post(url_ + path + "/notify", notify_body(Decision::commit)), R"(200 {"message":"committed"})");
  EXPECT_EQ(stock(), "97/0/3");
}

// 26
TEST_F(TwoPhaseTest, ALostAnswerChangesNothing) {
  constexpr Duration kPatience = 1s;  // enough for the question to be heard; an answer that is lost takes 10 s
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  const std::string u = registered_url();
  ASSERT_TRUE(loop_.world().faults.arm("participant.prepare_reply=drop:1,participant.notify_reply=drop:1"));
  EXPECT_EQ(post(u + "/prepare", prepare_body(), {}, kPatience), "timeout");
  EXPECT_EQ(post(u + "/prepare", prepare_body()), R"(200 {"message":"prepared"})");
  EXPECT_EQ(post(u + "/notify", notify_body(Decision::commit), {}, kPatience), "timeout");
  EXPECT_EQ(post(u + "/notify", notify_body(Decision::commit)), R"(200 {"message":"committed"})");
  EXPECT_EQ(stock(), "97/0/3");
}

TEST_F(TwoPhaseTest, ADatabaseThatFailsIsA500AndTheQuestionMayBeRepeated) {
  start();
  EXPECT_EQ(take_three(inside()), "200 taken");
  const std::string u = registered_url();
  ASSERT_TRUE(loop_.world().faults.arm("sql.before_commit=error:1"));
  EXPECT_EQ(post(u + "/prepare", prepare_body()).substr(0, 23), R"(500 {"message":"failed")");
  EXPECT_EQ(post(u + "/prepare", prepare_body()), R"(200 {"message":"prepared"})");
}

std::string outcome_body(const std::string& gtrid, two_phase::Outcome outcome,
                         const std::string& coordinator = "local") {
  two_phase::OutcomeReport report;
  report.gtrid = gtrid;
  report.coordinator = coordinator;
  report.outcome = outcome;
  return encode(report);
}

// 37
TEST_F(TwoPhaseTest, InDoubtItAsksUntilItIsTold) {
  using two_phase::Outcome;
  for (const auto& [outcome, want] : {std::pair(Outcome::committed, "97/0/3"), std::pair(Outcome::aborted, "97/0/3")}) {
    const std::string tx = gtrid_of(outcome == Outcome::committed ? 1 : 2);
    EXPECT_EQ(BranchesTest::run(tx, take(1, 3)), "ok");
    EXPECT_EQ(prepare(tx), "prepared");
    coordinator_.heard.clear();
    coordinator_.says = {net::HttpResponse::text(503, "reading its log"),
                         net::HttpResponse::json(200, outcome_body(tx, Outcome::pending)),
                         net::HttpResponse::json(200, outcome_body(tx, outcome))};
    start({.secret = "s3cret", .ask_after = 20ms, .ask_max = 50ms});
    EXPECT_TRUE(eventually([&] { return in_doubt().empty(); }));
    EXPECT_EQ(stock(), want);
    ASSERT_GE(coordinator_.heard.size(), 3U);
    EXPECT_EQ(coordinator_.heard[0].method, "GET");
    EXPECT_EQ(coordinator_.heard[0].target, "/2pc/v1/tx/" + tx + "/outcome");
    EXPECT_EQ(coordinator_.heard[0].headers.get("Authorization").value_or(""), "Bearer s3cret");
    stop();
  }
}

// 32: only the coordinator that owns an id can presume it aborted; a foreign initiator has nobody to ask.
TEST_F(TwoPhaseTest, AnotherCoordinatorsAnswerIsNotBelieved) {
  const std::string foreign = "9b1f4c1e-7e1a-4f0c-8f5d-2d8d1f0a6c55";
  for (const std::string& tx : {kTx, foreign}) {
    EXPECT_EQ(BranchesTest::run(tx, take(1, 3)), "ok");
    EXPECT_EQ(prepare(tx), "prepared");
  }
  coordinator_.says = {net::HttpResponse::json(200, outcome_body(kTx, two_phase::Outcome::aborted, "elsewhere"))};
  start({.ask_after = 10ms, .ask_max = 20ms});
  EXPECT_TRUE(eventually([&] { return coordinator_.heard.size() >= 5; }));
  for (const net::HttpRequest& request : coordinator_.heard) {
    EXPECT_EQ(request.target, "/2pc/v1/tx/" + kTx + "/outcome");
  }
  EXPECT_EQ(in_doubt().size(), 2U);
  EXPECT_EQ(stock(), "94/6/0");
}

TEST_F(TwoPhaseTest, AnOperatorSeesAndDecides) {
  EXPECT_EQ(BranchesTest::run(kTx, take(1, 3)), "ok");
  EXPECT_EQ(prepare(kTx), "prepared");
  start();
  const net::HttpHandler admin = service_->participant().admin_http();
  const auto ask = [&](std::string method, std::string target, std::string body = {}) {
    net::HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    const net::HttpResponse answer = loop_.run_until_done(admin(std::move(request)));
    return fmt::format("{} {}", answer.status, answer.body);
  };
  const std::string root = "/admin/branches/inventory", resolve = root + "/" + kTx + "/resolve";
  EXPECT_TRUE(ask("GET", root).find(R"("gtrid":")" + kTx) != std::string::npos) << ask("GET", root);
  EXPECT_EQ(ask("POST", resolve, "{}").substr(0, 3), "400");
  EXPECT_EQ(ask("POST", resolve, R"({"decision":"commit","reason":""})").substr(0, 3), "400")
      << "a reason is asked for";
  EXPECT_EQ(ask("POST", resolve, R"({"decision":"maybe","reason":"x"})").substr(0, 3), "400");
  EXPECT_EQ(ask("POST", root + "/unheard/resolve", R"({"decision":"commit","reason":"x"})").substr(0, 3), "404");
  EXPECT_EQ(ask("GET", "/admin/branches/payment").substr(0, 3), "404");
  EXPECT_EQ(ask("POST", resolve, R"({"decision":"commit","reason":"Ada, by phone"})"),
            R"(200 {"gtrid":")" + kTx + R"(","ended":"committed"})");
  EXPECT_EQ(ask("POST", resolve, R"({"decision":"commit","reason":"Ada, by phone"})").substr(0, 3), "409");
  const std::string after = ask("GET", root);
  EXPECT_TRUE(after.find(R"("in_doubt":[])") != std::string::npos) << after;
  EXPECT_TRUE(after.find(R"("reason":"Ada, by phone")") != std::string::npos) << after;
}

// ---- the initiator --------------------------------------------------------------------------------------------------

class InitiatorTest : public TwoPhaseTest {
 protected:
  Initiator initiator() {
    TwoPhaseConfig config;
    config.name = "order";
    config.base_url = "http://127.0.0.1:9650";
    config.coordinator_url = coordinator_.url();
    config.secret = "s3cret";
    return {loop_.world(), config, [this](net::HttpRequest request, std::string url, Monotonic deadline) {
              return client_.send(std::move(request), std::move(url), deadline);
            }};
  }
};

TEST_F(InitiatorTest, RunsATransactionAtTheCoordinator) {
  Initiator order = initiator();
  const std::string register_at = two_phase::register_url(coordinator_.url(), kTx);
  coordinator_.says = {net::HttpResponse::json(201, two_phase::encode(two_phase::Begun{kTx, register_at})),
                       coordinator_.says.front(),
                       net::HttpResponse::json(200, outcome_body(kTx, two_phase::Outcome::committed)),
                       net::HttpResponse::json(200, outcome_body(kTx, two_phase::Outcome::aborted))};
  const auto begun = loop_.run_until_done(order.begin());
  ASSERT_TRUE(begun) << begun.error().to_string();
  net::HttpHeaders headers;
  Initiator::mark(*begun, headers);
  EXPECT_EQ(headers.get("x-b7a-xid").value_or(""), kTx);
  EXPECT_EQ(headers.get("x-b7a-register-at").value_or(""), register_at);
  ASSERT_TRUE(loop_.run_until_done(order.await_completion(kTx)));
  const auto committed = loop_.run_until_done(order.commit(kTx));
  ASSERT_TRUE(committed);
  EXPECT_EQ(committed->outcome, two_phase::Outcome::committed);
  const auto aborted = loop_.run_until_done(order.abort(kTx, "no stock"));
  ASSERT_TRUE(aborted);
  EXPECT_EQ(aborted->outcome, two_phase::Outcome::aborted);
  ASSERT_TRUE(loop_.run_until_done(order.outcome(kTx)));
  std::vector<std::string> heard;
  for (const net::HttpRequest& request : coordinator_.heard) {
    heard.push_back(request.method + " " + request.target);
    EXPECT_EQ(request.headers.get("Authorization").value_or(""), "Bearer s3cret");
  }
  EXPECT_EQ(heard, (std::vector<std::string>{"POST /2pc/v1/tx", "POST /balcoordinator/initiator/" + kTx + "/register",
                                             "POST /2pc/v1/tx/" + kTx + "/commit", "POST /2pc/v1/tx/" + kTx + "/abort",
                                             "GET /2pc/v1/tx/" + kTx + "/outcome"}));
  const auto enrolment = two_phase::parse_register_request(coordinator_.heard[1].body);
  ASSERT_TRUE(enrolment);
  EXPECT_EQ(enrolment->protocols.front().name, two_phase::Protocol::completion);
}

TEST_F(InitiatorTest, ARefusalIsAnErrorWithItsMeaning) {
  Initiator order = initiator();
  for (const auto& [status, code] : {std::pair(404, Code::not_found), std::pair(401, Code::denied),
                                     std::pair(503, Code::unavailable), std::pair(409, Code::conflict)}) {
    coordinator_.says = {net::HttpResponse::text(status, "no")};
    const auto answer = loop_.run_until_done(order.commit(kTx));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, code);
  }
  EXPECT_EQ(loop_.run_until_done(order.commit("a/b")).error().code, Code::invalid);
}

TEST_F(InitiatorTest, TheCompletionIsAcknowledgedOnceItIsDone) {
  Initiator order = initiator();
  net::HttpRouter router([](const net::HttpRequest&, int status) { return net::HttpResponse::text(status, ""); });
  std::vector<std::string> heard;
  bool works = false;
  order.mount_completion(router, [&](std::string gtrid, Decision decision) -> Task<> {
    heard.push_back(fmt::format("{} {}", gtrid, to_string(decision)));
    if (!works) co_return Error{Code::unavailable, "no database"};
    co_return ok();
  });
  ASSERT_TRUE(loop_.run_until_done(order.await_completion(kTx)));
  const auto enrolment = two_phase::parse_register_request(coordinator_.heard.front().body);
  const std::string url = enrolment->protocols.front().url;
  const auto notify = [&](Decision decision, std::string with = "s3cret") {
    net::HttpRequest request;
    request.method = "POST";
    request.target = url.substr(url.find("/balcoordinator")) + "/notify";
    request.headers = secret(with);
    request.body = notify_body(decision);
    const net::HttpResponse answer = loop_.run_until_done(router.handle(std::move(request)));
    return fmt::format("{} {}", answer.status, answer.body);
  };
  EXPECT_EQ(notify(Decision::commit, "wrong").substr(0, 3), "401");
  EXPECT_TRUE(heard.empty());
  EXPECT_EQ(notify(Decision::commit).substr(0, 3), "500") << "asked again";
  works = true;
  EXPECT_EQ(notify(Decision::commit), R"(200 {"message":"committed"})");
  EXPECT_EQ(notify(Decision::abort), R"(200 {"message":"aborted"})");
  EXPECT_EQ(heard, (std::vector<std::string>{kTx + " commit", kTx + " commit", kTx + " abort"}));
}

}  // namespace
}  // namespace hf::participant
