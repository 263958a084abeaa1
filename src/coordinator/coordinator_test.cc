/// The coordinator in a simulated world: its protocol faces, its answers in each phase, operators.

#include "coordinator/coordinator_fixture.h"

namespace hf::coordinator {
namespace {

TEST_F(CoordinatorTest, CommitsWhenAllVoteYes) {
  start();
  const std::string gtrid = prepared_ground(true);
  const OutcomeReport report = commit(gtrid);
  EXPECT_EQ(report.outcome, Outcome::committed);
  sim_.run_for(1s);
  EXPECT_EQ(at(payment_, gtrid), Branch::committed);
  EXPECT_EQ(at(inventory_, gtrid), Branch::committed);
  EXPECT_EQ(order_.told[gtrid], std::set{Decision::commit});
  EXPECT_TRUE(outcome(gtrid).finished);
  EXPECT_EQ(commit(gtrid).outcome, Outcome::committed) << "a repeated call gets the recorded outcome";
  EXPECT_EQ(payment_.effects[gtrid], 1);
}

TEST_F(CoordinatorTest, ANoAbortsAllAndSaysWho) {
  start();
  inventory_.votes = [](const std::string&) { return wire::two_phase::Message{"aborted", "Insufficient stock!"}; };
  const std::string gtrid = prepared_ground(true);
  const OutcomeReport report = commit(gtrid);
  EXPECT_EQ(report.outcome, Outcome::aborted);
  EXPECT_EQ(report.participant, "inventory");
  EXPECT_EQ(report.reason, "Insufficient stock!");
  sim_.run_for(1s);
  EXPECT_EQ(at(payment_, gtrid), Branch::aborted);
  EXPECT_EQ(order_.told[gtrid], std::set{Decision::abort});
  EXPECT_TRUE(outcome(gtrid).finished);
}

// Check 6, 7, 8: registration as the protocol's source words it.
TEST_F(CoordinatorTest, RegistersAsTheProtocolSays) {
  start();
  const auto begun = run(initiator_.begin());
  EXPECT_EQ(begun.register_at, "http://coordinator:1/balcoordinator/initiator/" + begun.gtrid + "/register");
  const std::string expected = R"({"transactionId":")" + begun.gtrid +
                               R"(","coordinatorProtocols":[{"name":"durable","url":)"
                               R"("http://coordinator:1/balcoordinator/initiator/2pc/)" +
                               begun.gtrid + R"("}]})";
  for (int i = 0; i < 3; ++i) {
    payment_.branches[begun.gtrid] = Branch::active;
    const auto response = run(initiator_.enrol(begun.gtrid, "uuid:1", payment_.url()));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, expected);
  }
  EXPECT_EQ(ask("/2pc/v1/tx/" + begun.gtrid).at("participants").as_array().size(), 1U);

  const std::string unknown = "hf1.local.1.00000000000070008000000000000000";
  auto response = run(initiator_.enrol(unknown, "p", payment_.url()));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body, R"({"errorMessage":"Transaction-Unknown. Invalid TID:)" + unknown + R"("})");
  response = run(initiator_.enrol("6a1b-foreign", "p", payment_.url()));
  EXPECT_EQ(response.body, R"({"errorMessage":"Transaction-Unknown. Invalid TID:6a1b-foreign"})");
  const std::string path = "/balcoordinator/initiator/" + begun.gtrid + "/register";
  response = run(
      initiator_.call("POST", path,
                      R"({"transactionId":")" + begun.gtrid +
                          R"(","participantId":"p","participantProtocols":[{"name":"saga","url":"http://h:1/u"}]})"));
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(response.body.starts_with(R"({"errorMessage":"Invalid-Protocol)")) << response.body;

  EXPECT_EQ(commit(begun.gtrid).outcome, Outcome::committed);
  response = run(initiator_.enrol(begun.gtrid, "late", payment_.url()));
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(response.body.starts_with(R"({"errorMessage":"Cannot-Register)")) << response.body;
}

// Check 44, and P8: what is wrong is refused in the protocol's own shape, and nothing is kept of it.
TEST_F(CoordinatorTest, RefusesNonsense) {
  start();
  const std::string gtrid = run(initiator_.begin()).gtrid;
  const std::string path = "/balcoordinator/initiator/" + gtrid + "/register";
  const std::string good = R"({"transactionId":")" + gtrid + R"(",)";
  for (const std::string& body :
       {std::string(), std::string("[]"), std::string("{"), std::string(R"({"transactionId":"x'; DROP"})"),
        good + R"("participantId":"p","participantProtocols":[]})",
        good + R"("participantId":"a b","participantProtocols":[{"name":"durable","url":"http://h:1/u"}]})",
        good + R"("participantId":"p","participantProtocols":[{"name":"durable","url":"ftp://h/u"}]})",
        good + R"("participantId":"p","participantProtocols":[{"name":"durable","url":"not a url"}]})",
        good + R"("participantId":"p","participantProtocols":[{"name":"durable","url":"http://h:1/u/"}]})",
        good + R"("participantId":"p","participantProtocols":[{"name":"durable","url":"http://h:1/u?a=b"}]})",
        good + R"("participantId":"p","participantProtocols":[{"name":"durable","url":"http://h:1/u#x"}]})"}) {
    const auto response = run(initiator_.call("POST", path, body));
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_TRUE(response.body.starts_with(R"({"errorMessage":")")) << response.body;
  }
  EXPECT_EQ(run(initiator_.call("POST", "/2pc/v1/tx/" + gtrid + "/commit", "{oops")).status, 400);
  EXPECT_EQ(
      run(initiator_.call("POST", "/2pc/v1/tx/" + gtrid + "/commit", R"({"calls":[{"participant":"p"}]})")).status,
      400);
  EXPECT_EQ(run(initiator_.call("GET", "/2pc/v1/tx/" + gtrid + "/commit")).status, 405);
  EXPECT_EQ(run(initiator_.call("GET", "/2pc/v2/tx")).status, 404);
  EXPECT_EQ(run(initiator_.call("GET", "/2pc/v1/tx/%zz/outcome")).status, 400);
  EXPECT_TRUE(ask("/2pc/v1/tx/" + gtrid).at("participants").as_array().empty());
}

// Check 45.
TEST_F(CoordinatorTest, WantsTheSharedSecret) {
  config_.secret = "hush";
  start();
  EXPECT_EQ(run(initiator_.call("POST", "/2pc/v1/tx")).status, 401);
  EXPECT_EQ(run(initiator_.call("GET", "/2pc/v1/tx/x/outcome")).status, 401);
  const auto refused = run(initiator_.enrol("x", "p", payment_.url()));
  EXPECT_EQ(refused.status, 401);
  EXPECT_TRUE(refused.body.starts_with(R"({"errorMessage":")")) << refused.body;
  initiator_.secret = "hus";
  EXPECT_EQ(run(initiator_.call("POST", "/2pc/v1/tx")).status, 401);
  initiator_.secret = "hush";
  const std::string gtrid = prepared_ground();
  EXPECT_EQ(commit(gtrid).outcome, Outcome::committed);
  EXPECT_EQ(payment_.secret_seen, "Bearer hush") << "participants are shown it, too";
}

TEST_F(CoordinatorTest, OverloadIsRefusedEarly) {
  config_.transactions_max = 2;
  start();
  run(initiator_.begin());
  run(initiator_.begin());
  const auto refused = run(initiator_.call("POST", "/2pc/v1/tx"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.get("Retry-After"), "1");
  sim_.run_for(config_.active_max + 1s);
  EXPECT_EQ(run(initiator_.call("POST", "/2pc/v1/tx")).status, 201) << "the forgotten ones expired";
}

// Check 32, first half, and 37: what each phase answers.
TEST_F(CoordinatorTest, OutcomeInEachPhase) {
  start();
  const std::string gtrid = prepared_ground();
  EXPECT_EQ(outcome(gtrid).outcome, Outcome::pending) << "active";
  payment_.instead = [&](const net::HttpRequest&) -> std::optional<net::HttpResponse> {
    return scripted::Participant::reply(500, "failed");
  };
  std::vector<Outcome> seen;
  payment_.votes = [&](const std::string&) { return wire::two_phase::Message{"prepared", {}}; };
  payment_.instead = [&, first = true](const net::HttpRequest& r) mutable -> std::optional<net::HttpResponse> {
    if (r.path().ends_with("/prepare")) return std::nullopt;
    if (std::exchange(first, false)) return scripted::Participant::reply(500, "failed");
    return std::nullopt;
  };
  network_.faults.delay_max = 100ms;
  bool done = false;
  sim_.spawn([](scripted::Initiator& initiator, std::string id, bool& flag) -> asio::awaitable<void> {
    const auto report = co_await initiator.end(id, "commit");
    EXPECT_TRUE(report && report->outcome == Outcome::committed);
    flag = true;
  }(initiator_, gtrid, done));
  while (!done) {
    const OutcomeReport report = outcome(gtrid);
    if (!done && report.outcome == Outcome::committed) {
      EXPECT_NE(at(payment_, gtrid), Branch::active) << "decided before all were prepared";
    }
    seen.push_back(report.outcome);
  }
  EXPECT_EQ(seen.front(), Outcome::pending);
  sim_.run_for(5s);
  EXPECT_EQ(outcome(gtrid).outcome, Outcome::committed);
  EXPECT_TRUE(outcome(gtrid).finished);

  const std::string never = "hf1.local.1.00000000000070008000000000000000";
  EXPECT_EQ(outcome(never).outcome, Outcome::aborted) << "one of its own, and nothing recorded: presumed";
  EXPECT_EQ(run(initiator_.call("GET", "/2pc/v1/tx/hf1.other.1.00000000000070008000000000000000/outcome")).status, 404);
  EXPECT_EQ(run(initiator_.call("GET", "/2pc/v1/tx/not-ours/outcome")).status, 404);
  EXPECT_EQ(run(initiator_.call("GET", "/2pc/v1/tx/hf1.local.99.00000000000070008000000000000000/outcome")).status, 503)
      << "of a later epoch: somebody else has this identity, so nothing may be presumed";
}

TEST_F(CoordinatorTest, AnswersNothingWhileItReads) {
  auto opened = sql::open(sim_.world(), "sqlite:coordinator.db", "/data");
  ASSERT_TRUE(opened);
  db_ = std::move(*opened);
  coordinator_ = std::make_unique<Coordinator>(sim_.world(), config_, *db_, network_.sender(alive_));
  network_.hosts["http://coordinator:1"] = coordinator_->http();
  const auto early = run(initiator_.call("GET", "/2pc/v1/tx/hf1.local.0.00000000000070008000000000000000/outcome"));
  EXPECT_EQ(early.status, 503) << "not yet: a commit may be recorded";
  EXPECT_EQ(early.headers.get("Retry-After"), "1");
}

TEST_F(CoordinatorTest, AbortedTransactionsStayAborted) {
  start();
  const std::string gtrid = prepared_ground();
  EXPECT_EQ(run(initiator_.end(gtrid, "abort")).outcome, Outcome::aborted);
  EXPECT_EQ(commit(gtrid).outcome, Outcome::aborted);
  sim_.run_for(1s);
  EXPECT_EQ(at(payment_, gtrid), Branch::aborted);
  restart();
  EXPECT_EQ(commit(gtrid).outcome, Outcome::aborted);

  const std::string other = prepared_ground();
  EXPECT_EQ(commit(other).outcome, Outcome::committed);
  const auto late = run(initiator_.call("POST", "/2pc/v1/tx/" + other + "/abort"));
  EXPECT_EQ(late.status, 409) << "the first final state wins";
  sim_.run_for(1s);
  EXPECT_EQ(run(initiator_.call("POST", "/2pc/v1/tx/" + other + "/abort")).status, 409) << "also when it is over";
}

TEST_F(CoordinatorTest, NobodyAskedForCommit) {
  start();
  const std::string gtrid = prepared_ground();
  sim_.run_for(config_.active_max - 1s);
  EXPECT_EQ(outcome(gtrid).outcome, Outcome::pending);
  sim_.run_for(2s);
  EXPECT_EQ(outcome(gtrid).outcome, Outcome::aborted);
  EXPECT_EQ(at(payment_, gtrid), Branch::aborted);
}

// Check 38, the coordinator's side: a decided one is told for as long as it takes, a participant hears no other word.
TEST_F(CoordinatorTest, TellsForEver) {
  start();
  const std::string gtrid = prepared_ground();
  network_.hosts[inventory_.origin()] = nullptr;
  payment_.heard.clear();
  const OutcomeReport report = commit(gtrid);
  EXPECT_EQ(report.outcome, Outcome::aborted) << "inventory cannot be asked";
  sim_.run_for(10min);
  EXPECT_FALSE(outcome(gtrid).finished);
  network_.hosts[inventory_.origin()] = inventory_.handler();
  sim_.run_for(config_.retry_max + 1s);
  EXPECT_TRUE(outcome(gtrid).finished);
  EXPECT_EQ(at(inventory_, gtrid), Branch::aborted);
}

// The story: rows D25 to D39 read it.
TEST_F(CoordinatorTest, TheStoryHasEveryStep) {
  start();
  const std::string gtrid = prepared_ground(true);
  const std::string calls =
      R"({"calls":[{"participant":"payment","what":"POST /payment/pay","began_at_us":1,"ended_at_us":5}]})";
  EXPECT_EQ(run(initiator_.call("POST", "/2pc/v1/tx/" + gtrid + "/commit", calls)).status, 200);
  sim_.run_for(1s);
  for (const int life : {1, 2}) {
    const json::value story = ask("/2pc/v1/tx/" + gtrid);
    std::string steps;
    for (const json::value& step : story.at("story").as_array()) {
      steps += std::string(step.at("what").as_string());
      const json::value* who = step.as_object().if_contains("participant");
      steps += who ? " " + std::string(who->as_string()) + "\n" : "\n";
    }
    EXPECT_EQ(steps,
              "begin\nregister payment\nregister inventory\nregister order\ncall payment\ncommit-asked\n"
              "prepare payment\nprepare inventory\nvote payment\nvote inventory\ndeciding\ndecision\n"
              "notify payment\nnotify inventory\nacknowledged payment\nacknowledged inventory\n"
              "notify order\nacknowledged order\nend\n")
        << "in life " << life;
    EXPECT_EQ(story.at("state").as_string(), "finished");
    if (life == 1) restart();
  }
}

// ---- operators -----------------------------------------------------------------------------------------------------

// Check 39: an override is recorded with its reason first, and shown.
TEST_F(CoordinatorTest, AnOperatorGivesUpOnAParticipant) {
  start();
  const std::string gtrid = prepared_ground(true);
  inventory_.instead = [](const net::HttpRequest& r) -> std::optional<net::HttpResponse> {
    if (r.path().ends_with("/prepare")) return std::nullopt;
    return net::HttpResponse::text(404, "somebody else's page");  // no word of the participant's
  };
  EXPECT_EQ(commit(gtrid).outcome, Outcome::committed);
  sim_.run_for(1min);
  EXPECT_FALSE(outcome(gtrid).finished);
  EXPECT_TRUE(order_.told[gtrid].empty()) << "completion waits for all";
  EXPECT_NE(admin("GET", "/admin/coordinator/transactions?state=in_doubt").body.find(gtrid), std::string::npos);

  const std::string path = "/admin/coordinator/transactions/" + gtrid + "/resolve";
  EXPECT_EQ(admin("POST", path, R"({"decision":"commit"})").status, 400) << "no reason";
  EXPECT_EQ(admin("POST", path, R"({"decision":"abort","reason":"x"})").status, 409) << "it is committed";
  const auto resolved = admin("POST", path, R"({"decision":"commit","reason":"the warehouse burnt"})");
  EXPECT_EQ(resolved.status, 200) << resolved.body;
  sim_.run_for(1s);
  EXPECT_TRUE(outcome(gtrid).finished);
  EXPECT_EQ(order_.told[gtrid], std::set{Decision::commit});
  EXPECT_EQ(admin("POST", path, R"({"decision":"commit","reason":"again"})").status, 409);
  restart();
  const std::string list = admin("GET", "/admin/coordinator/transactions?state=heuristic").body;
  EXPECT_NE(list.find("the warehouse burnt"), std::string::npos) << list;
  EXPECT_NE(admin("GET", "/admin/coordinator/transactions/" + gtrid).body.find("given-up"), std::string::npos);
}

TEST_F(CoordinatorTest, AnOperatorAborts) {
  start();
  const std::string gtrid = prepared_ground();
  const std::string path = "/admin/coordinator/transactions/" + gtrid + "/resolve";
  EXPECT_EQ(admin("POST", path, R"({"decision":"commit","reason":"please"})").status, 409) << "votes alone commit";
  EXPECT_EQ(admin("POST", path, R"({"decision":"abort","reason":"stuck"})").status, 200);
  EXPECT_EQ(outcome(gtrid).reason, "stuck");
  restart();
  EXPECT_EQ(outcome(gtrid).reason, "stuck") << "durable before it was answered";
  EXPECT_EQ(
      admin("POST", "/admin/coordinator/transactions/nope/resolve", R"({"decision":"abort","reason":"x"})").status,
      404);
  EXPECT_EQ(admin("GET", "/admin/coordinator/transactions?state=all").status, 400);
  EXPECT_EQ(admin("GET", "/admin/coordinator/transactions?limit=0").status, 400);
}

// Recovery table: a participant that ended against the decision.
TEST_F(CoordinatorTest, HeuristicDamageIsRecordedAndShown) {
  start();
  const std::string gtrid = prepared_ground();
  inventory_.instead = [](const net::HttpRequest& r) -> std::optional<net::HttpResponse> {
    if (r.path().ends_with("/prepare")) return std::nullopt;
    return scripted::Participant::reply(200, "aborted");
  };
  EXPECT_EQ(commit(gtrid).outcome, Outcome::committed);
  sim_.run_for(2s);
  EXPECT_TRUE(outcome(gtrid).finished);
  restart();
  const auto list = json::parse(admin("GET", "/admin/coordinator/transactions?state=heuristic").body);
  const json::value& one = list.at("heuristics").at(0);
  EXPECT_EQ(one.at("participant").as_string(), "inventory");
  EXPECT_EQ(one.at("decided").as_string(), "commit");
  EXPECT_EQ(one.at("found").as_string(), "aborted");
  sim_.run_for(2s);
  // Check 46.
  const std::string metrics = sim_.world().metrics.expose();
  for (const char* line : {"holdfast_coordinator_heuristics 1\n", "holdfast_coordinator_in_doubt 0\n",
                           "holdfast_coordinator_in_doubt_oldest_seconds 0\n",
                           "holdfast_coordinator_decisions_total{decision=\"commit\"} 1\n"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
  }
}

// Check 36: a decision outlives retention until all have acknowledged, and damage for ever.
TEST_F(CoordinatorTest, NothingIsForgottenBeforeAllAcknowledged) {
  config_.keep_finished = 1min;
  start();
  const std::string done = prepared_ground();
  EXPECT_EQ(commit(done).outcome, Outcome::committed);
  const std::string waits = prepared_ground();
  inventory_.instead = [](const net::HttpRequest& r) -> std::optional<net::HttpResponse> {
    if (r.path().ends_with("/prepare")) return std::nullopt;
    return scripted::Participant::reply(500, "failed");
  };
  EXPECT_EQ(commit(waits).outcome, Outcome::committed);
  sim_.run_for(10min);
  EXPECT_EQ(run(initiator_.call("GET", "/2pc/v1/tx/" + done)).status, 404) << "over, and old";
  EXPECT_EQ(outcome(waits).outcome, Outcome::committed);
  restart();
  sim_.run_for(10min);
  EXPECT_EQ(outcome(waits).outcome, Outcome::committed);
  inventory_.instead = nullptr;
  sim_.run_for(20s);
  EXPECT_TRUE(outcome(waits).finished);
  EXPECT_EQ(at(inventory_, waits), Branch::committed);
}

}  // namespace
}  // namespace hf::coordinator
