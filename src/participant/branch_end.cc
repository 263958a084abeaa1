#include "participant/branch_end.h"

#include "base/log.h"

namespace hf::participant {

using wire::two_phase::Decision;
using wire::two_phase::Vote;

Voted voted_as(const StoredBranch& row) {
  if (row.state == BranchState::prepared) return {Vote::prepared, {}, row.life};
  if (row.state == BranchState::committed) return {Vote::committed, {}, row.life};
  return {Vote::aborted, row.reason, {}};
}

BranchEvent event_of(Decision decision) {
  return decision == Decision::commit ? BranchEvent::commit : BranchEvent::abort;
}
BranchEvent operator_event_of(Decision decision) {
  return decision == Decision::commit ? BranchEvent::operator_commit : BranchEvent::operator_abort;
}
Decision decision_of(BranchEvent event) {
  HF_ASSERT(event != BranchEvent::run && event != BranchEvent::prepare);
  const bool commit = event == BranchEvent::commit || event == BranchEvent::operator_commit;
  return commit ? Decision::commit : Decision::abort;
}

bool is_operator(BranchEvent event) {
  return event == BranchEvent::operator_commit || event == BranchEvent::operator_abort;
}

Result<Ended> ended_as(BranchEvent event, BranchAnswer answer) {
  switch (answer) {
    case BranchAnswer::committed:
      return Ended::committed;
    case BranchAnswer::aborted:
      return Ended::aborted;
    case BranchAnswer::not_prepared:
      return Ended::not_prepared;
    case BranchAnswer::unknown:
      if (is_operator(event)) return Error{Code::not_found, "there is no such branch"};
      return Ended::unknown;
    case BranchAnswer::heuristic:
      return Ended::heuristic;
    case BranchAnswer::conflict:
      return Error{Code::conflict, "this branch is not in doubt"};
    default:
      HF_ASSERT(false);
  }
}

Result<bool> keep_record(sql::Transaction& tx, const BranchStore::Key& key, const EndRecord& end) {
  if (is_operator(end.event)) {
    if (end.move.step == BranchStep::nothing) return false;
    const Heuristic by_hand{key.gtrid, {}, std::string(to_string(end.move.next)), end.reason, end.now_us};
    HF_TRY(BranchStore::record(tx, key, by_hand));
    return false;
  }
  if (end.move.step == BranchStep::record) {
    const std::string decided(to_string(decision_of(end.event)));
    const std::string why =
        end.state == BranchState::lost ? "the database does not know the branch" : "the branch had ended the other way";
    HF_TRY(const bool news,
           BranchStore::record(tx, key, {key.gtrid, decided, std::string(to_string(end.move.next)), why, end.now_us}));
    if (news) return true;
    return BranchStore::learn_decision(tx, key, decision_of(end.event));
  }
  // An operator was faster, and right.
  const bool over = end.state == BranchState::committed || end.state == BranchState::aborted;
  if (over) HF_TRY(BranchStore::learn_decision(tx, key, decision_of(end.event)));
  return false;
}

void tell_heuristic(BranchCounters& counters, const std::string& participant, const std::string& gtrid,
                    BranchEvent event, const BranchMove& move) {
  counters.heuristic.add();
  log::error("participant.branch.heuristic", {{"participant", participant},
                                              {"gtrid", gtrid},
                                              {"decided", to_string(decision_of(event))},
                                              {"found", to_string(move.next)}});
}

}  // namespace hf::participant
