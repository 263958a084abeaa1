#pragma once

/// The life of one notification in the ledger. Pure: entry + event + now → entry. The store runs it inside the
/// transaction that writes the result, so two events never overtake each other.
///
///                    begun                 answered: created
///      ┌─ waiting ─────────────▶ sending ──────────────────────▶ created ◀──┐ (status by rank from here on)
///      │     ▲ ▲                  │ │ │                            ▲  ▲     │
///      │     │ └── not created ───┘ │ └─ answered: refused ─▶ refused│     │ reported (callback), operator
///      │     │                      │                                 │     │
///      │     │ absent, may resend   ▼ lost, restarted     found, reported   │
///      │     └──────────────────── unknown ───────────────────────────┘     │
///      │                              │ absent, may not resend · too long   │
///      └── too long ───────────▶ parked ◀───────────────────────────────────┘
///
/// sending   a call may be under way: the row was durable before its first byte. Found at start: the outcome is
/// unknown. waiting   certainly nothing was created by the calls so far; the next one is due at `due`. unknown
/// something may have been created; the provider's list is looked at, at `due`. Never called from here (P5). created
/// the provider has it: `sid` names it. `due`: when its status is fetched, unless it is final. refused   final: the
/// provider will not take it. Answered with its own error. parked    nothing goes on by itself; listed, with `reason`;
/// a person resolves or resends (P7).

#include <optional>
#include <string>
#include <variant>

#include "base/time.h"
#include "notifier/config.h"
#include "wire/twilio/error.h"
#include "wire/twilio/status.h"

namespace hf::notifier {

enum class State { waiting, sending, unknown, created, refused, parked };
std::string_view to_string(State state);
std::optional<State> parse_state(std::string_view text);
/// Nothing is owed to the client any more.
inline bool is_settled(State state) { return state == State::created || state == State::refused; }

struct Entry {
  wire::twilio::Kind kind = wire::twilio::Kind::message;
  State state = State::sending;
  int attempt = 1;  ///< calls begun
  int lost = 0;     ///< of them, calls whose outcome was lost
  int tries = 0;    ///< in a row: refusals for now (waiting), looks (unknown), fetches (created)
  std::string sid{};
  std::string status{};
  int error_code = 0;
  std::string error_message{};
  int http_status = 0;   ///< of a refusal
  std::string reason{};  ///< waiting, unknown, parked: why
  WallTime created{}, attempt_started{}, state_since{};
  std::optional<WallTime> due{};
};

/// What happened. Each carries what the machine needs and nothing else.
struct CallBegun {};
struct CallCreated {
  std::string sid, status;
};
struct CallRefused {
  wire::twilio::ApiError error;
};
struct CallNotMade {  ///< certainly not created, may be tried again
  std::string why;
  std::optional<Duration> retry_after{};
};
struct CallLost {
  std::string why;
};
struct Restarted {};  ///< found at start
struct Reported {     ///< a status callback, or a fetch that found the SID
  std::string sid, status;
  int error_code = 0;
  std::string error_message{};
};
struct Found {  ///< a look at the list found it
  std::string sid, status;
  int error_code = 0;
};
struct NotFound {};  ///< a whole look found nothing
struct LookFailed {  ///< the list could not be read, or does not decide
  std::string why;
};
struct PollFailed {};  ///< a fetch of the status brought nothing
struct OperatorResends {};
struct OperatorFound {
  std::string sid;
};
struct OperatorGivesUp {};
using Event = std::variant<CallBegun, CallCreated, CallRefused, CallNotMade, CallLost, Restarted, Reported, Found,
                           NotFound, LookFailed, PollFailed, OperatorResends, OperatorFound, OperatorGivesUp>;
/// "created", "reported" …: for the event table and for people.
std::string_view name_of(const Event& event);

struct Step {
  Entry entry;
  bool changed = false;    ///< `entry` differs from before
  bool ignored = false;    ///< the event means nothing in this state (an operator is told `conflict`)
  bool duplicate = false;  ///< a second SID for this notification: the customer may see it twice. Alarm
};
Step on(Entry entry, const Event& event, WallTime now, const NotifierConfig& config);

}  // namespace hf::notifier
