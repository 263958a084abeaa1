#pragma once

/// The driver: feeds events to the machine (transaction.h), performs its actions, owns retries, timers and shutdown.
/// Decides nothing.

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/calls.h"
#include "coordinator/store.h"
#include "net/backoff.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::coordinator {

/// not_found, in the protocol's words.
Error unknown_transaction(const std::string& gtrid);

/// One strand. Everything given to the constructor outlives it; stop() before destruction.
///
/// Errors of every call, beside its own: not_found (the id of another coordinator) · unavailable (starting, stopping,
/// fenced, the database cannot be read: ask again).
class Engine {
 public:
  Engine(sys::World world, const CoordinatorConfig& config, Store& store, SendHttp send);

  /// Takes the epoch, reads what is unfinished, goes on with it. Errors: the database's; corrupt refuses.
  Task<> start();
  asio::awaitable<void> stop();

  /// The new transaction's id. Errors: exhausted (too many are unfinished).
  Task<std::string> begin();
  /// One that does not ask for the outcome by itself is on record when this completes.
  /// Errors: invalid (a URL or id that cannot be) · conflict, exhausted (transaction.h, enrol) · not_found
  /// ("Transaction- Unknown. Invalid TID:…").
  Task<> enrol(wire::two_phase::RegisterRequest request);
  /// Completes when the decision is durable, or was already. `calls`: what the initiator did meanwhile, for the story.
  /// Errors: timeout: not known within what prepare may take; ask again.
  Task<wire::two_phase::OutcomeReport> commit(std::string gtrid, std::vector<Step> calls);
  /// Completes when decided; what is already committed stays so, and the report says it.
  Task<wire::two_phase::OutcomeReport> abort(std::string gtrid, std::string by, std::string reason,
                                             std::vector<Step> calls);
  Task<wire::two_phase::OutcomeReport> outcome(std::string gtrid);
  /// With its story. nullopt: nothing is stored of it (presumed aborted, if it is one of ours).
  Task<std::optional<Transaction>> find(std::string gtrid);

  /// In memory, oldest first.
  enum class Which { open, in_doubt };
  std::vector<Transaction> list(Which which, std::size_t limit) const;

  /// An operator decides: abort of what is not decided; or of a decided one, that nobody waits any longer for those
  /// who have not acknowledged (recorded as heuristic, first). Errors: conflict: against what is decided, or nothing
  /// to decide · not_found.
  Task<Transaction> resolve(std::string gtrid, Decision decision, std::string reason);

 private:
  enum class Phase { starting, running, fenced, stopping };
  struct Live {
    Live(Transaction t, sys::Clock& clock) : tx(std::move(t)), changed(clock) {}
    Transaction tx;
    sys::Event changed;
    std::uint64_t version = 1;       ///< counts the changes of `tx`
    bool dirty = false;              ///< it is in dirty_: its row is behind
    bool unresolved = false;         ///< its COMMIT's write was not answered
    std::vector<Heuristic> damages;  ///< not recorded yet
    std::size_t votes = 0, acknowledgements = 0;
    Monotonic expires{}, doubt_since{};
  };
  using LivePtr = std::shared_ptr<Live>;

  Result<void> usable() const;
  /// Errors: not_found, unavailable.
  Result<void> ours(const std::string& gtrid) const;
  LivePtr live(const std::string& gtrid) const;
  LivePtr keep(Transaction tx);

  void feed(const LivePtr& one, const Event& event);
  void touch(const LivePtr& one);
  void perform(const LivePtr& one, const Action& action);
  void count(const LivePtr& one, State before);
  Task<> keep_registration(LivePtr one);
  asio::awaitable<void> prepare(LivePtr one, std::size_t who);
  asio::awaitable<void> tell(LivePtr one, std::size_t who);
  asio::awaitable<void> record_commit(LivePtr one);
  asio::awaitable<void> resolve_commit(LivePtr one);
  wire::two_phase::OutcomeReport report(const Transaction& tx) const;
  Task<wire::two_phase::OutcomeReport> settled(LivePtr one);
  Task<wire::two_phase::OutcomeReport> stored_outcome(std::string gtrid);

  Task<Transaction> abort_by_operator(LivePtr one, std::string reason);
  Task<Transaction> give_up(LivePtr one, Decision decision, std::string reason);

  asio::awaitable<void> run_expiry();
  asio::awaitable<void> run_saving();
  asio::awaitable<void> run_housekeeping();
  Task<> save_some();
  void forget_saved(const LivePtr& one, std::uint64_t version);
  asio::awaitable<void> probe_store();
  asio::awaitable<void> forget_old();
  /// Remembers whether the database takes writes: while it does not, nothing new is begun.
  void heard(const Result<void>& written);
  void enter(Phase phase);

  sys::World world_;
  const CoordinatorConfig& config_;
  Store& store_;
  Calls calls_;
  const net::Backoff backoff_;
  sys::TaskGroup tasks_;
  sys::Event wake_;     ///< the phase changed
  sys::Event aging_;    ///< expiring_ is no longer empty
  sys::Event unsaved_;  ///< dirty_ is no longer empty
  Phase phase_ = Phase::starting;
  bool store_works_ = true, saving_ = false;
  std::uint64_t epoch_ = 0;
  std::unordered_map<std::string, LivePtr> live_;         ///< unfinished, or not yet written as finished
  std::set<std::pair<Monotonic, std::string>> expiring_;  ///< the active ones
  std::vector<LivePtr> dirty_;                            ///< rows that are behind
  std::set<std::pair<Monotonic, std::string>> in_doubt_;  ///< decided and not acknowledged by all, or unresolved
  bool heuristics_changed_ = true;

  metrics::Counter& begun_;
  metrics::Counter& committed_;
  metrics::Counter& aborted_;
  metrics::Counter& expired_;
  metrics::Counter& retries_;
  metrics::Gauge& open_gauge_;
  metrics::Gauge& doubt_gauge_;
  metrics::Gauge& oldest_gauge_;
  metrics::Gauge& heuristic_gauge_;
  metrics::Histogram& commit_seconds_;
};

}  // namespace hf::coordinator
