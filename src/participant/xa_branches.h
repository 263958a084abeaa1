#pragma once

/// Branches by XA: the work runs in the branch at the business call and keeps its row locks until the end.
///
///   run      XA START at the first call, then the work, each call on the branch's own connection
///   prepare  marker row (`committed`, visible to others only once the branch is), XA END, XA PREPARE
///   end      XA COMMIT or XA ROLLBACK, on the session that prepared it, or, if that is gone, on another; after a
///            rollback a tombstone row in a local transaction of its own
///
/// What XA COMMIT met, and what it means (docs/protocols/two-phase-commit.md, the completion table):
///
///   done, and our row is there                  committed
///   done, and our row is not there              the server has not done it (sql/xa.h): stuck until it is restarted
///   attached (1397, listed by XA RECOVER)       its owner is still connected: again, with back-off
///   absent (1397, not listed), rolled_back      our row decides: `committed` → it was; `aborted`, or none → damage
///
/// The marker and the tombstone have the same key, so a late call of an aborted branch cannot vote.

#include <map>
#include <set>

#include "net/backoff.h"
#include "participant/branch_end.h"
#include "participant/branch_turns.h"
#include "participant/branch_upkeep.h"
#include "sql/xa.h"

namespace hf::participant {

class XaBranches final : public Branches {
 public:
  XaBranches(sys::World world, sql::Database& database, BranchConfig config);

  Task<> start() override;
  const std::string& life() const override { return life_; }
  Task<> run(std::string gtrid, std::string payload, Work work) override;
  Task<Voted> prepare(std::string gtrid) override;
  Task<std::optional<Voted>> stored_vote(std::string gtrid) override;
  Task<Ended> end(std::string gtrid, wire::two_phase::Decision decision) override;
  Task<std::vector<InDoubt>> in_doubt() override;
  Task<std::vector<Heuristic>> heuristics() override { return store_.heuristics(); }
  Task<Ended> resolve(std::string gtrid, wire::two_phase::Decision decision, std::string reason) override;
  asio::awaitable<void> close() override;

 private:
  struct Open : OpenBranch {
    std::unique_ptr<sql::XaBranch> branch;  ///< none once it failed: its locks are freed at once
    bool wrote = false;
  };
  struct Prepared {
    std::unique_ptr<sql::XaBranch> branch;  ///< none: its session is gone
    std::int64_t at_us = 0;                 ///< XA RECOVER tells no age
  };
  /// How a prepared branch ended at the server.
  enum class Finish { done, not_there };

  Task<Open*> open(std::string gtrid);
  asio::awaitable<void> fail(std::string gtrid, std::string reason);
  Task<> work_in(Open& open, std::string gtrid, Work work);
  Task<Voted> prepare_open(std::string gtrid, Open& open);
  Task<Voted> vote_aborted(std::string gtrid, std::string reason);
  Task<Ended> finish(std::string gtrid, BranchEvent event, std::string reason);
  Task<Finish> finish_at_server(std::string gtrid, wire::two_phase::Decision decision);
  Task<Finish> finish_on_own_session(Prepared& own, wire::two_phase::Decision decision);
  Task<Finish> finish_on_another(std::string gtrid, wire::two_phase::Decision decision);
  Task<> look_at_stuck(std::string gtrid);
  Task<> record_order(std::string gtrid, BranchEvent event, std::string reason);
  Task<BranchMove> note_end(std::string gtrid, EndRecord end);
  Task<std::vector<std::string>> listed();
  asio::awaitable<void> expire();
  asio::awaitable<void> roll_back_rejected();
  sql::Xid xid(std::string gtrid) const { return {std::move(gtrid), config_.name}; }
  std::int64_t now_us() const { return to_us(world_.clock.wall()); }

  sys::World world_;
  sql::Database& db_;
  sql::XaResource& xa_;
  const BranchConfig config_;
  const net::Backoff attached_backoff_{.first = 100ms, .max = 400ms};
  const std::string life_;
  BranchStore store_;
  BranchTurns turns_;
  BranchCounters counters_;
  OpenBranches<Open> open_;
  std::map<std::string, Prepared> prepared_;  ///< by this process
  std::set<std::string> stuck_;  ///< said to be committed, and are not: not asked for again until they are listed
  Monotonic look_at_{};          ///< next time for roll_back_rejected()
  BranchUpkeep upkeep_;
};

}  // namespace hf::participant
