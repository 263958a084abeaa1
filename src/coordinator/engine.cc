#include "coordinator/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace hf::coordinator {
namespace {

namespace wire = hf::wire::two_phase;

constexpr std::size_t kParticipantIdMax = 128, kUrlMax = 1000;

/// 32 hexadecimal digits in the layout of UUID version 7: time first, so that indexes grow at their end.
std::string make_unique_part(sys::World& world) {
  const auto ms = static_cast<std::uint64_t>(to_us(world.clock.wall()) / 1000) & 0xffff'ffff'ffffU;
  const std::uint64_t a = world.random.u64(), b = world.random.u64();
  return fmt::format("{:012x}7{:03x}{:016x}", ms, a & 0xfffU, (b & 0x3fff'ffff'ffff'ffffU) | 0x8000'0000'0000'0000U);
}

/// The write had no effect, and will have none.
bool certainly_not_stored(Code code) {
  return code == Code::unavailable || code == Code::exhausted || code == Code::denied || code == Code::conflict ||
         code == Code::invalid;
}

Result<void> check_participant(const wire::RegisterRequest& request) {
  const auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
  if (request.participant_id.size() > kParticipantIdMax || !std::ranges::all_of(request.participant_id, printable)) {
    return Error{Code::invalid, "\"participantId\" has 1 to 128 printable characters without spaces"};
  }
  for (const wire::ProtocolAt& at : request.protocols) {
    // We add /prepare and /notify to it.
    const bool extends = !at.url.ends_with('/') && at.url.find_first_of("?#") == std::string::npos;
    if (at.url.size() > kUrlMax || !extends || !std::ranges::all_of(at.url, printable) || !net::parse_url(at.url)) {
      return Error{Code::invalid, "\"url\" is not an http URL without query, fragment and a slash at its end"};
    }
  }
  return ok();
}

}  // namespace

Error unknown_transaction(const std::string& gtrid) {
  return Error{Code::not_found, "Transaction-Unknown. Invalid TID:" + gtrid};
}

Engine::Engine(sys::World world, const CoordinatorConfig& config, Store& store, SendHttp send)
    : world_(world),
      config_(config),
      store_(store),
      calls_(world, config, std::move(send)),
      backoff_{.first = config.retry_first, .max = config.retry_max},
      tasks_(world.executor, world.clock),
      wake_(world.clock),
      aging_(world.clock),
      unsaved_(world.clock),
      begun_(world.metrics.counter("holdfast_coordinator_begun_total", "transactions begun")),
      committed_(world.metrics.counter("holdfast_coordinator_decisions_total", "durable commits, and aborts",
                                       {{"decision", "commit"}})),
      aborted_(world.metrics.counter("holdfast_coordinator_decisions_total", "durable commits, and aborts",
                                     {{"decision", "abort"}})),
      expired_(world.metrics.counter("holdfast_coordinator_expired_total", "nobody asked for commit or abort in time")),
      retries_(world.metrics.counter("holdfast_coordinator_retries_total", "decisions told again")),
      open_gauge_(world.metrics.gauge("holdfast_coordinator_open", "transactions that are not finished")),
      doubt_gauge_(world.metrics.gauge("holdfast_coordinator_in_doubt",
                                       "decided and not acknowledged by all, or the decision's write not answered")),
      oldest_gauge_(world.metrics.gauge("holdfast_coordinator_in_doubt_oldest_seconds", "age of the oldest in doubt")),
      heuristic_gauge_(world.metrics.gauge("holdfast_coordinator_heuristics", "heuristic records kept")),
      commit_seconds_(
          world.metrics.histogram("holdfast_coordinator_commit_seconds", "from the commit call to its answer")) {}

// ---- start and stop ------------------------------------------------------------------------------------------------

Task<> Engine::start() {
  Result<std::uint64_t> epoch = co_await store_.take_epoch(world_.clock.wall());
  while (!epoch && epoch.error().code == Code::timeout) {
    epoch = co_await store_.take_epoch(world_.clock.wall());  // an epoch that was perhaps taken stays unused
  }
  if (!epoch) co_return epoch.error();
  epoch_ = *epoch;
  HF_CO_TRY(std::vector<Transaction> rows, co_await store_.unfinished());
  for (Transaction& row : rows) {
    const LivePtr one = keep(std::move(row));
    if (one->tx.decision) {
      one->doubt_since = world_.clock.now();
      in_doubt_.emplace(one->doubt_since, one->tx.gtrid);
    }
    feed(one, Restarted{});
  }
  log::info("coordinator.started", {{"id", config_.id}, {"epoch", epoch_}, {"unfinished", rows.size()}});
  enter(Phase::running);
  tasks_.spawn("expiry", run_expiry());
  tasks_.spawn("saving", run_saving());
  tasks_.spawn("housekeeping", run_housekeeping());
  co_return ok();
}

asio::awaitable<void> Engine::stop() {
  enter(Phase::stopping);
  co_await tasks_.join();
  while (!dirty_.empty()) {
    if (!co_await save_some())
      break;  // recovery finds what the rows say: nothing is lost but the latest acknowledgements
  }
}

void Engine::enter(Phase phase) {
  if (phase_ == Phase::stopping) return;
  phase_ = phase;
  if (phase == Phase::starting || phase == Phase::running) return;
  wake_.notify_all();
  aging_.notify_all();
  unsaved_.notify_all();
  for (const auto& [gtrid, one] : live_) one->changed.notify_all();
}

Result<void> Engine::usable() const {
  switch (phase_) {
    case Phase::running:
      return ok();
    case Phase::starting:
      return Error{Code::unavailable, "the coordinator is reading what it stored; ask again"};
    case Phase::fenced:
      return Error{Code::unavailable, "another process has taken over this coordinator's identity"};
    case Phase::stopping:
      return Error{Code::unavailable, "the coordinator is stopping; ask again"};
  }
  HF_ASSERT(false);
}

Result<void> Engine::ours(const std::string& gtrid) const {
  HF_TRY(usable());
  const std::optional<wire::Gtrid> id = wire::parse_gtrid(gtrid);
  if (!id || id->coordinator != config_.id) return unknown_transaction(gtrid);
  if (id->epoch <= epoch_) return ok();
  return Error{Code::unavailable, "the transaction is of a later epoch: another process has this identity"};
}

Engine::LivePtr Engine::live(const std::string& gtrid) const {
  const auto found = live_.find(gtrid);
  return found == live_.end() ? nullptr : found->second;
}

Engine::LivePtr Engine::keep(Transaction tx) {
  auto one = std::make_shared<Live>(std::move(tx), world_.clock);
  live_[one->tx.gtrid] = one;
  open_gauge_.add(1);
  return one;
}

// ---- what initiators and participants ask --------------------------------------------------------------------------

Task<std::string> Engine::begin() {
  HF_CO_TRY(usable());
  if (!store_works_) co_return Error{Code::unavailable, "the decision log takes no writes now"};
  if (live_.size() >= config_.transactions_max) {
    co_return Error{Code::exhausted, "too many transactions are unfinished"};
  }
  const wire::Gtrid id{.coordinator = config_.id, .epoch = epoch_, .unique = make_unique_part(world_)};
  const LivePtr one = keep(coordinator::begin(id.to_string(), to_us(world_.clock.wall())));
  one->expires = world_.clock.now() + config_.active_max;
  expiring_.emplace(one->expires, one->tx.gtrid);
  if (expiring_.size() == 1) aging_.notify_all();
  begun_.add();
  co_return one->tx.gtrid;
}

Task<> Engine::enrol(wire::RegisterRequest request) {
  HF_CO_TRY(check_participant(request));
  HF_CO_TRY(ours(request.transaction_id));
  const LivePtr one = live(request.transaction_id);
  if (!one) co_return unknown_transaction(request.transaction_id);
  Transaction changed = one->tx;  // all of its protocols, or none
  for (wire::ProtocolAt& at : request.protocols) {
    HF_CO_TRY(const bool added, coordinator::enrol(changed, request.participant_id, at.name, std::move(at.url),
                                                   config_.participants_max, to_us(world_.clock.wall())));
    static_cast<void>(added);
  }
  one->tx = std::move(changed);
  if (request.asks_outcome) co_return ok();
  co_return co_await keep_registration(one);
}

/// Whoever will not ask must be told, also an abort that nobody decided: should we die before anything else is written,
/// the restart finds this row, and tells.
Task<> Engine::keep_registration(LivePtr one) {
  std::vector<Transaction> rows{one->tx};
  std::vector<Heuristic> damages;
  const Result<void> kept = co_await store_.save(std::move(rows), std::move(damages));
  heard(kept);
  if (kept) co_return ok();
  co_return Error{Code::unavailable, "the registration could not be kept: " + kept.error().message};
}

Task<wire::OutcomeReport> Engine::commit(std::string gtrid, std::vector<Step> calls) {
  HF_CO_TRY(ours(gtrid));
  const Monotonic asked = world_.clock.now();
  const LivePtr one = live(gtrid);
  if (!one) co_return co_await stored_outcome(std::move(gtrid));
  if (one->tx.state == State::active) std::ranges::move(calls, std::back_inserter(one->tx.story));
  feed(one, CommitAsked{});
  HF_CO_TRY(wire::OutcomeReport report, co_await settled(one));
  commit_seconds_.observe_seconds(std::chrono::duration<double>(world_.clock.now() - asked).count());
  co_return report;
}

Task<wire::OutcomeReport> Engine::abort(std::string gtrid, std::string by, std::string reason,
                                        std::vector<Step> calls) {
  HF_CO_TRY(ours(gtrid));
  const LivePtr one = live(gtrid);
  if (!one) co_return co_await stored_outcome(std::move(gtrid));
  if (one->tx.state == State::active) std::ranges::move(calls, std::back_inserter(one->tx.story));
  const AbortAsked event{std::move(by), std::move(reason)};
  feed(one, event);
  co_return co_await settled(one);
}

Task<wire::OutcomeReport> Engine::outcome(std::string gtrid) {
  HF_CO_TRY(ours(gtrid));
  const LivePtr one = live(gtrid);
  if (one) co_return report(one->tx);
  co_return co_await stored_outcome(std::move(gtrid));
}

Task<std::optional<Transaction>> Engine::find(std::string gtrid) {
  HF_CO_TRY(ours(gtrid));
  const LivePtr one = live(gtrid);
  if (one) co_return std::optional<Transaction>(one->tx);
  co_return co_await store_.find(std::move(gtrid));
}

wire::OutcomeReport Engine::report(const Transaction& tx) const {
  return {.gtrid = tx.gtrid,
          .coordinator = config_.id,
          .outcome = tx.outcome(),
          .finished = tx.finished(),
          .participant = tx.refused_by,
          .reason = tx.reason};
}

Task<wire::OutcomeReport> Engine::settled(LivePtr one) {
  // Two groups of prepares, then the database.
  const Monotonic deadline = world_.clock.now() + 2 * config_.prepare_timeout + 5s;
  while (!one->tx.decision) {
    if (world_.clock.now() >= deadline || phase_ == Phase::fenced) {
      co_return Error{Code::timeout, "not decided yet; ask for the outcome"};
    }
    co_await one->changed.wait_until(deadline);
  }
  co_return report(one->tx);
}

/// Of one that is not in memory: finished, or never heard of, which means aborted (presumed abort).
Task<wire::OutcomeReport> Engine::stored_outcome(std::string gtrid) {
  HF_CO_TRY(const std::optional<Transaction> row, co_await store_.find(gtrid));
  if (row) co_return report(*row);
  co_return wire::OutcomeReport{.gtrid = std::move(gtrid),
                                .coordinator = config_.id,
                                .outcome = Outcome::aborted,
                                .finished = true,
                                .participant = {},
                                .reason = "nothing is recorded of it: presumed aborted"};
}

// ---- the machine's actions -----------------------------------------------------------------------------------------

void Engine::feed(const LivePtr& one, const Event& event) {
  const State before = one->tx.state;
  const Actions actions = step(one->tx, event, to_us(world_.clock.wall()));
  if (before == State::active && one->tx.state != State::active) expiring_.erase({one->expires, one->tx.gtrid});
  // A try that failed is worth no write of its own.
  if (one->tx.state != State::active && !std::holds_alternative<NotTold>(event)) touch(one);
  count(one, before);
  for (const Action& action : actions) perform(one, action);
  one->changed.notify_all();
}

void Engine::touch(const LivePtr& one) {
  ++one->version;
  if (one->dirty) return;
  one->dirty = true;
  dirty_.push_back(one);
  if (dirty_.size() == 1) unsaved_.notify_all();
}

void Engine::perform(const LivePtr& one, const Action& action) {
  switch (action.what) {
    case Action::What::prepare:
      return tasks_.spawn("prepare", prepare(one, action.who));
    case Action::What::record_commit:
      return tasks_.spawn("record_commit", record_commit(one));
    case Action::What::tell:
      return tasks_.spawn("tell", tell(one, action.who));
    case Action::What::alarm: {
      const Participant& p = one->tx.participants[action.who];
      log::error("coordinator.heuristic", {{"gtrid", one->tx.gtrid},
                                           {"participant", p.id},
                                           {"decided", wire::to_string(*one->tx.decision)},
                                           {"found", action.found}});
      one->damages.push_back({.gtrid = one->tx.gtrid,
                              .participant = p.id,
                              .decided = std::string(wire::to_string(*one->tx.decision)),
                              .found = action.found,
                              .reason = "met while telling the decision",
                              .at_us = to_us(world_.clock.wall())});
      return;
    }
    case Action::What::decided:
    case Action::What::end:
      return;  // count() has seen it; who waits is woken by feed()
  }
}

void Engine::count(const LivePtr& one, State before) {
  const Transaction& tx = one->tx;
  const bool decided_now =
      tx.decision && (before == State::active || before == State::preparing || before == State::deciding);
  if (decided_now) {
    (*tx.decision == Decision::commit ? committed_ : aborted_).add();
    if (*tx.decision == Decision::abort) {
      log::info("coordinator.aborted", {{"gtrid", tx.gtrid}, {"participant", tx.refused_by}, {"reason", tx.reason}});
    }
    if (!one->unresolved) one->doubt_since = world_.clock.now();
    one->unresolved = false;
    in_doubt_.emplace(one->doubt_since, tx.gtrid);
  }
  if (tx.finished() && before != State::finished) {
    in_doubt_.erase({one->doubt_since, tx.gtrid});
    open_gauge_.add(-1);
    log::debug("coordinator.finished", {{"gtrid", tx.gtrid}, {"outcome", wire::to_string(tx.outcome())}});
  }
  doubt_gauge_.set(static_cast<double>(in_doubt_.size()));
}

asio::awaitable<void> Engine::prepare(LivePtr one, std::size_t who) {
  Event event = co_await calls_.prepare(one->tx.gtrid, who, one->tx.participants[who].url);
  if (++one->votes == 1) {
    const Result<void> reached = co_await world_.faults.reach("coordinator.after_first_prepare");
    if (!reached) event = Silent{who, reached.error().message};
  }
  feed(one, event);
}

asio::awaitable<void> Engine::tell(LivePtr one, std::size_t who) {
  const auto wanted = [&] {
    return (phase_ == Phase::running || phase_ == Phase::starting) && one->tx.participants[who].stage == Stage::told;
  };
  const Decision decision = *one->tx.decision;
  for (std::uint32_t retry = 0; wanted(); ++retry) {
    if (retry > 0) retries_.add();
    Event event = co_await calls_.notify(one->tx.gtrid, who, one->tx.participants[who].url, decision);
    if (std::holds_alternative<Acknowledged>(event)) {
      Result<void> reached = ok();
      if (++one->acknowledgements == 1) reached = co_await world_.faults.reach("coordinator.after_first_notify");
      if (reached && one->tx.unacknowledged() == 1) {
        reached = co_await world_.faults.reach("coordinator.after_last_notify");
      }
      if (!reached) event = NotTold{who, reached.error().message};
    }
    feed(one, event);
    const Monotonic next = world_.clock.now() + backoff_.delay(retry, world_.random);
    while (wanted() && world_.clock.now() < next) co_await one->changed.wait_until(next);
  }
}

/// The decision. It is made when the record is durable, and nobody is told before.
asio::awaitable<void> Engine::record_commit(LivePtr one) {
  Result<void> reached = co_await world_.faults.reach("coordinator.after_prepares");
  if (reached) reached = co_await world_.faults.reach("coordinator.before_decision");
  if (!reached) co_return feed(one, DecisionFailed{reached.error().message});
  Transaction decided = one->tx;
  step(decided, DecisionDurable{}, to_us(world_.clock.wall()));
  Result<void> written = co_await store_.record_commit(std::move(decided));
  heard(written);
  if (written) {
    const Result<void> told = co_await world_.faults.reach("coordinator.after_decision");
    if (told) co_return feed(one, DecisionDurable{});
    written = Error{Code::timeout, told.error().message};
  }
  log::error("coordinator.not_recorded", {{"gtrid", one->tx.gtrid}, {"error", written.error().to_string()}});
  if (certainly_not_stored(written.error().code)) {
    co_return feed(one, DecisionFailed{"the decision could not be recorded: " + written.error().message});
  }
  co_await resolve_commit(std::move(one));
}

/// The write was not answered: it may be there or come yet. Nobody is told anything until a second write has said
/// which, and has made the other impossible.
asio::awaitable<void> Engine::resolve_commit(LivePtr one) {
  one->unresolved = true;
  one->doubt_since = world_.clock.now();
  in_doubt_.emplace(one->doubt_since, one->tx.gtrid);
  for (std::uint32_t retry = 0; phase_ == Phase::running || phase_ == Phase::stopping; ++retry) {
    const DecisionFailed failed{"the decision's record was not answered, and is not there"};
    Transaction aborted = one->tx;
    step(aborted, failed, to_us(world_.clock.wall()));
    const Result<Decision> found = co_await store_.resolve_commit(std::move(aborted));
    if (found && *found == Decision::commit) co_return feed(one, DecisionDurable{});
    if (found) co_return feed(one, failed);
    heard(found.error());
    if (phase_ == Phase::stopping) co_return;  // a restart reads what is there
    co_await wake_.wait_until(world_.clock.now() + backoff_.delay(retry, world_.random));
  }
}

}  // namespace hf::coordinator
