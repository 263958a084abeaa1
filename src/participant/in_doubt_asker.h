#pragma once

/// Asks the coordinator for the outcome of branches that are in doubt for long, and tells the operator. It never
/// decides by itself: time makes it ask and makes it cry, and nothing else.
///
///   in doubt ──T1──▶ GET /2pc/v1/tx/{gtrid}/outcome ──committed, aborted──▶ told to the branch
///                      ▲  pending, no answer, another coordinator's answer │
///                      └───────── back-off, capped, for ever ──────────────┘        after T2: alarm, once
///
/// `aborted` may mean "I know nothing of it"; that counts only from the coordinator that owns the id (presumed abort).
/// Branches of a foreign initiator have nobody to ask: they stay, and are shown.

#include <map>

#include "net/backoff.h"
#include "participant/two_phase_calls.h"
#include "sys/wait.h"

namespace hf::participant {

/// One strand. `branches` outlives it; stop() before it is destroyed.
class InDoubtAsker {
 public:
  /// Ends a branch as the coordinator says.
  using End = std::function<Task<Ended>(std::string gtrid, wire::two_phase::Decision decision)>;
  InDoubtAsker(sys::World world, const TwoPhaseConfig& config, Branches& branches, const TwoPhaseCalls& calls, End end);
  void start();
  asio::awaitable<void> stop();

 private:
  struct Waiting {
    Monotonic since{}, ask_at{};
    std::uint32_t asked = 0;
    bool alarmed = false;
  };
  enum class Answer { ended, pending, silent };

  asio::awaitable<void> run();
  asio::awaitable<void> round();
  void look_at(const std::vector<InDoubt>& all);
  void raise_alarms();
  asio::awaitable<Answer> ask(std::string gtrid);

  sys::World world_;
  const TwoPhaseConfig config_;
  Branches& branches_;
  const TwoPhaseCalls& calls_;
  const End end_;
  const net::Backoff backoff_;
  const Duration pace_;
  std::map<std::string, Waiting> waiting_;
  metrics::Gauge &in_doubt_, &old_, &oldest_;
  metrics::Counter &asked_, &unanswered_;
  sys::Event wake_;
  bool stopping_ = false;
  sys::TaskGroup tasks_;
};

}  // namespace hf::participant
