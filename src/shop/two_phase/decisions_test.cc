#include "shop/two_phase/decisions.h"

#include <gtest/gtest.h>

namespace hf::shop::two_phase {
namespace {

using wire::two_phase::Outcome;
using wire::two_phase::OutcomeReport;

TEST(TwoPhaseDecisions, Answers) {
  struct Case {
    Call call;
    int status;
    std::string_view body;
    End want;
  };
  const Case kCases[] = {
      {Call::get_total_price, 200, "40", {}},
      {Call::pay, 200, "", {}},
      {Call::pay, 201, "", {}},
      {Call::get_total_price, 404, "Item not found!", {Ended::refused, "Item not found!"}},
      {Call::get_total_price, 409, "Insufficient stock!", {Ended::refused, "Insufficient stock!"}},
      {Call::pay, 404, "Card not found!", {Ended::refused, "Payment failed! Card not found!"}},
      {Call::pay, 409, "Insufficient balance!", {Ended::refused, "Payment failed! Insufficient balance!"}},
      {Call::update_stock, 409, "x", {Ended::refused, "Inventory update failed! x"}},
      {Call::update_stock, 412, "Price changed!", {Ended::passing, "Inventory update failed! Price changed!"}},
      {Call::pay, 401, "x", {Ended::passing, "Payment failed! x"}},
      {Call::pay, 403, "x", {Ended::passing, "Payment failed! x"}},
      {Call::pay, 500, "x", {Ended::passing, "Payment failed! x"}},
      {Call::pay, 503, "x", {Ended::passing, "Payment failed! x"}},
      {Call::pay, 302, "x", {Ended::passing, "Payment failed! x"}},
  };
  for (const Case& c : kCases) EXPECT_EQ(judge_answer(c.call, c.status, c.body), c.want) << c.status << c.body;
  EXPECT_EQ(judge_silence(Call::pay, "refused").ended, Ended::passing);
}

TEST(TwoPhaseDecisions, WhatOthersSayIsTidied) {
  EXPECT_EQ(judge_answer(Call::get_total_price, 404, "a\nb\x01\xff").reason, "a?b??");
  EXPECT_EQ(judge_answer(Call::get_total_price, 404, std::string(5000, 'x')).reason.size(), 200U);
}

TEST(TwoPhaseDecisions, ARefusalIsHeardBeforeATrouble) {
  const End done, refused{Ended::refused, "r"}, other{Ended::refused, "o"}, passing{Ended::passing, "p"};
  EXPECT_EQ(both(done, done), done);
  EXPECT_EQ(both(refused, done), refused);
  EXPECT_EQ(both(done, refused), refused);
  EXPECT_EQ(both(refused, other), refused);
  EXPECT_EQ(both(passing, refused), refused);
  EXPECT_EQ(both(refused, passing), refused);
  EXPECT_EQ(both(passing, done), passing);
  EXPECT_EQ(both(done, passing), passing);
}

OutcomeReport report(Outcome outcome, bool finished, std::string participant = "", std::string reason = "") {
  return {"hf1.local.1.00", "local", outcome, finished, std::move(participant), std::move(reason)};
}

TEST(TwoPhaseDecisions, Outcomes) {
  EXPECT_EQ(judge_outcome(report(Outcome::committed, false)), End{});
  EXPECT_EQ(judge_outcome(report(Outcome::committed, true)), End{});
  EXPECT_EQ(judge_outcome(report(Outcome::pending, false)).ended, Ended::unknown);
  EXPECT_EQ(judge_outcome(report(Outcome::aborted, true, "payment:1f0a", "Insufficient balance!")),
            (End{Ended::refused, "Payment failed! Insufficient balance!"}));
  EXPECT_EQ(judge_outcome(report(Outcome::aborted, false, "inventory", "Lock wait timeout exceeded")).ended,
            Ended::passing);
  EXPECT_EQ(judge_outcome(report(Outcome::aborted, false)).ended, Ended::passing);
}

TEST(TwoPhaseDecisions, OnlyWhatPassesIsTriedAgain) {
  for (const Ended ended : {Ended::done, Ended::refused, Ended::passing, Ended::unknown}) {
    EXPECT_EQ(try_again({ended, ""}, 1, 5, false), ended == Ended::passing);
    EXPECT_FALSE(try_again({ended, ""}, 5, 5, false));
    EXPECT_FALSE(try_again({ended, ""}, 1, 5, true));
  }
}

TEST(TwoPhaseDecisions, Orphans) {
  EXPECT_EQ(decide_orphan(report(Outcome::aborted, false)), Orphan::drop);
  EXPECT_EQ(decide_orphan(report(Outcome::aborted, true)), Orphan::drop);
  EXPECT_EQ(decide_orphan(report(Outcome::committed, false)), Orphan::wait);
  EXPECT_EQ(decide_orphan(report(Outcome::committed, true)), Orphan::confirm);
  EXPECT_EQ(decide_orphan(report(Outcome::pending, false)), Orphan::abort);
}

}  // namespace
}  // namespace hf::shop::two_phase
