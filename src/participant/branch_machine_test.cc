#include "participant/branch_machine.h"

#include <gtest/gtest.h>

#include <set>

namespace hf::participant {
namespace {

using Answer = BranchAnswer;
using Event = BranchEvent;
using State = BranchState;
using Step = BranchStep;

struct Case {
  State state;
  Event event;
  BranchMove want;
};
constexpr State kAbsent = State::absent, kActive = State::active, kFailed = State::failed, kPrepared = State::prepared,
                kCommitted = State::committed, kAborted = State::aborted, kLost = State::lost;

// Every state with every event: what is done, what is answered, what it is afterwards.
const Case kCases[] = {
    {kAbsent, Event::run, {Step::work, Answer::done, kActive}},
    {kAbsent, Event::prepare, {Step::nothing, Answer::unknown, kAbsent}},
    {kAbsent, Event::commit, {Step::nothing, Answer::unknown, kAbsent}},
    {kAbsent, Event::abort, {Step::tombstone, Answer::aborted, kAborted}},
    {kAbsent, Event::operator_commit, {Step::nothing, Answer::unknown, kAbsent}},
    {kAbsent, Event::operator_abort, {Step::nothing, Answer::unknown, kAbsent}},

    {kActive, Event::run, {Step::work, Answer::done, kActive}},
    {kActive, Event::prepare, {Step::prepare, Answer::vote_prepared, kPrepared}},
    {kActive, Event::commit, {Step::nothing, Answer::not_prepared, kActive}},
    {kActive, Event::abort, {Step::tombstone, Answer::aborted, kAborted}},
    {kActive, Event::operator_commit, {Step::nothing, Answer::conflict, kActive}},
    {kActive, Event::operator_abort, {Step::nothing, Answer::conflict, kActive}},

    {kFailed, Event::run, {Step::nothing, Answer::conflict, kFailed}},
    {kFailed, Event::prepare, {Step::tombstone, Answer::vote_aborted, kAborted}},
    {kFailed, Event::commit, {Step::nothing, Answer::not_prepared, kFailed}},
    {kFailed, Event::abort, {Step::tombstone, Answer::aborted, kAborted}},
    {kFailed, Event::operator_commit, {Step::nothing, Answer::conflict, kFailed}},
    {kFailed, Event::operator_abort, {Step::nothing, Answer::conflict, kFailed}},

    {kPrepared, Event::run, {Step::nothing, Answer::conflict, kPrepared}},
    {kPrepared, Event::prepare, {Step::nothing, Answer::vote_prepared, kPrepared}},
    {kPrepared, Event::commit, {Step::commit, Answer::committed, kCommitted}},
    {kPrepared, Event::abort, {Step::roll_back, Answer::aborted, kAborted}},
    {kPrepared, Event::operator_commit, {Step::commit, Answer::committed, kCommitted}},
    {kPrepared, Event::operator_abort, {Step::roll_back, Answer::aborted, kAborted}},

    {kCommitted, Event::run, {Step::nothing, Answer::conflict, kCommitted}},
    {kCommitted, Event::prepare, {Step::nothing, Answer::vote_committed, kCommitted}},
    {kCommitted, Event::commit, {Step::nothing, Answer::committed, kCommitted}},
    {kCommitted, Event::abort, {Step::record, Answer::heuristic, kCommitted}},
    {kCommitted, Event::operator_commit, {Step::nothing, Answer::conflict, kCommitted}},
    {kCommitted, Event::operator_abort, {Step::nothing, Answer::conflict, kCommitted}},

    {kAborted, Event::run, {Step::nothing, Answer::conflict, kAborted}},
    {kAborted, Event::prepare, {Step::nothing, Answer::vote_aborted, kAborted}},
    {kAborted, Event::commit, {Step::record, Answer::heuristic, kAborted}},
    {kAborted, Event::abort, {Step::nothing, Answer::aborted, kAborted}},
    {kAborted, Event::operator_commit, {Step::nothing, Answer::conflict, kAborted}},
    {kAborted, Event::operator_abort, {Step::nothing, Answer::conflict, kAborted}},

    {kLost, Event::run, {Step::work, Answer::done, kActive}},
    {kLost, Event::prepare, {Step::nothing, Answer::unknown, kLost}},
    {kLost, Event::commit, {Step::record, Answer::heuristic, kAborted}},
    {kLost, Event::abort, {Step::tombstone, Answer::aborted, kAborted}},
    {kLost, Event::operator_commit, {Step::nothing, Answer::unknown, kLost}},
    {kLost, Event::operator_abort, {Step::nothing, Answer::unknown, kLost}},
};
constexpr State kStates[] = {kAbsent, kActive, kFailed, kPrepared, kCommitted, kAborted, kLost};
constexpr Event kEvents[] = {Event::run,   Event::prepare,         Event::commit,
                             Event::abort, Event::operator_commit, Event::operator_abort};

TEST(BranchMachine, EveryStateWithEveryEvent) {
  std::set<std::pair<State, Event>> seen;
  for (const Case& c : kCases) {
    EXPECT_EQ(decide(c.state, c.event), c.want) << to_string(c.state) << " event " << static_cast<int>(c.event);
    EXPECT_TRUE(seen.insert({c.state, c.event}).second);
  }
  EXPECT_EQ(seen.size(), std::size(kStates) * std::size(kEvents)) << "the table names every pair, once";
}

// Checks 9 and 38 as properties: what was answered is answered again, and nothing but a decision leaves `prepared`.
TEST(BranchMachine, ARepetitionAnswersTheSameAndDoesNothing) {
  for (const State state : kStates) {
    for (const Event event : {Event::prepare, Event::commit, Event::abort}) {
      const BranchMove first = decide(state, event);
      const BranchMove again = decide(first.next, event);
      EXPECT_EQ(again.answer, first.answer) << to_string(state);
      EXPECT_EQ(again.next, first.next) << to_string(state);
      if (first.step != Step::record) EXPECT_EQ(again.step, Step::nothing) << to_string(state);
    }
  }
}

TEST(BranchMachine, OnlyADecisionLeavesPrepared) {
  EXPECT_EQ(decide(kPrepared, Event::run).next, kPrepared);
  EXPECT_EQ(decide(kPrepared, Event::prepare).next, kPrepared);
}

TEST(BranchMachine, AnEndedBranchNeverChanges) {
  for (const State state : {kCommitted, kAborted}) {
    for (const Event event : kEvents) EXPECT_EQ(decide(state, event).next, state);
  }
}

TEST(BranchMachine, StoredStatesAreSpelledAsTheyAreShown) {
  for (const State state : {kPrepared, kCommitted, kAborted}) EXPECT_EQ(stored_state_from(to_string(state)), state);
  EXPECT_FALSE(stored_state_from("active"));
  EXPECT_FALSE(stored_state_from(""));
}

}  // namespace
}  // namespace hf::participant
