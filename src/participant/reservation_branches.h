#pragma once

/// Branches without XA: nothing is held between the business call and prepare, and what prepare took is held as
/// reservation rows until commit or abort. One local transaction each, with the branch's row in it.
///
///   run      runs all work of the branch so far, and takes it back: the caller hears the reason at once
///   prepare  branch row `prepared`, then all work for good
///   end      branch row `committed` or `aborted`, then the service's settle
///
/// The database is the judge: two calls, two processes, a late one and an early one meet at the branch's row.

#include <map>

#include "participant/branch_turns.h"
#include "participant/branch_upkeep.h"

namespace hf::participant {

class ReservationBranches final : public Branches {
 public:
  ReservationBranches(sys::World world, sql::Database& database, BranchConfig config, Settle settle);

  Task<> start() override;
  const std::string& life() const override { return life_; }
  Task<> run(std::string gtrid, std::string payload, Work work) override;
  Task<Voted> prepare(std::string gtrid) override;
  Task<std::optional<Voted>> stored_vote(std::string gtrid) override;
  Task<Ended> end(std::string gtrid, wire::two_phase::Decision decision) override;
  Task<std::vector<InDoubt>> in_doubt() override { return store_.in_doubt(); }
  Task<std::vector<Heuristic>> heuristics() override { return store_.heuristics(); }
  Task<Ended> resolve(std::string gtrid, wire::two_phase::Decision decision, std::string reason) override;
  asio::awaitable<void> close() override { return upkeep_.stop(); }

 private:
  struct Open : OpenBranch {
    std::vector<Work> works;
  };
  Task<> try_out(std::string gtrid, std::vector<Work> works, bool& has_row);
  Task<Voted> prepare_open(std::string gtrid);
  Task<Voted> vote_aborted(std::string gtrid, std::string reason);
  Task<Ended> finish(std::string gtrid, BranchEvent event, std::string reason);
  asio::awaitable<void> expire();
  BranchState in_memory(const std::string& gtrid);
  std::int64_t now_us() const { return to_us(world_.clock.wall()); }

  sys::World world_;
  sql::Database& db_;
  const BranchConfig config_;
  const Settle settle_;
  const std::string life_;
  BranchStore store_;
  BranchTurns turns_;
  BranchCounters counters_;
  OpenBranches<Open> open_;
  BranchUpkeep upkeep_;
};

}  // namespace hf::participant
