#include "participant/branch_upkeep.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "net/crypto.h"

namespace hf::participant {
namespace {

namespace two_phase = wire::two_phase;

constexpr std::size_t kNameMax = 32, kRecentMax = 1024;
constexpr Duration kPace = 1s, kPurgePace = 60s;

metrics::Counter& outcome(metrics::Registry& registry, const std::string& participant, const std::string& outcome) {
  return registry.counter("holdfast_participant_branches_total", "Branches of global transactions, by what they did",
                          {{"participant", participant}, {"outcome", outcome}});
}

}  // namespace

BranchCounters::BranchCounters(metrics::Registry& registry, const std::string& participant)
    : prepared(outcome(registry, participant, "prepared")),
      read_only(outcome(registry, participant, "read_only")),
      vote_aborted(outcome(registry, participant, "vote_aborted")),
      committed(outcome(registry, participant, "committed")),
      aborted(outcome(registry, participant, "aborted")),
      expired(outcome(registry, participant, "expired")),
      heuristic(outcome(registry, participant, "heuristic")),
      stuck(outcome(registry, participant, "stuck")),
      active(registry.gauge("holdfast_participant_active_branches", "Branches that have not voted yet",
                            {{"participant", participant}})) {}

void BranchCounters::count(two_phase::Vote vote) {
  if (vote == two_phase::Vote::prepared) prepared.add();
  if (vote == two_phase::Vote::read_only) read_only.add();
  if (vote == two_phase::Vote::aborted) vote_aborted.add();
}

void BranchCounters::count(BranchStep step, BranchAnswer answer) {
  if (step == BranchStep::nothing) return;
  if (answer == BranchAnswer::committed) committed.add();
  if (answer == BranchAnswer::aborted) aborted.add();
}

Result<void> check(const BranchConfig& config) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (config.name.empty() || config.name.size() > kNameMax || !std::ranges::all_of(config.name, allowed)) {
    return Error{Code::invalid, "a participant's name has 1 to 32 of a-z, 0-9 and '-', not \"" + config.name + "\""};
  }
  if (config.open_max == 0) return Error{Code::invalid, "open_max must be at least 1"};
  if (config.active_max <= 0s || config.keep_ended <= 0s) {
    return Error{Code::invalid, "active_max and keep_ended must be longer than nothing"};
  }
  return ok();
}

std::string chain_hash(const std::string& before, std::string_view payload) {
  return hex(as_bytes(net::sha256(before + net::sha256(payload))));
}

void RecentIds::add(const std::string& gtrid) {
  if (!ids_.insert(gtrid).second) return;
  order_.push_back(gtrid);
  if (order_.size() <= kRecentMax) return;
  ids_.erase(order_.front());
  order_.pop_front();
}

BranchUpkeep::BranchUpkeep(sys::World world, BranchStore& store, Duration keep_ended)
    : world_(std::move(world)),
      store_(store),
      keep_ended_(keep_ended),
      stopped_(world_.clock),
      tasks_(world_.executor, world_.clock) {}

void BranchUpkeep::start(Expire expire) {
  expire_ = std::move(expire);
  tasks_.spawn("branch_upkeep", run());
}

asio::awaitable<void> BranchUpkeep::stop() {
  stopping_ = true;
  stopped_.notify_all();
  co_await tasks_.join();
}

asio::awaitable<void> BranchUpkeep::run() {
  Monotonic purge_at = world_.clock.now() + kPurgePace;
  while (!stopping_) {
    co_await stopped_.wait_until(world_.clock.now() + kPace);
    if (stopping_) break;
    co_await expire_();
    if (world_.clock.now() < purge_at) continue;
    co_await purge();
    purge_at = world_.clock.now() + kPurgePace;
  }
}

asio::awaitable<void> BranchUpkeep::purge() {
  const auto keep_us = std::chrono::duration_cast<std::chrono::microseconds>(keep_ended_).count();
  const Result<std::int64_t> gone = co_await store_.purge(to_us(world_.clock.wall()) - keep_us);
  if (!gone) log::warn("participant.branch.purge_failed", {{"error", gone.error().to_string()}});
}

}  // namespace hf::participant
