#include "participant/xa_branches.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "participant/branch_end.h"
#include "participant/watched_transaction.h"

namespace hf::participant {
namespace {

using wire::two_phase::Decision;
using wire::two_phase::Vote;

constexpr Duration kLookPace = 5s;
constexpr std::uint32_t kAttachedTries = 4;  // about half a second; then the coordinator asks again

constexpr const char* kStuck =
    "the database server acknowledged XA COMMIT and did not do it; the branch keeps its locks until that server is "
    "restarted, and is committed then";

sql::XaResource& xa_of(sql::Database& database) {
  HF_ASSERT(database.xa() != nullptr);
  return *database.xa();
}

}  // namespace

XaBranches::XaBranches(sys::World world, sql::Database& database, BranchConfig config)
    : world_(std::move(world)),
      db_(database),
      xa_(xa_of(database)),
      config_(std::move(config)),
      life_(world_.random.hex(4)),
      store_(db_, config_.name),
      turns_(world_.clock),
      counters_(world_.metrics, config_.name),
      open_(config_, counters_.active),
      upkeep_(world_, store_, config_.keep_ended) {}

Task<> XaBranches::start() {
  HF_CO_TRY(check(config_));
  HF_CO_TRY(co_await store_.open());
  HF_CO_TRY(const std::vector<InDoubt> waiting, co_await in_doubt());
  log::info("participant.branches.open",
            {{"participant", config_.name}, {"database", db_.url()}, {"keeps", "xa"}, {"in_doubt", waiting.size()}});
  upkeep_.start([this] { return expire(); });
  co_return ok();
}

asio::awaitable<void> XaBranches::close() {
  co_await upkeep_.stop();
  open_.clear();      // closes their connections: the server rolls back
  prepared_.clear();  // the same, and these stay
}

/// The caller has the turn, so what is returned stays where it is.
Task<XaBranches::Open*> XaBranches::open(std::string gtrid) {
  HF_CO_TRY(Open* const open, open_.open(gtrid, world_.clock.now()));
  if (open->branch) co_return open;
  HF_CO_TRY(const auto row, co_await store_.find(gtrid));
  if (row) {
    open_.forget(gtrid);
    co_return Error{Code::conflict, fmt::format("this branch is {}", to_string(row->state))};
  }
  sql::Xid id = xid(gtrid);
  Result<std::unique_ptr<sql::XaBranch>> started = co_await xa_.start(std::move(id));
  if (started) {
    open->branch = std::move(*started);
    co_return open;
  }
  if (started.error().code == Code::conflict) {
    open_.forget(gtrid);
    co_return Error{Code::conflict, "this branch is prepared"};
  }
  co_return started.error();
}

Task<> XaBranches::run(std::string gtrid, std::string, Work work) {
  HF_CO_TRY(wire::two_phase::check_transaction_id(gtrid));
  const BranchTurns::Turn turn = co_await turns_.take(gtrid);
  const Result<Open*> branch = co_await open(gtrid);
  const Result<void> done = branch ? co_await work_in(**branch, gtrid, std::move(work)) : branch.error();
  // Whatever it was: the caller was told that this work is not in the branch, and may hide it. It must not commit.
  if (!done && open_.find(gtrid) != nullptr) co_await fail(gtrid, done.error().message);
  co_return done;
}

Task<> XaBranches::work_in(Open& open, std::string gtrid, Work work) {
  bool wrote = false;
  std::function<Result<void>(sql::Transaction&)> unit = [&](sql::Transaction& tx) -> Result<void> {
    WatchedTransaction watched(tx);
    const Result<void> answered = work({watched, gtrid, Keeps::xa});
    wrote = watched.wrote();
    return watched.verdict(answered);
  };
  HF_CO_TRY(co_await open.branch->run(std::move(unit)));
  open.wrote = open.wrote || wrote;
  co_return ok();
}

/// Frees locks and connection now; that it failed is remembered until the branch is prepared or aborted.
asio::awaitable<void> XaBranches::fail(std::string gtrid, std::string reason) {
  Open& open = *open_.find(gtrid);
  if (open.failed) co_return;
  open.failed = true;
  open.reason = std::move(reason);
  const std::unique_ptr<sql::XaBranch> branch = std::move(open.branch);
  if (branch) (void)co_await branch->roll_back();
}

Task<Voted> XaBranches::prepare(std::string gtrid) {
  HF_CO_TRY(wire::two_phase::check_transaction_id(gtrid));
  const BranchTurns::Turn turn = co_await turns_.take(gtrid);
  if (open_.has_voted_read_only(gtrid)) co_return Voted{Vote::read_only};
  Open* const found = open_.find(gtrid);
  if (found == nullptr) {
    HF_CO_TRY(std::optional<Voted> stored, co_await stored_vote(gtrid));
    if (!stored) co_return Error{Code::not_found, std::string(wire::two_phase::kTransactionUnknown)};
    co_return std::move(*stored);
  }
  if (found->failed) co_return co_await vote_aborted(gtrid, found->reason);
  const Result<Voted> voted = co_await prepare_open(gtrid, *found);
  if (voted && voted->vote == Vote::aborted) {
    co_await fail(gtrid, voted->reason);
    co_return co_await vote_aborted(gtrid, voted->reason);
  }
  if (voted && voted->vote == Vote::prepared) prepared_[gtrid] = {std::move(found->branch), now_us()};
  // Without an answer it may be prepared: the next question looks at the server.
  open_.forget(gtrid);
  if (!voted) co_return voted.error();
  if (voted->vote == Vote::read_only) open_.voted_read_only(gtrid);
  counters_.count(voted->vote);
  co_return voted;
}

Task<Voted> XaBranches::prepare_open(std::string gtrid, Open& open) {
  if (!open.wrote) {
    // Prepared, it would be lost at the first disconnect (1402); there is nothing to keep.
    (void)co_await open.branch->roll_back();
    co_return Voted{Vote::read_only};
  }
  std::function<Result<void>(sql::Transaction&)> mark = [&](sql::Transaction& tx) {
    return BranchStore::insert(tx, store_.key(gtrid), {BranchState::committed, {}, life_, {}, now_us()});
  };
  if (const Result<void> marked = co_await open.branch->run(std::move(mark)); !marked) {
    co_return Voted{Vote::aborted, marked.error().message, {}};
  }
  const Result<sql::XaVote> vote = co_await open.branch->prepare();
  if (vote) co_return Voted{*vote == sql::XaVote::prepared ? Vote::prepared : Vote::read_only, {}, life_};
  if (vote.error().code == Code::timeout) co_return vote.error();
  co_return Voted{Vote::aborted, vote.error().message, {}};
}

Task<Voted> XaBranches::vote_aborted(std::string gtrid, std::string reason) {
  HF_CO_TRY(const StoredBranch row, co_await store_.leave_tombstone(gtrid, std::move(reason), now_us()));
  open_.forget(gtrid);
  Voted voted = voted_as(row);
  counters_.count(voted.vote);
  co_return voted;
}

Task<std::optional<Voted>> XaBranches::stored_vote(std::string gtrid) {
  HF_CO_TRY(const auto row, co_await store_.find_durable(gtrid));
  if (row) co_return std::optional<Voted>(voted_as(*row));
  HF_CO_TRY(const std::vector<std::string> prepared, co_await listed());
  if (std::ranges::find(prepared, gtrid) == prepared.end()) co_return std::optional<Voted>();
  // Whose vote it is, the server does not tell.
  co_return std::optional<Voted>(Voted{Vote::prepared, {}, prepared_.contains(gtrid) ? life_ : std::string()});
}

/// Ours alone: a branch of another participant, or of another program on the same server, is not touched.
Task<std::vector<std::string>> XaBranches::listed() {
  HF_CO_TRY(const std::vector<sql::Xid> all, co_await xa_.recover());
  std::vector<std::string> ours;
  for (const sql::Xid& one : all) {
    if (one.bqual == config_.name) ours.push_back(one.gtrid);
  }
  co_return ours;
}

Task<std::vector<InDoubt>> XaBranches::in_doubt() {
  HF_CO_TRY(std::vector<std::string> ours, co_await listed());
  std::vector<std::string> rejected;
  if (!ours.empty()) {
    HF_CO_TRY(rejected, co_await store_.tombstones_among(ours));
  }
  std::vector<InDoubt> all;
  for (const std::string& gtrid : ours) {
    if (std::ranges::find(rejected, gtrid) != rejected.end()) continue;  // we voted no: roll_back_rejected()
    const auto known = prepared_.find(gtrid);
    all.push_back({gtrid, known == prepared_.end() ? 0 : known->second.at_us});
  }
  co_return all;
}

Task<Ended> XaBranches::end(std::string gtrid, Decision decision) {
  return finish(std::move(gtrid), event_of(decision), {});
}

Task<Ended> XaBranches::resolve(std::string gtrid, Decision decision, std::string reason) {
  return finish(std::move(gtrid), operator_event_of(decision), std::move(reason));
}

Task<Ended> XaBranches::finish(std::string gtrid, BranchEvent event, std::string reason) {
  HF_CO_TRY(wire::two_phase::check_transaction_id(gtrid));
  const BranchTurns::Turn turn = co_await turns_.take(gtrid);
  BranchState state = BranchState::lost;
  if (const Open* const found = open_.find(gtrid)) {
    state = found->state();
    if (decide(state, event).step == BranchStep::tombstone) co_await fail(gtrid, "told to abort");
  } else {
    if (is_operator(event)) HF_CO_TRY(co_await record_order(gtrid, event, reason));
    HF_CO_TRY(const Finish met, co_await finish_at_server(gtrid, decision_of(event)));
    if (met == Finish::done) state = BranchState::prepared;
  }
  HF_CO_TRY(const BranchMove move, co_await note_end(gtrid, {state, event, {}, std::move(reason), now_us()}));
  if (move.step != BranchStep::nothing) open_.forget(gtrid);
  if (move.next == BranchState::committed || move.next == BranchState::aborted) prepared_.erase(gtrid);
  counters_.count(move.step, move.answer);
  co_return ended_as(event, move.answer);
}

/// An operator's word is on record before it is carried out. Errors: not_found, conflict: there is nothing to decide.
Task<> XaBranches::record_order(std::string gtrid, BranchEvent event, std::string reason) {
  HF_CO_TRY(const std::optional<Voted> stored, co_await stored_vote(gtrid));
  if (!stored) co_return Error{Code::not_found, "there is no such branch"};
  if (stored->vote != Vote::prepared) co_return Error{Code::conflict, "this branch is not in doubt"};
  const BranchMove move = decide(BranchState::prepared, event);
  const EndRecord order{BranchState::prepared, event, move, std::move(reason), now_us()};
  std::function<Result<bool>(sql::Transaction&)> unit = [&](sql::Transaction& tx) {
    return keep_record(tx, store_.key(gtrid), order);
  };
  HF_CO_TRY(co_await db_.write<bool>(std::move(unit)));
  co_return ok();
}

/// XA COMMIT or XA ROLLBACK of what is prepared. Errors: the server did not answer, its owner stays connected, or it is
/// stuck. The caller has the turn, so what is found in `prepared_` stays where it is.
Task<XaBranches::Finish> XaBranches::finish_at_server(std::string gtrid, Decision decision) {
  const auto own = prepared_.find(gtrid);
  if (own != prepared_.end() && own->second.branch) co_return co_await finish_on_own_session(own->second, decision);
  if (stuck_.contains(gtrid)) HF_CO_TRY(co_await look_at_stuck(gtrid));
  co_return co_await finish_on_another(std::move(gtrid), decision);
}

Task<XaBranches::Finish> XaBranches::finish_on_own_session(Prepared& own, Decision decision) {
  const bool commit = decision == Decision::commit;
  const Result<sql::XaEnd> met = co_await (commit ? own.branch->commit_prepared() : own.branch->roll_back_prepared());
  if (!own.branch->attached()) own.branch.reset();
  if (!met) co_return met.error();
  co_return *met == sql::XaEnd::done ? Finish::done : Finish::not_there;
}

Task<XaBranches::Finish> XaBranches::finish_on_another(std::string gtrid, Decision decision) {
  for (std::uint32_t tried = 0;; ++tried) {
    sql::Xid id = xid(gtrid);
    const bool commit = decision == Decision::commit;
    HF_CO_TRY(const sql::XaEnd met, co_await (commit ? xa_.commit(std::move(id)) : xa_.roll_back(std::move(id))));
    if (met == sql::XaEnd::done) co_return Finish::done;
    if (met != sql::XaEnd::attached) co_return Finish::not_there;
    if (tried == kAttachedTries) {
      co_return Error{Code::unavailable, "the connection that prepared the branch is still open at the server"};
    }
    co_await world_.clock.sleep_for(attached_backoff_.delay(tried, world_.random));
  }
}

/// Errors: unavailable: it still is.
Task<> XaBranches::look_at_stuck(std::string gtrid) {
  HF_CO_TRY(const auto row, co_await store_.find(gtrid));
  HF_CO_TRY(const std::vector<std::string> prepared, co_await listed());
  if (!row && std::ranges::find(prepared, gtrid) == prepared.end()) co_return Error{Code::unavailable, kStuck};
  stuck_.erase(gtrid);
  co_return ok();
}

/// Completes the row: the marker is there once the branch is committed; what is aborted gets its tombstone here, which
/// waits for whoever still has a row of that key under way.
/// `end.state` is what memory or the server said (prepared: the server has just done it); our row knows better than
/// `lost`, and than a server that says it committed. Errors: unavailable: it has not.
Task<BranchMove> XaBranches::note_end(std::string gtrid, EndRecord end) {
  using Done = std::pair<BranchMove, bool>;
  bool stuck = false;
  std::function<Result<Done>(sql::Transaction&)> unit = [&](sql::Transaction& tx) -> Result<Done> {
    const BranchStore::Key key = store_.key(gtrid);
    HF_TRY(const auto row, BranchStore::find(tx, key));
    EndRecord seen = end;
    if (row && end.state == BranchState::lost) seen.state = row->state;
    seen.move = decide(seen.state, end.event);
    stuck = !row && seen.move.step == BranchStep::commit;
    if (stuck) return Error{Code::unavailable, kStuck};
    HF_TRY(const bool news, keep_record(tx, key, seen));
    if (seen.move.next == BranchState::aborted && !row) {
      HF_TRY(BranchStore::insert(tx, key, {BranchState::aborted, {}, {}, "told to abort", end.now_us}));
    }
    return Done{seen.move, news};
  };
  const Result<Done> done = co_await db_.write<Done>(std::move(unit));
  if (stuck && stuck_.insert(gtrid).second) {
    counters_.stuck.add();
    log::error("participant.branch.stuck", {{"participant", config_.name}, {"gtrid", gtrid}, {"error", kStuck}});
  }
  if (!done) co_return done.error();
  if (done->second) tell_heuristic(counters_, config_.name, gtrid, end.event, done->first);
  co_return done->first;
}

asio::awaitable<void> XaBranches::expire() {
  const std::vector<std::string> due = open_.expired(world_.clock.now());
  for (const std::string& gtrid : due) {
    const BranchTurns::Turn turn = co_await turns_.take(gtrid);
    if (open_.find(gtrid) == nullptr) continue;
    constexpr const char* kWhy = "no prepare came in time";
    co_await fail(gtrid, kWhy);
    // It has not voted. The row keeps a late call from opening half a branch.
    const Result<StoredBranch> row = co_await store_.leave_tombstone(gtrid, kWhy, now_us());
    if (!row) continue;  // again in a second
    open_.forget(gtrid);
    counters_.expired.add();
    log::info("participant.branch.expired", {{"participant", config_.name}, {"gtrid", gtrid}});
  }
  if (world_.clock.now() < look_at_) co_return;
  look_at_ = world_.clock.now() + kLookPace;
  co_await roll_back_rejected();
}

/// A PREPARE whose answer was lost may be carried out after we looked for it and voted no. Nobody will ever commit it.
asio::awaitable<void> XaBranches::roll_back_rejected() {
  const Result<std::vector<std::string>> ours = co_await listed();
  if (!ours || ours->empty()) co_return;
  const Result<std::vector<std::string>> rejected = co_await store_.tombstones_among(*ours);
  if (!rejected) co_return;
  for (const std::string& gtrid : *rejected) {
    sql::Xid id = xid(gtrid);
    const Result<sql::XaEnd> met = co_await xa_.roll_back(std::move(id));
    if (met && *met == sql::XaEnd::done) {
      log::warn("participant.branch.late_prepare", {{"participant", config_.name}, {"gtrid", gtrid}});
    }
  }
}

std::unique_ptr<Branches> make_xa_branches(sys::World world, sql::Database& database, BranchConfig config) {
  return std::make_unique<XaBranches>(std::move(world), database, std::move(config));
}

}  // namespace hf::participant
