/// What fails on the way to a decision and after it: power, messages, the database.

#include "coordinator/coordinator_fixture.h"

namespace hf::coordinator {
namespace {

// ---- kills: checks 16 to 21 ----------------------------------------------------------------------------------------

/// Where the machine loses power, and what every branch must be after recovery. `asked`: participants ask for the
/// outcome by themselves, as ours do after T1.
struct Kill {
  const char* name;
  const char* point;
  int nth;
  Branch want;
};
constexpr Kill kKills[] = {
    {"16_before_any_prepare", "coordinator.before_prepare", 1, Branch::aborted},
    {"17_after_first_prepare", "coordinator.after_first_prepare", 1, Branch::aborted},
    {"18_after_all_prepares", "coordinator.after_prepares", 1, Branch::aborted},
    {"18_before_the_decision", "coordinator.before_decision", 1, Branch::aborted},
    {"19_after_the_decision", "coordinator.after_decision", 1, Branch::committed},
    {"20_after_the_first_notify", "coordinator.after_first_notify", 1, Branch::committed},
    {"21_after_the_last_notify", "coordinator.after_last_notify", 1, Branch::committed},
};
class CoordinatorKill : public CoordinatorTest, public testing::WithParamInterface<Kill> {};

TEST_P(CoordinatorKill, Recovers) {
  start();
  const std::string gtrid = prepared_ground(true);
  // It stands still at the point; then the power goes.
  arm((std::string(GetParam().point) + "=delay:3600000").c_str());
  sim_.spawn([](scripted::Initiator& initiator, std::string id) -> asio::awaitable<void> {
    const auto answer = co_await initiator.end(id, "commit");
    if (answer) EXPECT_EQ(answer->outcome, Outcome::committed);
  }(initiator_, gtrid));
  sim_.run_for(1s);
  for (const Decision told : order_.told[gtrid]) {
    EXPECT_EQ(told, Decision::commit);
    EXPECT_EQ(at(payment_, gtrid), Branch::committed) << "completion is told after all branches have acknowledged";
    EXPECT_EQ(at(inventory_, gtrid), Branch::committed);
  }
  sim_.world().faults.disarm_all();
  restart();
  sim_.run_for(5s);
  for (scripted::Participant* p : {&payment_, &inventory_}) {
    if (p->branches[gtrid] == Branch::prepared || p->branches[gtrid] == Branch::active) {
      // In doubt: it asks, as ours do after five seconds.
      const OutcomeReport report = outcome(gtrid);
      ASSERT_NE(report.outcome, Outcome::pending);
      EXPECT_EQ(report.outcome, Outcome::aborted) << "what is committed is told without being asked";
      p->branches[gtrid] = Branch::aborted;
    }
    EXPECT_EQ(p->branches[gtrid], GetParam().want) << p->name();
    EXPECT_LE(p->effects[gtrid], 1);
    EXPECT_EQ(p->contradictions, 0);
  }
  if (GetParam().want == Branch::committed) {
    EXPECT_EQ(order_.told[gtrid], std::set{Decision::commit});
    EXPECT_TRUE(outcome(gtrid).finished);
  } else {
    EXPECT_FALSE(order_.told[gtrid].contains(Decision::commit));
  }
  EXPECT_EQ(ask("/2pc/v1/tx/" + run(initiator_.begin()).gtrid).at("state").as_string(), "active");
}
INSTANTIATE_TEST_SUITE_P(Checks, CoordinatorKill, testing::ValuesIn(kKills),
                         [](const testing::TestParamInfo<Kill>& p) { return std::string(p.param.name); });

// A slow prepare is on record when the machine dies, so that recovery tells `abort` without being asked.
TEST_F(CoordinatorTest, ASlowPrepareIsRememberedAndAborted) {
  start();
  const std::string gtrid = prepared_ground(true);
  arm("coordinator.after_prepares=delay:3600000");
  sim_.spawn([](scripted::Initiator& initiator, std::string id) -> asio::awaitable<void> {
    EXPECT_FALSE(co_await initiator.end(id, "commit"));
  }(initiator_, gtrid));
  sim_.run_for(1s);
  EXPECT_EQ(at(payment_, gtrid), Branch::prepared);
  sim_.world().faults.disarm_all();
  restart();
  sim_.run_for(1s);
  EXPECT_EQ(at(payment_, gtrid), Branch::aborted);
  EXPECT_EQ(at(inventory_, gtrid), Branch::aborted);
  EXPECT_EQ(order_.told[gtrid], std::set{Decision::abort});
}

// A participant of the original never asks, and would commit by a timer of its own: it is told `abort` however soon the
// machine dies after its registration. Ours asks.
TEST_F(CoordinatorTest, AParticipantThatNeverAsksIsToldWheneverTheMachineDies) {
  for (const char* point :
       {"coordinator.before_prepare", "coordinator.after_first_prepare", "coordinator.before_decision"}) {
    SCOPED_TRACE(point);
    if (!coordinator_) start();
    const std::string gtrid = run(initiator_.begin()).gtrid;
    payment_.branches[gtrid] = inventory_.branches[gtrid] = Branch::active;
    EXPECT_EQ(run(initiator_.enrol(gtrid, "inventory", inventory_.url())).status, 200);
    EXPECT_EQ(run(initiator_.enrol_foreign(gtrid, "f7c1:block-1", payment_.url())).status, 200);
    arm((std::string(point) + "=delay:3600000").c_str());
    sim_.spawn([](scripted::Initiator& initiator, std::string id) -> asio::awaitable<void> {
      EXPECT_FALSE(co_await initiator.end(id, "commit"));
    }(initiator_, gtrid));
    sim_.run_for(20ms);  // nothing is written in passing yet
    sim_.world().faults.disarm_all();
    restart();
    sim_.run_for(1s);
    EXPECT_EQ(at(payment_, gtrid), Branch::aborted);
    EXPECT_EQ(at(inventory_, gtrid), Branch::aborted) << "it is on the same record";
    EXPECT_TRUE(outcome(gtrid).finished);
  }
}

TEST_F(CoordinatorTest, ARegistrationThatCannotBeKeptIsRefused) {
  start();
  const std::string gtrid = run(initiator_.begin()).gtrid;
  arm("sql.before_commit=error:1");
  EXPECT_EQ(run(initiator_.enrol_foreign(gtrid, "f7c1:block-1", payment_.url())).status, 503);
  EXPECT_EQ(run(initiator_.enrol_foreign(gtrid, "f7c1:block-1", payment_.url())).status, 200)
      << "again: it is kept now";
  restart();
  sim_.run_for(1s);
  EXPECT_EQ(outcome(gtrid).outcome, Outcome::aborted);
}

// ---- check 26: a message is lost -----------------------------------------------------------------------------------

struct Loss {
  const char* point;
  Outcome want;
};
constexpr Loss kLosses[] = {{"coordinator.prepare_request", Outcome::aborted},
                            {"coordinator.prepare_reply", Outcome::aborted},
                            {"coordinator.notify_request", Outcome::committed},
                            {"coordinator.notify_ack", Outcome::committed}};
class CoordinatorLoss : public CoordinatorTest, public testing::WithParamInterface<Loss> {};

TEST_P(CoordinatorLoss, SameOutcomeEverywhere) {
  start();
  for (const int times : {1, 2}) {
    const std::string gtrid = prepared_ground(true);
    sim_.world().faults.disarm_all();
    arm((std::string(GetParam().point) + "=drop:" + std::to_string(times)).c_str());
    EXPECT_EQ(commit(gtrid).outcome, GetParam().want);
    sim_.run_for(5s);
    const Branch want = GetParam().want == Outcome::committed ? Branch::committed : Branch::aborted;
    EXPECT_EQ(at(payment_, gtrid), want);
    EXPECT_EQ(at(inventory_, gtrid), want);
    EXPECT_TRUE(outcome(gtrid).finished);
    EXPECT_EQ(order_.told[gtrid].size(), 1U);
    EXPECT_LE(payment_.effects[gtrid], 1);
  }
}
INSTANTIATE_TEST_SUITE_P(Check26, CoordinatorLoss, testing::ValuesIn(kLosses),
                         [](const testing::TestParamInfo<Loss>& p) {
                           return std::string(p.param.point).substr(std::string("coordinator.").size());
                         });

// ---- the decision's write ------------------------------------------------------------------------------------------

/// Every point of the way with an error in place of a death: one outcome, whatever it is.
TEST_F(CoordinatorTest, AnErrorAtEachPointEndsInOneOutcome) {
  start();
  const std::pair<const char*, Outcome> points[] = {{"coordinator.before_prepare", Outcome::aborted},
                                                    {"coordinator.after_first_prepare", Outcome::aborted},
                                                    {"coordinator.after_prepares", Outcome::aborted},
                                                    {"coordinator.before_decision", Outcome::aborted},
                                                    {"coordinator.after_decision", Outcome::committed},
                                                    {"sql.after_commit", Outcome::committed},
                                                    {"sql.before_commit", Outcome::aborted},
                                                    {"coordinator.after_first_notify", Outcome::committed},
                                                    {"coordinator.after_last_notify", Outcome::committed}};
  for (const auto& [point, want] : points) {
    SCOPED_TRACE(point);
    const std::string gtrid = prepared_ground(true);
    arm((std::string(point) + "=error:1").c_str());
    EXPECT_EQ(commit(gtrid).outcome, want);
    sim_.world().faults.disarm_all();
    sim_.run_for(5s);
    EXPECT_TRUE(outcome(gtrid).finished);
    EXPECT_EQ(at(payment_, gtrid), want == Outcome::committed ? Branch::committed : Branch::aborted);
    EXPECT_EQ(at(inventory_, gtrid), at(payment_, gtrid));
  }
}

// Check 35.
TEST_F(CoordinatorTest, AFullDiskReportsNoCommitAndRefusesWork) {
  start();
  sim_.run_for(1s);
  const std::string gtrid = prepared_ground(true);
  sim_.disk().set_capacity(1);
  EXPECT_EQ(commit(gtrid).outcome, Outcome::aborted);
  sim_.run_for(2s);
  EXPECT_EQ(at(payment_, gtrid), Branch::aborted);
  EXPECT_EQ(run(initiator_.call("POST", "/2pc/v1/tx")).status, 503);
  sim_.disk().set_capacity(UINT64_MAX);
  sim_.run_for(3s);
  EXPECT_EQ(commit(prepared_ground()).outcome, Outcome::committed) << "room again: no restart needed";
}

// A failed fsync: whether the record is there shows after the restart alone, so until then nobody is told anything.
TEST_F(CoordinatorTest, AFailedSyncTellsNobody) {
  for (std::uint64_t n = 1; n <= 10; ++n) {
    SCOPED_TRACE(n);
    start();
    sim_.run_for(1s);
    const std::string gtrid = prepared_ground();
    sim_.disk().fail_operation(n, Error{Code::unavailable, "I/O error"});
    const auto answer = sim_.run_until_done(initiator_.end(gtrid, "commit"));
    sim_.disk().fail_operation(1'000'000, Error{Code::unavailable, "I/O error"});
    const Branch before = at(payment_, gtrid);
    if (answer && answer->outcome == Outcome::committed) EXPECT_EQ(before, Branch::committed);
    if (!answer) EXPECT_EQ(before, Branch::prepared) << "not told, because not known";
    restart();
    sim_.run_for(5s);
    const Outcome after = outcome(gtrid).outcome;
    if (answer) EXPECT_EQ(after, answer->outcome) << "a decision changed";
    if (before == Branch::committed) EXPECT_EQ(after, Outcome::committed);
    if (before == Branch::aborted) EXPECT_EQ(after, Outcome::aborted);
    restart();
    stop();
  }
}

}  // namespace
}  // namespace hf::coordinator
