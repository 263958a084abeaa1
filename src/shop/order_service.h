#pragma once

/// Takes orders: half message, local transaction, decision, answer (design.md §4). The coroutine that waits and moves;
/// what it decides is in decisions.h, what it keeps in store.h.
///
///   received ─▶ half message acknowledged ─▶ local transaction ─▶ decision sent ─▶ answered
///       │ refused: nothing stored  │ died here: check-back inserts the tombstone    │ died here: check-back finds the
///       marker
///
/// A request with an Idempotency-Key is answered from what is stored, or joins the one that is under way. Memory only
/// shortens the way: the unique key in `orders` decides.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "mq/transaction_producer.h"
#include "shop/config.h"
#include "shop/store.h"
#include "shop/trace_log.h"
#include "sys/wait.h"

namespace hf::shop {

/// mq::TransactionProducer's one call.
using SendInTransaction =
    std::function<Task<mq::TransactionOutcome>(mq::Message message, mq::LocalExecutor executor, std::any argument)>;

enum class Outcome {
  decided,        ///< confirmed or refused, durable: `order` is what is stored
  pending,        ///< it may be committed: GET /orders/{id} or the same key tells; only order.order_id is set
  key_reused,     ///< the key belongs to another request
  unknown_item,   ///< nothing stored
  overloaded,     ///< nothing stored; repeat later, like the next three
  broker_away,    ///< the half message was not acknowledged, so the local transaction did not run
  database_away,  ///< certainly not committed
  rolled_back,    ///< too slow: check-back has fenced it out
  failed,         ///< our bug; logged
};
std::string_view to_string(Outcome outcome);

struct Placement {
  Outcome outcome = Outcome::failed;
  Order order{};
  bool repeated = false;  ///< answered from an earlier request with the same key
  std::string why{};      ///< for people
};

/// What GET /orders/{id} can know.
struct Found {
  std::optional<Order> order;
  std::optional<TxState> marker;  ///< without an order: what became of its transaction
};

/// One strand. close() is awaited before it is destroyed.
class OrderService {
 public:
  OrderService(sys::World& world, const ShopConfig& config, Store& store, SendInTransaction send);
  OrderService(const OrderService&) = delete;
  OrderService& operator=(const OrderService&) = delete;

  asio::awaitable<Placement> place(OrderRequest request, std::optional<std::string> key);
  Task<Found> find(std::string order_id);
  Task<std::vector<Item>> items() { return store_.items(); }

  /// The checker of the producer: answers for orders of earlier processes too.
  Task<mq::Resolution> check(const mq::HalfMessage& half);

  /// The edge has the answer in hand.
  void answered(const std::string& order_id);
  TraceLog& traces() { return traces_; }

  /// Admits nothing more; waits (drain) for orders under way.
  asio::awaitable<void> close();

 private:
  struct Flight;
  struct Metrics;
  asio::awaitable<Placement> admit(OrderRequest request, std::optional<std::string> key);
  asio::awaitable<Placement> once(OrderRequest request, std::string key);
  asio::awaitable<Placement> follow(std::shared_ptr<Flight> flight, OrderRequest request);
  asio::awaitable<Placement> fresh(OrderRequest request, std::optional<std::string> key);
  asio::awaitable<Placement> transact(Attempt attempt);
  Task<mq::Resolution> run_local(const mq::HalfMessage& half, Attempt& attempt, std::optional<Result<Placed>>& local);
  std::string next_order_id();

  sys::World& world_;
  const ShopConfig& config_;
  Store& store_;
  const SendInTransaction send_;
  TraceLog traces_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;  ///< by Idempotency-Key
  std::set<std::int64_t> known_items_;                                ///< items are never removed
  std::size_t under_way_ = 0;
  bool closing_ = false;
  sys::Event idle_;
  std::shared_ptr<Metrics> metrics_;
};

/// The answer to a repeated request: what is stored, unless it is another request under the same key. Pure.
Placement repeat_of(Order stored, const OrderRequest& request);
/// After the local transaction: what the buyer is told. Pure.
Placement placement_of(const std::string& order_id, const OrderRequest& request, Result<Placed> local);

}  // namespace hf::shop
