#pragma once

/// What a branch of a global transaction does when somebody asks something of it. Pure: no I/O, no clock.
///
///     absent ──run──▶ active ──prepare──▶ prepared ──commit──▶ committed
///       │               │ a statement failed   └────abort────▶ aborted
///       │               ▼                                        ▲ ▲
///       │             failed ──prepare, abort, time is up────────┘ │
///       └──────────────── abort: a tombstone ──────────────────────┘
///
///   absent     nobody heard of it: no row, nothing in memory
///   active     in memory (XA: an open branch at the server); it dies with the process, nobody has a vote
///   failed     active, and something in it failed: it can only be aborted, whatever the caller made of the error
///   prepared   durable; only commit or abort ends it, said by the coordinator or by an operator
///   committed  durable; aborted: durable, or a tombstone for what may still come late
///   lost       XA: neither memory nor the server nor a row knows it. As absent, but a commit of it is damage: only
///              what voted is told to commit

#include <optional>
#include <string_view>

namespace hf::participant {

enum class BranchState { absent, active, failed, prepared, committed, aborted, lost };
enum class BranchEvent { run, prepare, commit, abort, operator_commit, operator_abort };

/// What must be durable (or, for `work`, done) before the answer is given.
enum class BranchStep {
  nothing,
  work,       ///< try it, keep it in memory
  prepare,    ///< branch row and effects, one local transaction
  commit,     ///< of what is prepared
  roll_back,  ///< of what is prepared
  tombstone,  ///< forget what memory holds, leave a row `aborted`
  record,     ///< a heuristic end: decided one way, ended the other
};
enum class BranchAnswer {
  done,
  vote_prepared,
  vote_aborted,
  vote_committed,
  committed,
  aborted,
  not_prepared,
  unknown,
  heuristic,
  conflict,  ///< refused: it is past that
};
struct BranchMove {
  BranchStep step = BranchStep::nothing;
  BranchAnswer answer = BranchAnswer::done;
  BranchState next = BranchState::absent;  ///< once the step is done
  bool operator==(const BranchMove&) const = default;
};

BranchMove decide(BranchState state, BranchEvent event);

std::string_view to_string(BranchState state);
/// Of a stored row: prepared, committed, aborted.
std::optional<BranchState> stored_state_from(std::string_view text);

}  // namespace hf::participant
