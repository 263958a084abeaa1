#pragma once

/// Places orders by two-phase commit. The coroutine that waits and moves; what it decides is in decisions.h, what it
/// keeps in order_store.h.
///
///     begin ─▶ getTotalPrice ─▶ row `processing` ─▶ pay ∥ updateStock ∥ register for completion ─▶ commit ─▶ answered
///       ▲          │ no                                  │ no                                        │ aborted
///       │          ▼                                     ▼                                           ▼
///       └── again, a new transaction ◀── passing ── abort ── refused ─▶ row `refused`, answered
///
/// `confirmed` is not this path's: the coordinator tells the completion when all branches are committed, perhaps to the
/// next process. Orders that nobody waits for any more (a crash, a commit whose answer did not come) are asked about.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "participant/two_phase.h"
#include "shop/config.h"
#include "shop/two_phase/order_calls.h"
#include "shop/two_phase/order_store.h"
#include "sys/wait.h"

namespace hf::shop::two_phase {

/// What the customer is told.
struct Placement {
  enum class Outcome {
    placed,      ///< committed: durable, and going to be confirmed
    refused,     ///< durable
    processing,  ///< it may be committed: GET /orders/{id} or the same key tells
    key_reused,  ///< the key belongs to another request
    overloaded,  ///< nothing was ordered; repeat later, like the next
    away,        ///< nothing was ordered: somebody who is needed is away or too slow
    failed,      ///< our bug; logged
  };
  Outcome outcome = Outcome::failed;
  std::string order_id{}, gtrid{};
  std::string reason{};
  bool repeated = false;  ///< answered from an earlier request with the same key
};
std::string_view to_string(Placement::Outcome outcome);

/// One strand. All references outlive it; close() is awaited before it is destroyed.
class OrderFlow {
 public:
  OrderFlow(sys::World& world, const PlaceOrderConfig& config, OrderStore& store, participant::Initiator& initiator,
            participant::SendHttp send);
  OrderFlow(const OrderFlow&) = delete;
  OrderFlow& operator=(const OrderFlow&) = delete;

  /// Finds what an earlier process left under way, and begins to ask about it.
  Task<> start();
  asio::awaitable<Placement> place(OrderRequest request, std::optional<std::string> key);
  /// The coordinator tells how a transaction ended, for certain and perhaps more than once.
  Task<> completed(std::string gtrid, wire::two_phase::Decision decision);
  const CallLog& calls() const { return log_; }
  /// Admits nothing more; waits (drain) for orders under way.
  asio::awaitable<void> close();

 private:
  struct Flight;
  struct Metrics;
  struct Attempt;
  using Begun = wire::two_phase::Begun;

  asio::awaitable<Placement> admit(OrderRequest request, std::optional<std::string> key);
  asio::awaitable<Placement> once(OrderRequest request, std::string key);
  asio::awaitable<Placement> follow(std::shared_ptr<Flight> flight, OrderRequest request);
  asio::awaitable<Placement> fresh(OrderRequest request, std::optional<std::string> key);

  asio::awaitable<End> in_turn(Attempt& attempt);
  asio::awaitable<End> transact(Attempt& attempt);
  asio::awaitable<End> reach_commit(Attempt& attempt, const Begun& tx);
  Task<> store(Attempt& attempt);
  asio::awaitable<End> work(const Attempt& attempt, const Begun& tx, const Quote& quote);
  asio::awaitable<End> call_both(const Attempt& attempt, const Begun& tx, const Quote& quote);
  asio::awaitable<End> register_completion(const std::string& gtrid);
  asio::awaitable<End> commit(const Attempt& attempt);
  asio::awaitable<Placement> conclude(Attempt& attempt, End end);

  asio::awaitable<void> ask_about_orphans();
  asio::awaitable<bool> ask_about(const std::string& order_id, const std::string& gtrid);
  void note(const std::string& gtrid, std::string name, WallTime begun, std::string detail);

  sys::World& world_;
  const PlaceOrderConfig& config_;
  OrderStore& store_;
  participant::Initiator& initiator_;
  CallLog log_;
  OrderCalls calls_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;  ///< by Idempotency-Key
  std::set<std::string> under_way_;                                   ///< order ids that a request waits for here
  std::unordered_map<std::string, std::string> orphans_;              ///< order id → gtrid: processing, nobody waits
  std::size_t admitted_ = 0, running_ = 0;                            ///< orders; transactions
  bool closing_ = false;
  sys::Event idle_, ask_, turn_;
  sys::TaskGroup tasks_;
  std::shared_ptr<Metrics> metrics_;
};

}  // namespace hf::shop::two_phase
