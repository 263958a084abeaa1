#pragma once

/// Between the machine's words and the interface's (participant/branches.h), and the records of what went against a
/// decision. Both kinds of branches use it.

#include "participant/branch_upkeep.h"

namespace hf::participant {

Voted voted_as(const StoredBranch& row);
BranchEvent event_of(wire::two_phase::Decision decision);
bool is_operator(BranchEvent event);
BranchEvent operator_event_of(wire::two_phase::Decision decision);
wire::two_phase::Decision decision_of(BranchEvent event);
/// Errors: not_found, conflict: an operator's decision about what is not in doubt.
Result<Ended> ended_as(BranchEvent event, BranchAnswer answer);

struct EndRecord {
  BranchState state;
  BranchEvent event;
  BranchMove move;
  std::string reason;  ///< the operator's
  std::int64_t now_us;
};
/// Writes what the heuristic record needs for this move: an operator's decision before it takes effect, damage that a
/// decision met, or what the coordinator had decided in the end. True: damage nobody was told of before.
Result<bool> keep_record(sql::Transaction& tx, const BranchStore::Key& key, const EndRecord& end);
void tell_heuristic(BranchCounters& counters, const std::string& participant, const std::string& gtrid,
                    BranchEvent event, const BranchMove& move);

}  // namespace hf::participant
