#include "participant/reservation_branches.h"

#include <fmt/format.h>

#include "base/log.h"
#include "participant/branch_end.h"
#include "participant/watched_transaction.h"

namespace hf::participant {
namespace {

using wire::two_phase::Decision;
using wire::two_phase::Vote;

constexpr std::size_t kWorksMax = 64;  // business calls in one branch

/// All of it in one unit. `wrote`: something changed.
Result<void> run_all(sql::Transaction& tx, const std::string& gtrid, const std::vector<Work>& works, bool& wrote) {
  for (const Work& work : works) {
    WatchedTransaction watched(tx);
    const Result<void> answered = work({watched, gtrid, Keeps::reservation});
    HF_TRY(watched.verdict(answered));
    wrote = wrote || watched.wrote();
  }
  return ok();
}

Error taken_back() { return {Code::conflict, "tried, and taken back"}; }

/// The database did not do it, and may do it later: nothing about the work itself.
bool is_passing(const Error& error) {
  return error.code == Code::unavailable || error.code == Code::exhausted || error.code == Code::timeout;
}

}  // namespace

ReservationBranches::ReservationBranches(sys::World world, sql::Database& database, BranchConfig config, Settle settle)
    : world_(std::move(world)),
      db_(database),
      config_(std::move(config)),
      settle_(std::move(settle)),
      life_(world_.random.hex(4)),
      store_(db_, config_.name),
      turns_(world_.clock),
      counters_(world_.metrics, config_.name),
      open_(config_, counters_.active),
      upkeep_(world_, store_, config_.keep_ended) {}

Task<> ReservationBranches::start() {
  HF_CO_TRY(check(config_));
  HF_CO_TRY(co_await store_.open());
  HF_CO_TRY(const std::vector<InDoubt> waiting, co_await store_.in_doubt());
  log::info("participant.branches.open", {{"participant", config_.name},
                                          {"database", db_.url()},
                                          {"keeps", "reservations"},
                                          {"in_doubt", waiting.size()}});
  upkeep_.start([this] { return expire(); });
  co_return ok();
}

BranchState ReservationBranches::in_memory(const std::string& gtrid) {
  const Open* const branch = open_.find(gtrid);
  return branch == nullptr ? BranchState::absent : branch->state();
}

Task<> ReservationBranches::run(std::string gtrid, std::string payload, Work work) {
  HF_CO_TRY(wire::two_phase::check_transaction_id(gtrid));
  const BranchTurns::Turn turn = co_await turns_.take(gtrid);
  HF_CO_TRY(Open* const branch, open_.open(gtrid, world_.clock.now()));  // stays where it is while we have the turn
  if (branch->works.size() >= kWorksMax) co_return Error{Code::exhausted, "too many calls in one transaction"};
  std::vector<Work> works = branch->works;
  works.push_back(work);
  bool has_row = false;
  const Result<void> tried = co_await try_out(gtrid, std::move(works), has_row);
  if (!tried && has_row && branch->works.empty()) {
    open_.forget(gtrid);  // it is past that: the row says what it is, and this call is no part of it
    co_return tried.error();
  }
  if (!tried) {
    // Whatever it was: the caller was told that this work is not in the branch, and may hide it. It must not commit.
    branch->failed = true;
    branch->reason = tried.error().message;
    branch->works.clear();
    co_return tried.error();
  }
  branch->payload_hash = chain_hash(branch->payload_hash, payload);
  branch->works.push_back(std::move(work));
  co_return ok();
}

/// Runs them and takes everything back. Errors: the work's; conflict (the branch has a row already); the database's.
Task<> ReservationBranches::try_out(std::string gtrid, std::vector<Work> works, bool& has_row) {
  std::optional<Result<void>> outcome;
  std::function<Result<void>(sql::Transaction&)> unit = [&](sql::Transaction& tx) -> Result<void> {
    outcome.reset();
    HF_TRY(const auto row, BranchStore::find(tx, store_.key(gtrid)));
    has_row = row.has_value();
    bool wrote = false;
    outcome = row ? Error{Code::conflict, fmt::format("this branch is {}", to_string(row->state))}
                  : run_all(tx, gtrid, works, wrote);
    return taken_back();
  };
  const Result<void> done = co_await db_.write(std::move(unit));
  if (outcome) co_return std::move(*outcome);
  HF_ASSERT(!done);
  co_return done.error();
}

Task<Voted> ReservationBranches::prepare(std::string gtrid) {
  HF_CO_TRY(wire::two_phase::check_transaction_id(gtrid));
  const BranchTurns::Turn turn = co_await turns_.take(gtrid);
  if (open_.has_voted_read_only(gtrid)) co_return Voted{Vote::read_only};
  const Open* const found = open_.find(gtrid);
  if (found == nullptr) {
    HF_CO_TRY(std::optional<Voted> stored, co_await stored_vote(gtrid));
    if (!stored) co_return Error{Code::not_found, std::string(wire::two_phase::kTransactionUnknown)};
    co_return std::move(*stored);
  }
  if (found->failed) co_return co_await vote_aborted(gtrid, found->reason);
  HF_CO_TRY(Voted voted, co_await prepare_open(gtrid));
  if (voted.vote == Vote::aborted) co_return co_await vote_aborted(gtrid, voted.reason);
  if (voted.vote == Vote::read_only) open_.voted_read_only(gtrid);
  open_.forget(gtrid);
  counters_.count(voted.vote);
  co_return voted;
}

/// Branch row and work in one local transaction. The row comes first: whoever comes second waits, or sees it.
Task<Voted> ReservationBranches::prepare_open(std::string gtrid) {
  const Open& branch = *open_.find(gtrid);
  std::optional<Voted> verdict;  // of a unit that was taken back
  std::function<Result<Voted>(sql::Transaction&)> unit = [&](sql::Transaction& tx) -> Result<Voted> {
    verdict.reset();
    const BranchStore::Key key = store_.key(gtrid);
    HF_TRY(const auto row, BranchStore::find(tx, key));
    if (row) {
      if (row->state != BranchState::aborted && row->payload_hash != branch.payload_hash) {
        return Error{Code::conflict, "this branch was prepared with another request"};
      }
      return voted_as(*row);
    }
    HF_TRY(BranchStore::insert(tx, key, {BranchState::prepared, branch.payload_hash, life_, {}, now_us()}));
    bool wrote = false;
    if (const Result<void> ran = run_all(tx, gtrid, branch.works, wrote); !ran) {
      if (!is_passing(ran.error())) verdict = Voted{Vote::aborted, ran.error().message, {}};
      return ran.error();
    }
    if (wrote) return Voted{Vote::prepared, {}, life_};
    verdict = Voted{Vote::read_only};
    return taken_back();
  };
  Result<Voted> done = co_await db_.write<Voted>(std::move(unit));
  if (!done && verdict) co_return std::move(*verdict);
  co_return done;
}

/// A vote against it needs no promise from us, but the row keeps a late call out.
Task<Voted> ReservationBranches::vote_aborted(std::string gtrid, std::string reason) {
  HF_CO_TRY(const StoredBranch row, co_await store_.leave_tombstone(gtrid, std::move(reason), now_us()));
  open_.forget(gtrid);
  Voted voted = voted_as(row);
  counters_.count(voted.vote);
  co_return voted;
}

Task<std::optional<Voted>> ReservationBranches::stored_vote(std::string gtrid) {
  HF_CO_TRY(const auto row, co_await store_.find_durable(std::move(gtrid)));
  co_return row ? std::optional<Voted>(voted_as(*row)) : std::nullopt;
}

Task<Ended> ReservationBranches::end(std::string gtrid, Decision decision) {
  return finish(std::move(gtrid), event_of(decision), {});
}

Task<Ended> ReservationBranches::resolve(std::string gtrid, Decision decision, std::string reason) {
  return finish(std::move(gtrid), operator_event_of(decision), std::move(reason));
}

Task<Ended> ReservationBranches::finish(std::string gtrid, BranchEvent event, std::string reason) {
  HF_CO_TRY(wire::two_phase::check_transaction_id(gtrid));
  const BranchTurns::Turn turn = co_await turns_.take(gtrid);
  const BranchState memory = in_memory(gtrid);
  using Done = std::pair<BranchMove, bool>;  // what was done, and whether it is news that it went against the decision
  std::function<Result<Done>(sql::Transaction&)> unit = [&](sql::Transaction& tx) -> Result<Done> {
    const BranchStore::Key key = store_.key(gtrid);
    HF_TRY(const auto row, BranchStore::find(tx, key));
    const BranchState state = row ? row->state : memory;
    const BranchMove move = decide(state, event);
    HF_TRY(const bool news, keep_record(tx, key, {state, event, move, reason, now_us()}));
    if (move.step == BranchStep::tombstone) {
      HF_TRY(BranchStore::insert(tx, key, {BranchState::aborted, {}, {}, "told to abort", now_us()}));
    }
    if (move.step == BranchStep::commit || move.step == BranchStep::roll_back) {
      HF_TRY(BranchStore::change(tx, key, move.next, now_us()));
      HF_TRY(settle_({tx, gtrid, Keeps::reservation}, decision_of(event)));
    }
    return Done{move, news};
  };
  HF_CO_TRY(const Done done, co_await db_.write<Done>(std::move(unit)));
  const auto& [move, news] = done;
  if (move.step == BranchStep::tombstone) open_.forget(gtrid);
  counters_.count(move.step, move.answer);
  if (news) tell_heuristic(counters_, config_.name, gtrid, event, move);
  co_return ended_as(event, move.answer);
}

asio::awaitable<void> ReservationBranches::expire() {
  const std::vector<std::string> due = open_.expired(world_.clock.now());
  for (const std::string& gtrid : due) {
    const BranchTurns::Turn turn = co_await turns_.take(gtrid);
    if (open_.find(gtrid) == nullptr) continue;
    // It has not voted. The row keeps a late call from opening half a branch.
    const Result<StoredBranch> row = co_await store_.leave_tombstone(gtrid, "no prepare came in time", now_us());
    if (!row) continue;  // again in a second
    open_.forget(gtrid);
    counters_.expired.add();
    log::info("participant.branch.expired", {{"participant", config_.name}, {"gtrid", gtrid}});
  }
}

std::unique_ptr<Branches> make_reservation_branches(sys::World world, sql::Database& database, BranchConfig config,
                                                    Settle settle) {
  return std::make_unique<ReservationBranches>(std::move(world), database, std::move(config), std::move(settle));
}

}  // namespace hf::participant
