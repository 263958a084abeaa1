#include "notifier/ledger_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hf::notifier {
namespace {

constexpr std::array<std::pair<State, std::string_view>, 6> kStates = {{{State::waiting, "waiting"},
                                                                        {State::sending, "sending"},
                                                                        {State::unknown, "unknown"},
                                                                        {State::created, "created"},
                                                                        {State::refused, "refused"},
                                                                        {State::parked, "parked"}}};
constexpr std::array<std::string_view, std::variant_size_v<Event>> kEvents = {
    "call_begun",  "call_created",     "call_refused",   "call_not_made",    "call_lost",
    "restarted",   "reported",         "found",          "not_found",        "look_failed",
    "poll_failed", "operator_resends", "operator_found", "operator_gives_up"};

WallTime after(WallTime at, Duration wait) { return at + std::chrono::duration_cast<std::chrono::microseconds>(wait); }

Duration doubled(Duration first, int times, Duration max) {
  Duration wait = first;
  for (int i = 0; i < times && wait < max; ++i) wait *= 2;
  return std::min(wait, max);
}

/// One event at a time: each handler says what it does in each state it means something in.
class Machine {
 public:
  Machine(Entry entry, WallTime now, const NotifierConfig& config) : config_(config), now_(now) {
    step_.entry = std::move(entry);
  }

  Step take(const Event& event) {
    std::visit([this](const auto& e) { handle(e); }, event);
    step_.changed = !step_.ignored;
    return std::move(step_);
  }

 private:
  Entry& e() { return step_.entry; }
  bool in(State state) const { return step_.entry.state == state; }
  void ignore() { step_.ignored = true; }

  void enter(State state, std::string reason = {}) {
    e().state = state;
    e().state_since = now_;
    e().reason = std::move(reason);
    e().tries = 0;
    e().due = std::nullopt;
  }
  void park(std::string reason) { enter(State::parked, std::move(reason)); }

  /// The provider has it. A second SID is a duplicate: nothing can take it back, so it is flagged, not stored over.
  void has(const std::string& sid, const std::string& status, int error_code = 0, const std::string& message = {}) {
    if (in(State::created) && !e().sid.empty() && e().sid != sid) {
      step_.duplicate = true;
      return ignore();
    }
    const bool known = in(State::created);
    if (!known) enter(State::created);
    e().sid = sid;
    e().http_status = 0;
    const bool newer = wire::twilio::advances(e().kind, e().status, status);
    if (newer) e().status = status;
    const bool codes = error_code != 0 && e().error_code == 0;  // a known code is never erased or replaced
    if (codes) {
      e().error_code = error_code;
      e().error_message = message;
    }
    if (known && !newer && !codes) return ignore();
    schedule_poll(0);
  }
  void schedule_poll(int tries) {
    e().tries = tries;
    e().due = std::nullopt;
    const Duration wait = doubled(config_.poll_after, tries, config_.poll_for);
    if (!wire::twilio::is_final(e().kind, e().status) &&
        after(now_, wait) <= after(e().state_since, config_.poll_for)) {
      e().due = after(now_, wait);
    }
  }

  void wait_for_retry(const std::string& why, std::optional<Duration> retry_after) {
    const int tries = e().tries;
    if (now_ - e().created >= config_.retry_for) return park(fmt::format("never accepted: {}", why));
    const WallTime started = e().attempt_started;
    enter(State::waiting, why);
    e().attempt_started = started;
    e().tries = tries + 1;
    e().due = after(
        now_, std::min(retry_after.value_or(doubled(config_.retry_min, tries, config_.retry_max)), config_.retry_for));
  }
  void lose(std::string why) {
    enter(State::unknown, std::move(why));
    ++e().lost;
    e().due = planned_look(0);
  }

  /// Counted from the call; never further away than that, should the wall clock have been set back since.
  WallTime planned_look(std::size_t number) {
    return std::min(after(e().attempt_started, config_.looks[number]), after(now_, config_.looks[number]));
  }

  void handle(const CallBegun&) {
    if (!in(State::waiting)) return ignore();
    const int tries = e().tries;
    enter(State::sending);
    e().tries = tries;  // the back-off goes on from where it was
    ++e().attempt;
    e().attempt_started = now_;
  }
  void handle(const CallCreated& c) { has(c.sid, c.status); }
  void handle(const CallRefused& c) {
    if (!in(State::sending)) return ignore();
    enter(State::refused);
    e().http_status = c.error.status;
    e().error_code = c.error.code;
    e().error_message = c.error.message;
  }
  void handle(const CallNotMade& c) {
    if (!in(State::sending)) return ignore();
    wait_for_retry(c.why, c.retry_after);
  }
  void handle(const CallLost& c) {
    if (!in(State::sending)) return ignore();
    lose(c.why);
  }
  void handle(const Restarted&) {
    if (!in(State::sending)) return ignore();
    lose("the process ended during the call");
  }
  void handle(const Reported& r) { has(r.sid, r.status, r.error_code, r.error_message); }
  void handle(const Found& f) {
    if (!in(State::unknown)) return ignore();
    has(f.sid, f.status, f.error_code);
  }
  void handle(const NotFound&) {
    if (!in(State::unknown)) return ignore();
    ++e().tries;
    if (static_cast<std::size_t>(e().tries) < config_.looks.size()) {
      // Never sooner than the schedule's own distance: a look that came late must not make the next one hasty.
      const auto next = static_cast<std::size_t>(e().tries);
      e().due = std::max(planned_look(next), after(now_, config_.looks[next] - config_.looks[next - 1]));
      return;
    }
    const std::string why = fmt::format("call {} had no answer and created nothing", e().attempt);
    if (config_.on_absent == OnAbsent::park) return park(why + "; the policy leaves the next call to a person");
    if (e().lost >= config_.attempts_max) return park(fmt::format("{}; {} calls were lost", why, e().lost));
    enter(State::waiting, why);
    e().due = now_;
  }
  void handle(const LookFailed& l) {
    if (!in(State::unknown)) return ignore();
    if (now_ - e().state_since >= config_.resolve_for) return park(fmt::format("not resolved: {}", l.why));
    e().reason = l.why;
    e().due = after(now_, config_.look_retry);
  }
  void handle(const PollFailed&) {
    if (!in(State::created)) return ignore();
    schedule_poll(e().tries + 1);
  }
  void handle(const OperatorResends&) {
    if (!in(State::parked)) return ignore();
    enter(State::waiting, "a person asked for another call");
    e().created = now_;  // the patience begins anew
    e().lost = 0;
    e().due = now_;
  }
  void handle(const OperatorFound& o) {
    if (!in(State::parked) && !in(State::unknown)) return ignore();
    has(o.sid, e().kind == wire::twilio::Kind::message ? "accepted" : "queued");
  }
  void handle(const OperatorGivesUp&) {
    if (!in(State::parked)) return ignore();
    const std::string reason = e().reason;
    enter(State::refused);
    e().http_status = 409;
    e().error_code = 20409;
    e().error_message = fmt::format("given up by a person: {}", reason);
  }

  const NotifierConfig& config_;
  const WallTime now_;
  Step step_;
};

}  // namespace

std::string_view to_string(State state) {
  return std::ranges::find(kStates, state, &std::pair<State, std::string_view>::first)->second;
}

std::optional<State> parse_state(std::string_view text) {
  const auto found = std::ranges::find(kStates, text, &std::pair<State, std::string_view>::second);
  return found == kStates.end() ? std::nullopt : std::optional(found->first);
}

std::string_view name_of(const Event& event) { return kEvents[event.index()]; }

Step on(Entry entry, const Event& event, WallTime now, const NotifierConfig& config) {
  return Machine(std::move(entry), now, config).take(event);
}

}  // namespace hf::notifier
