#include "coordinator/transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hf::coordinator {
namespace {

constexpr std::pair<State, std::string_view> kStates[] = {
    {State::active, "active"},         {State::preparing, "preparing"}, {State::deciding, "deciding"},
    {State::committing, "committing"}, {State::aborting, "aborting"},   {State::finished, "finished"}};
constexpr std::pair<Stage, std::string_view> kStages[] = {
    {Stage::registered, "registered"}, {Stage::asked, "asked"},      {Stage::voted, "voted"},
    {Stage::silent, "silent"},         {Stage::told, "told"},        {Stage::done, "done"},
    {Stage::damaged, "damaged"},       {Stage::given_up, "given-up"}};

template <class E, std::size_t N>
std::string_view name_of(E value, const std::pair<E, std::string_view> (&names)[N]) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  HF_ASSERT(false);
}
template <class E, std::size_t N>
std::optional<E> value_of(std::string_view text, const std::pair<E, std::string_view> (&names)[N]) {
  for (const auto& [value, name] : names) {
    if (name == text) return value;
  }
  return std::nullopt;
}

bool votes(const Participant& p) { return p.protocol != Protocol::completion; }
bool is_over(const Participant& p) {
  return p.stage == Stage::done || p.stage == Stage::damaged || p.stage == Stage::given_up;
}

/// The machine's hands: one event's worth of changes to `tx`.
class Stepper {
 public:
  Stepper(Transaction& tx, std::int64_t now_us) : tx_(tx), now_us_(now_us) {}

  void on(const CommitAsked&) {
    if (tx_.state != State::active) return;
    tx_.state = State::preparing;
    say("commit-asked");
    if (!ask(Protocol::volatile_) && !ask(Protocol::durable)) decide();
  }
  void on(const AbortAsked& event) {
    if (tx_.state != State::active && tx_.state != State::preparing) return;
    say("abort-asked", event.by, event.reason);
    abort(event.by, event.reason);
  }
  void on(const Expired&) {
    if (tx_.state == State::active) abort("", "nobody asked for commit or abort in time");
  }
  void on(const Voted& event) {
    Participant& p = at(event.who);
    if (p.stage != Stage::asked) return;
    p.stage = Stage::voted;
    p.vote = event.vote;
    p.detail = event.reason;
    const std::string vote(wire::two_phase::to_string(event.vote));
    say("vote", p.id, event.reason.empty() ? vote : vote + ": " + event.reason);
    if (tx_.state == State::aborting) return tell_abort(event.who);
    if (event.vote == Vote::aborted) return abort(p.id, event.reason.empty() ? "it voted aborted" : event.reason);
    next_vote();
  }
  void on(const Silent& event) {
    Participant& p = at(event.who);
    if (p.stage != Stage::asked) return;
    p.stage = Stage::silent;
    p.detail = event.why;
    say("silent", p.id, event.why);
    if (tx_.state == State::aborting) return tell_abort(event.who);
    abort(p.id, event.why);
  }
  void on(const DecisionDurable&) {
    if (tx_.state != State::deciding) return;
    tx_.state = State::committing;
    settle(Decision::commit);
    for (std::size_t who = 0; who < tx_.participants.size(); ++who) {
      const Participant& p = tx_.participants[who];
      if (!votes(p)) continue;
      if (p.vote == Vote::prepared) {
        tell(who);
      } else {
        at(who).stage = Stage::done;  // read-only, or committed by itself: it is where all are going
      }
    }
    go_on();
  }
  void on(const DecisionFailed& event) {
    if (tx_.state == State::deciding) abort("", event.why);
  }
  void on(const Acknowledged& event) {
    Participant& p = at(event.who);
    if (p.stage != Stage::told) return;
    p.stage = Stage::done;
    p.detail.clear();
    say("acknowledged", p.id, event.detail);
    go_on();
  }
  void on(const NotTold& event) {
    Participant& p = at(event.who);
    if (p.stage != Stage::told) return;
    ++p.tries;
    p.detail = event.why;
    if (p.tries <= kToldTriesShown) say("not-acknowledged", p.id, event.why);
  }
  void on(const Contradicted& event) {
    Participant& p = at(event.who);
    if (p.stage != Stage::told) return;
    damage(event.who, event.found);
    go_on();
  }
  void on(const GivenUp& event) {
    Participant& p = at(event.who);
    if (p.stage != Stage::told) return;
    p.stage = Stage::given_up;
    p.detail = event.reason;
    tx_.damaged = true;
    say("given-up", p.id, event.reason);
    go_on();
  }
  void on(const Restarted&) {
    say("restarted");
    for (Participant& p : tx_.participants) {
      if (p.stage == Stage::asked) p.stage = Stage::silent;  // its answer came to nobody
    }
    if (!tx_.decision) return abort("", "the coordinator restarted before a decision");
    for (std::size_t who = 0; who < tx_.participants.size(); ++who) {
      const Participant& p = tx_.participants[who];
      if (p.stage == Stage::told) {
        tell(who);
      } else if (votes(p) && !is_over(p)) {
        HF_ASSERT(tx_.decision == Decision::abort);  // a commit is stored with all that must hear it
        tell_abort(who);
      }
    }
    go_on();
  }

  Actions take() { return std::move(actions_); }

 private:
  static constexpr std::uint32_t kToldTriesShown = 3;

  Participant& at(std::size_t who) {
    HF_ASSERT(who < tx_.participants.size());
    return tx_.participants[who];
  }
  void say(std::string what, std::string participant = {}, std::string detail = {}) {
    note(tx_, now_us_, std::move(what), std::move(participant), std::move(detail));
  }
  void act(Action::What what, std::size_t who = 0, std::string found = {}) {
    actions_.push_back({what, who, std::move(found)});
  }

  /// False: there is none of this protocol.
  bool ask(Protocol protocol) {
    bool any = false;
    for (std::size_t who = 0; who < tx_.participants.size(); ++who) {
      Participant& p = tx_.participants[who];
      if (p.protocol != protocol) continue;
      HF_ASSERT(p.stage == Stage::registered);
      p.stage = Stage::asked;
      say("prepare", p.id);
      act(Action::What::prepare, who);
      any = true;
    }
    return any;
  }
  void next_vote() {
    const auto is = [this](Stage stage) {
      return std::ranges::any_of(tx_.participants, [=](const Participant& p) { return votes(p) && p.stage == stage; });
    };
    if (is(Stage::asked)) return;
    if (is(Stage::registered) && ask(Protocol::durable)) return;
    decide();
  }
  void decide() {
    tx_.state = State::deciding;
    say("deciding");
    act(Action::What::record_commit);
  }
  void settle(Decision decision) {
    tx_.decision = decision;
    tx_.decided_us = now_us_;
    say("decision", tx_.refused_by, decision == Decision::commit ? "commit" : "abort: " + tx_.reason);
    act(Action::What::decided);
  }
  void abort(std::string by, std::string reason) {
    tx_.state = State::aborting;
    tx_.refused_by = std::move(by);
    tx_.reason = std::move(reason);
    settle(Decision::abort);
    for (std::size_t who = 0; who < tx_.participants.size(); ++who) {
      if (votes(tx_.participants[who])) tell_abort(who);
    }
    go_on();
  }
  void tell_abort(std::size_t who) {
    Participant& p = at(who);
    if (p.stage == Stage::asked) return;  // when its prepare is over
    if (p.vote == Vote::read_only) {
      p.stage = Stage::done;
    } else if (p.vote == Vote::committed) {
      damage(who, "committed");
    } else {
      return tell(who);
    }
    go_on();
  }
  void tell(std::size_t who) {
    at(who).stage = Stage::told;
    say("notify", at(who).id, std::string(wire::two_phase::to_string(*tx_.decision)));
    act(Action::What::tell, who);
  }
  void damage(std::size_t who, std::string found) {
    Participant& p = at(who);
    p.stage = Stage::damaged;
    p.detail = found;
    tx_.damaged = true;
    say("heuristic", p.id, found);
    act(Action::What::alarm, who, std::move(found));
  }
  /// All that vote are over: completion is told. All are over: the end.
  void go_on() {
    if (tx_.state != State::committing && tx_.state != State::aborting) return;
    const auto& all = tx_.participants;
    if (!std::ranges::all_of(all, [](const Participant& p) { return !votes(p) || is_over(p); })) return;
    for (std::size_t who = 0; who < all.size(); ++who) {
      if (all[who].stage == Stage::registered) tell(who);
    }
    if (!std::ranges::all_of(all, is_over)) return;
    tx_.state = State::finished;
    tx_.ended_us = now_us_;
    say("end");
    act(Action::What::end);
  }

  Transaction& tx_;
  const std::int64_t now_us_;
  Actions actions_;
};

}  // namespace

std::string_view to_string(State state) { return name_of(state, kStates); }
std::optional<State> state_from(std::string_view text) { return value_of(text, kStates); }
std::string_view to_string(Stage stage) { return name_of(stage, kStages); }
std::optional<Stage> stage_from(std::string_view text) { return value_of(text, kStages); }

Outcome Transaction::outcome() const {
  if (!decision) return Outcome::pending;
  return *decision == Decision::commit ? Outcome::committed : Outcome::aborted;
}

std::size_t Transaction::unacknowledged() const {
  if (!decision) return 0;
  return static_cast<std::size_t>(
      std::ranges::count_if(participants, [](const Participant& p) { return !is_over(p); }));
}

Transaction begin(std::string gtrid, std::int64_t now_us) {
  Transaction tx;
  tx.gtrid = std::move(gtrid);
  tx.began_us = now_us;
  note(tx, now_us, "begin");
  return tx;
}

Result<bool> enrol(Transaction& tx, std::string id, Protocol protocol, std::string url, std::size_t participants_max,
                   std::int64_t now_us) {
  const auto same = [&](const Participant& p) { return p.id == id && p.protocol == protocol; };
  const auto known = std::ranges::find_if(tx.participants, same);
  const bool repeated = known != tx.participants.end() && known->url == url;
  if (repeated) return false;
  if (tx.state != State::active) {
    return Error{Code::conflict, fmt::format("Cannot-Register. The transaction is {}: {}",
                                             tx.decision ? "decided" : "being prepared", tx.gtrid)};
  }
  if (known != tx.participants.end()) {
    return Error{Code::conflict, fmt::format("Cannot-Register. {} is registered with another URL", id)};
  }
  if (tx.participants.size() >= participants_max) {
    return Error{Code::exhausted,
                 fmt::format("Cannot-Register. A transaction has at most {} participants", participants_max)};
  }
  note(tx, now_us, "register", id, std::string(wire::two_phase::to_string(protocol)) + " " + url);
  tx.participants.push_back({.id = std::move(id), .protocol = protocol, .url = std::move(url)});
  return true;
}

Actions step(Transaction& tx, const Event& event, std::int64_t now_us) {
  Stepper stepper(tx, now_us);
  std::visit([&](const auto& e) { stepper.on(e); }, event);
  return stepper.take();
}

void note(Transaction& tx, std::int64_t at_us, std::string what, std::string participant, std::string detail) {
  if (tx.story.size() >= kStoryMax && what != "end") return;
  tx.story.push_back({at_us, std::move(what), std::move(participant), std::move(detail), 0});
}

}  // namespace hf::coordinator
