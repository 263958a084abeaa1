#include "shop/two_phase/order_flow.h"

#include "base/log.h"
#include "net/backoff.h"

namespace hf::shop::two_phase {
namespace {

using wire::two_phase::Decision;
using wire::two_phase::Outcome;
using wire::two_phase::OutcomeReport;

/// 12 digits of time, 12 of chance: unique, and orders of one moment lie together in the table's index.
std::string order_id_of(WallTime now, sys::Random& random) {
  const std::uint64_t us = static_cast<std::uint64_t>(to_us(now)) >> 4 & 0xffff'ffff'ffff;
  return fmt::format("{:012x}{}", us, random.hex(6));
}

constexpr net::Backoff kBetweenTries{.first = 10ms, .max = 500ms};
constexpr net::Backoff kBetweenCommits{.first = 50ms, .max = 1s};

Placement nothing_ordered(Placement::Outcome outcome, std::string reason) {
  return {.outcome = outcome, .reason = std::move(reason)};
}

Placement placement_of(const PlacedOrder& order, Placement::Outcome outcome, std::string reason = "") {
  return {.outcome = outcome, .order_id = order.order_id, .gtrid = order.gtrid, .reason = std::move(reason)};
}

Placement::Outcome outcome_of(OrderState state) {
  switch (state) {
    case OrderState::processing:
      return Placement::Outcome::processing;
    case OrderState::confirmed:
      return Placement::Outcome::placed;
    case OrderState::refused:
      return Placement::Outcome::refused;
    case OrderState::aborted:
      break;  // its key is free: it is never found by one
  }
  return Placement::Outcome::failed;
}

/// The answer to a repeated request: what is stored, unless it is another request under the same key.
Placement repeat_of(const PlacedOrder& stored, const OrderRequest& request) {
  if (stored.request != request) {
    return nothing_ordered(Placement::Outcome::key_reused, "this Idempotency-Key belongs to another request");
  }
  Placement placement = placement_of(stored, outcome_of(stored.state), stored.reason);
  placement.repeated = true;
  return placement;
}

}  // namespace

std::string_view to_string(Placement::Outcome outcome) {
  switch (outcome) {
    case Placement::Outcome::placed:
      return "placed";
    case Placement::Outcome::refused:
      return "refused";
    case Placement::Outcome::processing:
      return "processing";
    case Placement::Outcome::key_reused:
      return "key_reused";
    case Placement::Outcome::overloaded:
      return "overloaded";
    case Placement::Outcome::away:
      return "away";
    case Placement::Outcome::failed:
      return "failed";
  }
  return "";
}

/// The first request with a key; the others wait for it.
struct OrderFlow::Flight {
  Flight(sys::Clock& clock, OrderRequest r) : request(std::move(r)), landed(clock) {}
  const OrderRequest request;
  std::optional<Placement> placement;
  sys::Event landed;
};

/// An order on its way through its transactions.
struct OrderFlow::Attempt {
  PlacedOrder order;
  Monotonic deadline;
  std::string stored_gtrid;  ///< what its row says; empty: there is no row yet
};

struct OrderFlow::Metrics {
  explicit Metrics(metrics::Registry& r)
      : registry(r),
        seconds(r.histogram("holdfast_shop_order_seconds", "From admission to the decision of an order")),
        under_way(r.gauge("holdfast_shop_orders_under_way", "Orders between admission and answer")),
        orphans(r.gauge("holdfast_shop_orders_processing", "Orders that are processing and nobody waits for")),
        again(r.counter("holdfast_shop_transactions_again_total", "Orders tried again in a new transaction")) {}
  void count(const Placement& placement) {
    std::string outcome(placement.repeated ? "repeated" : to_string(placement.outcome));
    registry
        .counter("holdfast_shop_orders_total", "Requests for an order, by outcome", {{"outcome", std::move(outcome)}})
        .add();
  }
  metrics::Registry& registry;
  metrics::Histogram& seconds;
  metrics::Gauge &under_way, &orphans;
  metrics::Counter& again;
};

OrderFlow::OrderFlow(sys::World& world, const PlaceOrderConfig& config, OrderStore& store,
                     participant::Initiator& initiator, participant::SendHttp send)
    : world_(world),
      config_(config),
      store_(store),
      initiator_(initiator),
      log_(config.traces),
      calls_(world, config, std::move(send), log_),
      idle_(world.clock),
      ask_(world.clock),
      turn_(world.clock),
      tasks_(world.executor, world.clock),
      metrics_(std::make_shared<Metrics>(world.metrics)) {}

// ---- admission, repeated requests
// ------------------------------------------------------------------------------------

asio::awaitable<Placement> OrderFlow::place(OrderRequest request, std::optional<std::string> key) {
  if (closing_ || admitted_ >= config_.orders_in_flight) {
    const Placement placement =
        nothing_ordered(Placement::Outcome::overloaded, closing_ ? "the shop is closing" : "too many orders under way");
    metrics_->count(placement);
    co_return placement;
  }
  metrics_->under_way.set(static_cast<double>(++admitted_));
  const Monotonic start = world_.clock.now();
  Placement placement = co_await admit(std::move(request), std::move(key));
  metrics_->under_way.set(static_cast<double>(--admitted_));
  metrics_->seconds.observe_seconds(std::chrono::duration<double>(world_.clock.now() - start).count());
  metrics_->count(placement);
  if (admitted_ == 0) idle_.notify_all();
  co_return placement;
}

asio::awaitable<Placement> OrderFlow::admit(OrderRequest request, std::optional<std::string> key) {
  if (request.channels.empty()) request.channels = config_.channels;
  if (request.phone.empty()) request.phone = config_.phone;
  if (!key) co_return co_await fresh(std::move(request), std::nullopt);
  if (const auto flight = flights_.find(*key); flight != flights_.end()) {
    co_return co_await follow(flight->second, std::move(request));
  }
  co_return co_await once(std::move(request), std::move(*key));
}

/// The first request with this key, as far as this process knows.
asio::awaitable<Placement> OrderFlow::once(OrderRequest request, std::string key) {
  const auto flight = std::make_shared<Flight>(world_.clock, request);
  flights_[key] = flight;
  const Result<std::optional<PlacedOrder>> stored = co_await store_.find_by_key(key);
  if (!stored) {
    flight->placement = nothing_ordered(Placement::Outcome::away, stored.error().message);
  } else if (*stored) {
    flight->placement = repeat_of(**stored, request);
  } else {
    flight->placement = co_await fresh(std::move(request), key);
  }
  flights_.erase(key);
  flight->landed.notify_all();
  co_return *flight->placement;
}

asio::awaitable<Placement> OrderFlow::follow(std::shared_ptr<Flight> flight, OrderRequest request) {
  if (flight->request != request) {
    co_return nothing_ordered(Placement::Outcome::key_reused, "this Idempotency-Key belongs to another request");
  }
  const Monotonic deadline = world_.clock.now() + config_.repeat_wait;
  while (!flight->placement) {
    if (!co_await flight->landed.wait_until(deadline)) {
      co_return nothing_ordered(Placement::Outcome::overloaded,
                                "the first request with this Idempotency-Key is still under way");
    }
  }
  Placement placement = *flight->placement;
  placement.repeated = !placement.order_id.empty();
  co_return placement;
}

// ---- an order and its transactions
// -------------------------------------------------------------------------------------

asio::awaitable<Placement> OrderFlow::fresh(OrderRequest request, std::optional<std::string> key) {
  Attempt attempt;
  attempt.order.order_id = order_id_of(world_.clock.wall(), world_.random);
  attempt.order.request = std::move(request);
  attempt.order.idempotency_key = std::move(key);
  attempt.order.received_at_us = to_us(world_.clock.wall());
  attempt.deadline = world_.clock.now() + config_.answer_within;
  const std::string order_id = attempt.order.order_id;
  under_way_.insert(order_id);
  End end;
  for (std::size_t tries = 1;; ++tries) {
    attempt.order.tries = static_cast<std::int64_t>(tries);
    end = co_await in_turn(attempt);
    if (!try_again(end, tries, config_.tries, world_.clock.now() >= attempt.deadline)) break;
    metrics_->again.add();
    log::debug("shop.order.again", {{"order_id", order_id}, {"gtrid", attempt.order.gtrid}, {"reason", end.reason}});
    co_await world_.clock.sleep_for(kBetweenTries.delay(static_cast<std::uint32_t>(tries - 1), world_.random));
  }
  Placement placement = co_await conclude(attempt, std::move(end));
  under_way_.erase(order_id);
  co_return placement;
}

/// First come, first served: who leaves hands his place to who waits longest.
asio::awaitable<End> OrderFlow::in_turn(Attempt& attempt) {
  if (running_ < config_.transactions_at_once) {
    ++running_;
  } else if (!co_await turn_.wait_until(attempt.deadline)) {
    co_return End{Ended::passing, "too many orders are before this one"};
  }
  End end = co_await transact(attempt);
  if (turn_.waiting() > 0) {
    turn_.notify_one();
  } else {
    --running_;
  }
  co_return end;
}

/// One transaction, from begin to its decision.
asio::awaitable<End> OrderFlow::transact(Attempt& attempt) {
  const WallTime begun = world_.clock.wall();
  const Result<Begun> tx = co_await initiator_.begin();
  if (!tx) co_return End{Ended::passing, "no transaction could be begun: " + tx.error().message};
  attempt.order.gtrid = tx->gtrid;
  log_.begin(tx->gtrid, attempt.order.order_id);
  note(tx->gtrid, "begin", begun, "");
  const End end = co_await reach_commit(attempt, *tx);
  if (end.ended == Ended::done) co_return co_await commit(attempt);
  // Nobody has asked for commit, so it never will commit, whether the coordinator hears this or not.
  const WallTime aborting = world_.clock.wall();
  const Result<OutcomeReport> aborted = co_await initiator_.abort(tx->gtrid, end.reason);
  note(tx->gtrid, "abort", aborting, aborted ? end.reason : aborted.error().message);
  co_return end;
}

/// Everything up to the point where commit may be asked for.
asio::awaitable<End> OrderFlow::reach_commit(Attempt& attempt, const Begun& tx) {
  if (const Result<void> passed = co_await world_.faults.reach("shop.tx_begun"); !passed) {
    co_return End{Ended::passing, passed.error().message};
  }
  Quote quote;
  End end = co_await calls_.get_total_price(tx, attempt.order.request, attempt.deadline, quote);
  if (end.ended != Ended::done) co_return end;
  attempt.order.total = quote.total;
  // Before anybody may ask for commit: whoever is told the outcome finds the order.
  if (const Result<void> stored = co_await store(attempt); !stored) {
    co_return End{Ended::passing, stored.error().message};
  }
  end = co_await work(attempt, tx, quote);
  if (end.ended != Ended::done) co_return end;
  if (const Result<void> passed = co_await world_.faults.reach("shop.tx_worked"); !passed) {
    co_return End{Ended::passing, passed.error().message};
  }
  if (world_.clock.now() >= attempt.deadline) co_return End{Ended::passing, "it took too long"};
  co_return end;
}

Task<> OrderFlow::store(Attempt& attempt) {
  HF_CO_TRY(co_await store_.put(attempt.order));
  attempt.stored_gtrid = attempt.order.gtrid;
  co_return co_await world_.faults.reach("shop.tx_stored");
}

/// Payment, inventory, and our own registration: all of them, or there is no commit.
asio::awaitable<End> OrderFlow::work(const Attempt& attempt, const Begun& tx, const Quote& quote) {
  sys::TaskGroup group(world_.executor, world_.clock);
  End called, registered;
  auto into = [](asio::awaitable<End> task, End& end) -> asio::awaitable<void> { end = co_await std::move(task); };
  group.spawn("calls", into(call_both(attempt, tx, quote), called));
  group.spawn("registration", into(register_completion(tx.gtrid), registered));
  co_await group.join();
  co_return called.ended == Ended::done ? registered : called;
}

asio::awaitable<End> OrderFlow::call_both(const Attempt& attempt, const Begun& tx, const Quote& quote) {
  const OrderRequest& request = attempt.order.request;
  // Row locks that are held until the end and taken in no order deadlock across two servers, where neither sees it.
  const bool parallel = config_.calls == "parallel" || (config_.calls == "auto" && !quote.locks_rows);
  if (!parallel) {
    const End paid = co_await calls_.pay(tx, request, quote.total, attempt.deadline);
    if (paid.ended != Ended::done) co_return paid;
    co_return co_await calls_.update_stock(tx, request, quote.total, attempt.deadline);
  }
  sys::TaskGroup group(world_.executor, world_.clock);
  End paid, taken;
  auto into = [](asio::awaitable<End> task, End& end) -> asio::awaitable<void> { end = co_await std::move(task); };
  group.spawn("pay", into(calls_.pay(tx, request, quote.total, attempt.deadline), paid));
  group.spawn("update_stock", into(calls_.update_stock(tx, request, quote.total, attempt.deadline), taken));
  co_await group.join();
  co_return both(std::move(paid), std::move(taken));
}

asio::awaitable<End> OrderFlow::register_completion(const std::string& gtrid) {
  const WallTime begun = world_.clock.wall();
  const Result<void> registered = co_await initiator_.await_completion(gtrid);
  note(gtrid, "register", begun, registered ? "completion" : registered.error().message);
  if (registered) co_return End{};
  co_return End{Ended::passing, "not registered for the outcome: " + registered.error().message};
}

/// Asks until it is told. From the first request on the decision may be made: nothing here may say that it is not.
asio::awaitable<End> OrderFlow::commit(const Attempt& attempt) {
  const std::string& gtrid = attempt.order.gtrid;
  for (std::uint32_t asked = 0;; ++asked) {
    const WallTime begun = world_.clock.wall();
    const Result<OutcomeReport> report = co_await initiator_.commit(gtrid);
    note(gtrid, "commit", begun, report ? std::string(to_string(report->outcome)) : report.error().message);
    if (const Result<void> passed = co_await world_.faults.reach("shop.tx_decided"); !passed) {
      co_return End{Ended::unknown, passed.error().message};
    }
    if (report && report->outcome != Outcome::pending) co_return judge_outcome(*report);
    if (world_.clock.now() >= attempt.deadline || closing_) co_return End{Ended::unknown, ""};
    co_await world_.clock.sleep_for(kBetweenCommits.delay(asked, world_.random));
  }
}

/// What is stored of the end, and what the customer hears.
asio::awaitable<Placement> OrderFlow::conclude(Attempt& attempt, End end) {
  PlacedOrder& order = attempt.order;
  log::debug("shop.order.placed", {{"order_id", order.order_id}, {"gtrid", order.gtrid}, {"reason", end.reason}});
  if (end.ended == Ended::done) co_return placement_of(order, Placement::Outcome::placed);
  if (end.ended == Ended::unknown) {
    orphans_[order.order_id] = order.gtrid;
    co_return placement_of(order, Placement::Outcome::processing);
  }
  const bool refused = end.ended == Ended::refused;
  Result<void> recorded = ok();
  if (!attempt.stored_gtrid.empty()) {
    const OrderState state = refused ? OrderState::refused : OrderState::aborted;
    const Result<bool> decided = co_await store_.decide(attempt.stored_gtrid, state, end.reason);
    if (!decided) {
      recorded = decided.error();
      orphans_[order.order_id] = attempt.stored_gtrid;  // aborted at the coordinator: it is decided when we can
    }
  } else if (refused) {
    order.state = OrderState::refused;
    order.reason = end.reason;
    order.decided_at_us = to_us(world_.clock.wall());
    recorded = co_await store_.put(order);
  }
  // A refusal that is not recorded would be another answer for the same key later: say that nothing was ordered.
  if (!recorded) co_return nothing_ordered(Placement::Outcome::away, recorded.error().message);
  if (refused) co_return placement_of(order, Placement::Outcome::refused, std::move(end.reason));
  co_return nothing_ordered(Placement::Outcome::away, std::move(end.reason));
}

void OrderFlow::note(const std::string& gtrid, std::string name, WallTime begun, std::string detail) {
  log_.add(gtrid,
           Step{.name = std::move(name), .begun = begun, .ended = world_.clock.wall(), .detail = std::move(detail)});
}

// ---- how it ended
// ------------------------------------------------------------------------------------------------------

Task<> OrderFlow::completed(std::string gtrid, Decision decision) {
  const WallTime begun = world_.clock.wall();
  HF_CO_TRY(co_await world_.faults.reach("shop.tx_completion"));
  if (decision == Decision::commit) {
    if (const Result<void> confirmed = co_await store_.confirm(gtrid); !confirmed) {
      log::error("shop.order.not_confirmed", {{"gtrid", gtrid}, {"error", confirmed.error().to_string()}});
      co_return confirmed.error();
    }
    note(gtrid, "completion", begun, "confirmed");
    log::info("shop.order.confirmed", {{"gtrid", gtrid}});
    co_return co_await world_.faults.reach("shop.tx_confirmed");
  }
  HF_CO_TRY(const std::optional<PlacedOrder> order, co_await store_.find_by_gtrid(gtrid));
  note(gtrid, "completion", begun, "aborted");
  // A request that still waits here decides by itself: perhaps it tries again.
  if (!order || under_way_.contains(order->order_id)) co_return ok();
  HF_CO_TRY(co_await store_.decide(gtrid, OrderState::aborted, "its transaction was aborted"));
  co_return ok();
}

Task<> OrderFlow::start() {
  using Found = std::vector<std::pair<std::string, std::string>>;
  HF_CO_TRY(const Found left, co_await store_.processing());
  for (const auto& [order_id, gtrid] : left) orphans_[order_id] = gtrid;
  if (!left.empty()) log::info("shop.orders.left", {{"processing", left.size()}});
  tasks_.spawn("ask_about_orphans", ask_about_orphans());
  co_return ok();
}

asio::awaitable<void> OrderFlow::ask_about_orphans() {
  while (!closing_) {
    const std::vector<std::pair<std::string, std::string>> now(orphans_.begin(), orphans_.end());
    for (const auto& [order_id, gtrid] : now) {
      if (closing_ || !co_await ask_about(order_id, gtrid)) break;  // the coordinator is away: later
    }
    metrics_->orphans.set(static_cast<double>(orphans_.size()));
    if (!closing_) co_await ask_.wait_until(world_.clock.now() + config_.ask_every);
  }
}

/// False: nobody answers.
asio::awaitable<bool> OrderFlow::ask_about(const std::string& order_id, const std::string& gtrid) {
  const Result<std::optional<PlacedOrder>> order = co_await store_.find(order_id);
  if (!order) co_return false;
  if (!*order || (*order)->state != OrderState::processing) {
    orphans_.erase(order_id);
    co_return true;
  }
  const Result<OutcomeReport> report = co_await initiator_.outcome(gtrid);
  if (!report) co_return false;
  const WallTime begun = world_.clock.wall();
  Result<void> done = ok();
  switch (decide_orphan(*report)) {
    case Orphan::wait:
      co_return true;
    case Orphan::confirm:
      done = co_await store_.confirm(gtrid);
      break;
    case Orphan::abort: {
      const Result<OutcomeReport> aborted = co_await initiator_.abort(gtrid, "nobody waits for this order any more");
      // What came of it, the next round asks; a conflict says that it is committed by now.
      co_return aborted.has_value() || aborted.error().code == Code::conflict;
    }
    case Orphan::drop: {
      const Result<bool> decided = co_await store_.decide(gtrid, OrderState::aborted, "its transaction was aborted");
      if (!decided) done = decided.error();
      break;
    }
  }
  if (!done) {
    log::warn("shop.order.unresolved", {{"order_id", order_id}, {"gtrid", gtrid}, {"error", done.error().message}});
    co_return false;
  }
  note(gtrid, "asked", begun, std::string(to_string(report->outcome)));
  log::info("shop.order.resolved", {{"order_id", order_id}, {"gtrid", gtrid}, {"outcome", to_string(report->outcome)}});
  orphans_.erase(order_id);
  co_return true;
}

asio::awaitable<void> OrderFlow::close() {
  closing_ = true;
  ask_.notify_all();
  co_await tasks_.join();
  const Monotonic deadline = world_.clock.now() + config_.drain;
  while (admitted_ > 0) {
    if (co_await idle_.wait_until(deadline)) continue;
    log::warn("shop.close.slow", {{"orders", admitted_}});
    co_await idle_.wait();  // they end: every call they wait for has a deadline of its own
  }
}

}  // namespace hf::shop::two_phase
