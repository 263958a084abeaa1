#include "participant/branch_machine.h"

#include "base/assert.h"

namespace hf::participant {
namespace {

using Answer = BranchAnswer;
using Step = BranchStep;

BranchMove on_run(BranchState state) {
  switch (state) {
    case BranchState::absent:
    case BranchState::lost:
    case BranchState::active:
      return {Step::work, Answer::done, BranchState::active};
    default:
      return {Step::nothing, Answer::conflict, state};
  }
}

BranchMove on_prepare(BranchState state) {
  switch (state) {
    case BranchState::absent:
    case BranchState::lost:
      return {Step::nothing, Answer::unknown, state};
    case BranchState::active:
      return {Step::prepare, Answer::vote_prepared, BranchState::prepared};
    case BranchState::failed:
      return {Step::tombstone, Answer::vote_aborted, BranchState::aborted};
    case BranchState::prepared:
      return {Step::nothing, Answer::vote_prepared, state};
    case BranchState::committed:
      return {Step::nothing, Answer::vote_committed, state};
    case BranchState::aborted:
      return {Step::nothing, Answer::vote_aborted, state};
  }
  HF_ASSERT(false);
}

BranchMove on_commit(BranchState state) {
  switch (state) {
    case BranchState::absent:
      return {Step::nothing, Answer::unknown, state};
    case BranchState::active:
    case BranchState::failed:
      return {Step::nothing, Answer::not_prepared, state};
    case BranchState::prepared:
      return {Step::commit, Answer::committed, BranchState::committed};
    case BranchState::committed:
      return {Step::nothing, Answer::committed, state};
    case BranchState::aborted:
    case BranchState::lost:
      return {Step::record, Answer::heuristic, BranchState::aborted};
  }
  HF_ASSERT(false);
}

BranchMove on_abort(BranchState state) {
  switch (state) {
    case BranchState::absent:
    case BranchState::lost:
    case BranchState::active:
    case BranchState::failed:
      return {Step::tombstone, Answer::aborted, BranchState::aborted};
    case BranchState::prepared:
      return {Step::roll_back, Answer::aborted, BranchState::aborted};
    case BranchState::committed:
      return {Step::record, Answer::heuristic, state};
    case BranchState::aborted:
      return {Step::nothing, Answer::aborted, state};
  }
  HF_ASSERT(false);
}

BranchMove on_operator(BranchState state, BranchMove move) {
  if (state == BranchState::prepared) return move;
  const bool heard_of = state != BranchState::absent && state != BranchState::lost;
  return {Step::nothing, heard_of ? Answer::conflict : Answer::unknown, state};
}

}  // namespace

BranchMove decide(BranchState state, BranchEvent event) {
  switch (event) {
    case BranchEvent::run:
      return on_run(state);
    case BranchEvent::prepare:
      return on_prepare(state);
    case BranchEvent::commit:
      return on_commit(state);
    case BranchEvent::abort:
      return on_abort(state);
    case BranchEvent::operator_commit:
      return on_operator(state, {Step::commit, Answer::committed, BranchState::committed});
    case BranchEvent::operator_abort:
      return on_operator(state, {Step::roll_back, Answer::aborted, BranchState::aborted});
  }
  HF_ASSERT(false);
}

std::string_view to_string(BranchState state) {
  switch (state) {
    case BranchState::absent:
      return "absent";
    case BranchState::active:
      return "active";
    case BranchState::failed:
      return "failed";
    case BranchState::prepared:
      return "prepared";
    case BranchState::committed:
      return "committed";
    case BranchState::aborted:
      return "aborted";
    case BranchState::lost:
      return "lost";
  }
  HF_ASSERT(false);
}

std::optional<BranchState> stored_state_from(std::string_view text) {
  for (const BranchState state : {BranchState::prepared, BranchState::committed, BranchState::aborted}) {
    if (to_string(state) == text) return state;
  }
  return std::nullopt;
}

}  // namespace hf::participant
