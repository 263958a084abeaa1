#pragma once

/// One global transaction: what has happened, and what is to be done next. Pure: no clock, no I/O.
///
///     active ──commit──▶ preparing ──all yes──▶ deciding ──durable──▶ committing ──all acks──▶ finished
///       │ abort, expiry      │ a no, a silence, abort   │ certainly not stored      ▲              ▲
///       └────────────────────┴──────────────────────────┴──▶ aborting ──────────────┼── all acks ──┘
///
/// active      nothing is voted; participants may register
/// preparing   voters are asked: the volatile ones first, then the durable ones, each group in parallel
/// deciding    the COMMIT record is being written: nobody is told anything, nothing can stop it
/// committing  durable. Participants are told until each acknowledged; `completion` ones after all others
/// aborting    decided by the absence of a record (presumed abort): told at once, recorded in passing
/// finished    every participant has acknowledged, was found damaged, or was given up by an operator (both recorded)
///
/// A participant whose prepare was asked and not answered may be prepared: it is told `abort` like the others, once its
/// call is over, so that no abort of ours overtakes a prepare of ours. A vote of `read-only` or `committed` takes the
/// participant off the list; `committed` in an aborted transaction is a mixed outcome and recorded as one.
///
/// Sources: docs/protocols/two-phase-commit.md (the protocol and its defects; the recovery table).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "wire/two_phase/messages.h"

namespace hf::coordinator {

using wire::two_phase::Decision;
using wire::two_phase::Outcome;
using wire::two_phase::Protocol;
using wire::two_phase::Vote;

enum class State { active, preparing, deciding, committing, aborting, finished };
std::string_view to_string(State state);
std::optional<State> state_from(std::string_view text);

/// How far one participant is.
enum class Stage {
  registered,
  asked,     ///< its prepare is under way
  voted,     ///< `vote` is there
  silent,    ///< prepare was asked and not answered: it may be prepared
  told,      ///< the decision is on its way, again and again
  done,      ///< acknowledged, or nothing had to be told
  damaged,   ///< it ended against the decision
  given_up,  ///< an operator: nobody tells it any more
};
std::string_view to_string(Stage stage);
std::optional<Stage> stage_from(std::string_view text);

struct Participant {
  std::string id;  ///< as it registered; unique together with `protocol`
  Protocol protocol = Protocol::durable;
  std::string url;  ///< without /prepare and /notify
  Stage stage = Stage::registered;
  std::optional<Vote> vote = std::nullopt;
  std::string detail = {};  ///< why it refused, why it was silent, the latest failed try
  std::uint32_t tries = 0;  ///< of telling it the decision, without an acknowledgement
  bool operator==(const Participant&) const = default;
};

/// One line of the story: what `holdfast show tx` prints.
struct Step {
  std::int64_t at_us = 0;
  std::string what;  ///< "begin" "register" "call" "prepare" "vote" "silent" "decision" "notify" "acknowledged" …
  std::string participant;  ///< "": the transaction as a whole
  std::string detail;
  std::int64_t until_us = 0;  ///< of "call": its end
  bool operator==(const Step&) const = default;
};
inline constexpr std::size_t kStoryMax = 1000;  ///< lines; then only the end is told

struct Transaction {
  std::string gtrid;
  State state = State::active;
  std::optional<Decision> decision;                         ///< commit only when durable
  std::string refused_by, reason;                           ///< of an abort
  std::int64_t began_us = 0, decided_us = 0, ended_us = 0;  ///< 0: not yet
  bool damaged = false;                                     ///< there is a heuristic record
  std::vector<Participant> participants;
  std::vector<Step> story;

  Outcome outcome() const;
  bool finished() const { return state == State::finished; }
  /// Participants that have to acknowledge and have not.
  std::size_t unacknowledged() const;
  bool operator==(const Transaction&) const = default;
};

Transaction begin(std::string gtrid, std::int64_t now_us);

/// True: new. False: registered before, with the same URL. Errors, with the text for the wire: conflict
/// ("Cannot-Register…": prepare has begun, or it is over; the same id at another URL) · exhausted (too many).
Result<bool> enrol(Transaction& tx, std::string id, Protocol protocol, std::string url, std::size_t participants_max,
                   std::int64_t now_us);

struct CommitAsked {};
struct AbortAsked {
  std::string by, reason;
};
struct Expired {};
struct Voted {
  std::size_t who = 0;
  Vote vote = Vote::aborted;
  std::string reason;
};
/// No vote: an error, or no answer in time.
struct Silent {
  std::size_t who = 0;
  std::string why;
};
/// The COMMIT record is on the disk.
struct DecisionDurable {};
/// It certainly is not, and will not be.
struct DecisionFailed {
  std::string why;
};
struct Acknowledged {
  std::size_t who = 0;
  std::string detail;
};
/// A try to tell the decision failed; there will be another.
struct NotTold {
  std::size_t who = 0;
  std::string why;
};
/// It answered the decision with the opposite end, or with not knowing the transaction it had voted for.
struct Contradicted {
  std::size_t who = 0;
  std::string found;
};
/// An operator no longer waits for it. Recorded before this is fed.
struct GivenUp {
  std::size_t who = 0;
  std::string reason;
};
/// A former process left it so: unfinished rows after a restart.
struct Restarted {};

using Event = std::variant<CommitAsked, AbortAsked, Expired, Voted, Silent, DecisionDurable, DecisionFailed,
                           Acknowledged, NotTold, Contradicted, GivenUp, Restarted>;

struct Action {
  enum class What {
    prepare,        ///< ask `who`
    record_commit,  ///< force it; then DecisionDurable or DecisionFailed
    decided,        ///< callers that wait may be answered
    tell,           ///< the decision to `who`, until it acknowledges
    alarm,          ///< heuristic damage at `who`: record, shout
    end,            ///< write END, some time
  };
  What what = What::end;
  std::size_t who = 0;
  std::string found;  ///< alarm: how `who` ended
  bool operator==(const Action&) const = default;
};
using Actions = std::vector<Action>;

/// An event that means nothing in the present state (a second commit, a late vote, a repeated acknowledgement) changes
/// nothing.
Actions step(Transaction& tx, const Event& event, std::int64_t now_us);

/// Appends to the story.
void note(Transaction& tx, std::int64_t at_us, std::string what, std::string participant = {}, std::string detail = {});

}  // namespace hf::coordinator
