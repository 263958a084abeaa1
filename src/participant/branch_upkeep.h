#pragma once

/// What both kinds of branches count, and what they do by themselves: active branches whose prepare never came are
/// given up, ended rows are deleted after their time. A prepared branch is never touched from here.

#include <deque>
#include <functional>
#include <unordered_set>

#include "participant/branch_store.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::participant {

struct BranchCounters {
  BranchCounters(metrics::Registry& registry, const std::string& participant);
  metrics::Counter &prepared, &read_only, &vote_aborted, &committed, &aborted, &expired, &heuristic, &stuck;
  metrics::Gauge& active;

  void count(wire::two_phase::Vote vote);
  void count(BranchStep step, BranchAnswer answer);
};

/// Errors: invalid, naming the field.
Result<void> check(const BranchConfig& config);

/// Starts a branch's life in memory; what is shared by both kinds.
struct OpenBranch {
  bool failed = false;
  std::string reason;  ///< of a failed one
  std::string payload_hash;
  Monotonic expires{};
  BranchState state() const { return failed ? BranchState::failed : BranchState::active; }
};
/// Of all payloads of a branch, in their order.
std::string chain_hash(const std::string& before, std::string_view payload);

/// The last thousand ids of some kind, where nothing is stored of them.
class RecentIds {
 public:
  void add(const std::string& gtrid);
  void remove(const std::string& gtrid) { ids_.erase(gtrid); }
  bool contains(const std::string& gtrid) const { return ids_.contains(gtrid); }

 private:
  std::unordered_set<std::string> ids_;
  std::deque<std::string> order_;
};

/// A task that runs `expire` each second and deletes old rows. Strand only; stop() before it is destroyed.
class BranchUpkeep {
 public:
  using Expire = std::function<asio::awaitable<void>()>;
  BranchUpkeep(sys::World world, BranchStore& store, Duration keep_ended);
  void start(Expire expire);
  asio::awaitable<void> stop();

 private:
  asio::awaitable<void> run();
  asio::awaitable<void> purge();

  sys::World world_;
  BranchStore& store_;
  const Duration keep_ended_;
  Expire expire_;
  sys::Event stopped_;
  bool stopping_ = false;
  sys::TaskGroup tasks_;
};

}  // namespace hf::participant
