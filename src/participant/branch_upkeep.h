#pragma once

/// What both kinds of branches count, and what they do by themselves: active branches whose prepare never came are
/// given up, ended rows are deleted after their time. A prepared branch is never touched from here.

#include <fmt/format.h>

#include <deque>
#include <functional>
#include <map>
#include <unordered_set>

#include "participant/branch_machine.h"
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

/// The branches of one kind that are active in memory, and what is remembered of those that are not any more. A branch
/// stays where it is until forget(). Strand only.
template <class Open>  // an OpenBranch
class OpenBranches {
 public:
  OpenBranches(const BranchConfig& config, metrics::Gauge& active) : config_(config), active_(active) {}

  /// The branch of `gtrid`, made if there is none. Errors: conflict (it failed, it has voted, a call in it was refused)
  /// · exhausted (too many are open; from then on the transaction is refused).
  Result<Open*> open(const std::string& gtrid, Monotonic now) {
    if (Open* const known = find(gtrid)) {
      if (decide(known->state(), BranchEvent::run).step == BranchStep::work) return known;
      return Error{Code::conflict, "this branch has failed: " + known->reason};
    }
    if (read_only_.contains(gtrid)) return Error{Code::conflict, "this branch has voted"};
    if (refused_.contains(gtrid)) return Error{Code::conflict, "a call in this transaction was refused"};
    if (all_.size() >= config_.open_max) {
      refused_.add(gtrid);
      return Error{Code::exhausted, fmt::format("{} branches are open at once", all_.size())};
    }
    Open fresh;
    fresh.expires = now + config_.active_max;
    Open& made = all_.emplace(gtrid, std::move(fresh)).first->second;
    active_.set(static_cast<double>(all_.size()));
    return &made;
  }
  Open* find(const std::string& gtrid) {
    const auto found = all_.find(gtrid);
    return found == all_.end() ? nullptr : &found->second;
  }
  void forget(const std::string& gtrid) {
    all_.erase(gtrid);
    active_.set(static_cast<double>(all_.size()));
  }
  void clear() { all_.clear(); }
  std::vector<std::string> expired(Monotonic now) const {
    std::vector<std::string> due;
    for (const auto& [gtrid, branch] : all_) {
      if (branch.expires <= now) due.push_back(gtrid);
    }
    return due;
  }

  /// Nothing is stored of such a vote; a repeated prepare gets the same answer.
  void voted_read_only(const std::string& gtrid) { read_only_.add(gtrid); }
  bool has_voted_read_only(const std::string& gtrid) const { return read_only_.contains(gtrid); }

 private:
  const BranchConfig& config_;
  metrics::Gauge& active_;
  std::map<std::string, Open> all_;
  RecentIds read_only_;
  RecentIds refused_;  ///< for want of room: nothing else of that transaction may be taken
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
