#include "shop/order_service.h"

#include "base/log.h"
#include "shop/order_event.h"
#include "shop/order_id.h"

namespace hf::shop {
namespace {

Outcome outcome_of(Code code) {
  switch (code) {
    case Code::conflict:
      return Outcome::rolled_back;
    case Code::not_found:
      return Outcome::unknown_item;
    case Code::timeout:
      return Outcome::pending;
    case Code::exhausted:
    case Code::unavailable:
    case Code::denied:  // a read-only disk
    case Code::corrupt:
      return Outcome::database_away;
    case Code::invalid:
    case Code::internal:
      return Outcome::failed;
  }
  return Outcome::failed;
}

/// A half message that was not acknowledged: the local transaction did not run, whatever the broker has.
Outcome outcome_without_half(Code code) {
  return code == Code::invalid || code == Code::internal ? Outcome::failed : Outcome::broker_away;
}

mq::Resolution to_resolution(std::optional<TxState> state) {
  if (!state) return mq::Resolution::unknown;
  return *state == TxState::committed ? mq::Resolution::commit : mq::Resolution::rollback;
}

Placement refused(Outcome outcome, std::string why) { return {.outcome = outcome, .why = std::move(why)}; }

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::decided:
      return "decided";
    case Outcome::pending:
      return "pending";
    case Outcome::key_reused:
      return "key_reused";
    case Outcome::unknown_item:
      return "unknown_item";
    case Outcome::overloaded:
      return "overloaded";
    case Outcome::broker_away:
      return "broker_away";
    case Outcome::database_away:
      return "database_away";
    case Outcome::rolled_back:
      return "rolled_back";
    case Outcome::failed:
      return "failed";
  }
  return "";
}

Placement repeat_of(Order stored, const OrderRequest& request) {
  if (stored.request != request) return refused(Outcome::key_reused, "this Idempotency-Key belongs to another request");
  return {.outcome = Outcome::decided, .order = std::move(stored), .repeated = true};
}

Placement placement_of(const std::string& order_id, const OrderRequest& request, Result<Placed> local) {
  if (!local) {
    Placement placement = refused(outcome_of(local.error().code), local.error().message);
    placement.order.order_id = order_id;
    return placement;
  }
  if (local->verdict == Verdict::repeat) return repeat_of(std::move(local->order), request);
  return {.outcome = Outcome::decided, .order = std::move(local->order)};
}

/// The first request with a key; the others wait for it.
struct OrderService::Flight {
  Flight(sys::Clock& clock, OrderRequest r) : request(std::move(r)), landed(clock) {}
  const OrderRequest request;
  std::optional<Placement> placement;
  sys::Event landed;
};

struct OrderService::Metrics {
  explicit Metrics(metrics::Registry& r)
      : registry(r),
        confirmed(of("confirmed")),
        sold_out(of("sold_out")),
        repeated(of("repeated")),
        seconds(r.histogram("holdfast_shop_order_seconds", "From admission to the decision of an order")),
        under_way(r.gauge("holdfast_shop_orders_under_way", "Orders between admission and answer")),
        checks_committed(r.counter("holdfast_shop_checks_total", "Check-backs, by answer", {{"answer", "commit"}})),
        checks_rolled_back(r.counter("holdfast_shop_checks_total", "Check-backs, by answer", {{"answer", "rollback"}})),
        checks_unknown(r.counter("holdfast_shop_checks_total", "Check-backs, by answer", {{"answer", "unknown"}})) {}

  metrics::Counter& of(std::string outcome) {
    return registry.counter("holdfast_shop_orders_total", "Requests for an order, by outcome",
                            {{"outcome", std::move(outcome)}});
  }
  void count(const Placement& placement) {
    if (placement.outcome != Outcome::decided) return of(std::string(to_string(placement.outcome))).add();
    if (placement.repeated) return repeated.add();
    (placement.order.status == OrderStatus::confirmed ? confirmed : sold_out).add();
  }

  metrics::Registry& registry;
  metrics::Counter &confirmed, &sold_out, &repeated;
  metrics::Histogram& seconds;
  metrics::Gauge& under_way;
  metrics::Counter &checks_committed, &checks_rolled_back, &checks_unknown;
};

OrderService::OrderService(sys::World& world, const ShopConfig& config, Store& store, SendInTransaction send)
    : world_(world),
      config_(config),
      store_(store),
      send_(std::move(send)),
      traces_(config.traces),
      idle_(world.clock),
      metrics_(std::make_shared<Metrics>(world.metrics)) {}

std::string OrderService::next_order_id() { return new_order_id(world_.clock.wall(), world_.random); }

asio::awaitable<Placement> OrderService::place(OrderRequest request, std::optional<std::string> key) {
  if (closing_ || under_way_ >= config_.orders_in_flight) {
    const Placement placement =
        refused(Outcome::overloaded, closing_ ? "the shop is closing" : "too many orders under way");
    metrics_->count(placement);
    co_return placement;
  }
  ++under_way_;
  metrics_->under_way.set(static_cast<double>(under_way_));
  const Monotonic start = world_.clock.now();
  Placement placement = co_await admit(std::move(request), std::move(key));
  --under_way_;
  metrics_->under_way.set(static_cast<double>(under_way_));
  metrics_->seconds.observe_seconds(std::chrono::duration<double>(world_.clock.now() - start).count());
  metrics_->count(placement);
  if (under_way_ == 0) idle_.notify_all();
  co_return placement;
}

asio::awaitable<Placement> OrderService::admit(OrderRequest request, std::optional<std::string> key) {
  if (!key) co_return co_await fresh(std::move(request), std::nullopt);
  if (const auto flight = flights_.find(*key); flight != flights_.end()) {
    co_return co_await follow(flight->second, std::move(request));
  }
  co_return co_await once(std::move(request), std::move(*key));
}

/// The first request with this key, as far as this process knows.
asio::awaitable<Placement> OrderService::once(OrderRequest request, std::string key) {
  const auto flight = std::make_shared<Flight>(world_.clock, request);
  flights_[key] = flight;
  Result<std::optional<Order>> stored = co_await store_.find_by_key(key);
  if (!stored) {
    flight->placement = refused(Outcome::database_away, stored.error().message);
  } else if (*stored) {
    flight->placement = repeat_of(std::move(**stored), request);
  } else {
    flight->placement = co_await fresh(std::move(request), key);
  }
  flights_.erase(key);
  flight->landed.notify_all();
  co_return *flight->placement;
}

asio::awaitable<Placement> OrderService::follow(std::shared_ptr<Flight> flight, OrderRequest request) {
  if (flight->request != request)
    co_return refused(Outcome::key_reused, "this Idempotency-Key belongs to another request");
  const Monotonic deadline = world_.clock.now() + config_.repeat_wait;
  while (!flight->placement) {
    if (!co_await flight->landed.wait_until(deadline)) {
      co_return refused(Outcome::overloaded, "the first request with this Idempotency-Key is still under way");
    }
  }
  Placement placement = *flight->placement;
  placement.repeated = placement.outcome == Outcome::decided;
  co_return placement;
}

asio::awaitable<Placement> OrderService::fresh(OrderRequest request, std::optional<std::string> key) {
  if (!known_items_.contains(request.item)) {
    const Result<bool> known = co_await store_.has_item(request.item);
    if (!known) co_return refused(Outcome::database_away, known.error().message);
    if (!*known) co_return refused(Outcome::unknown_item, fmt::format("there is no item {}", request.item));
    known_items_.insert(request.item);
  }
  Attempt attempt;
  attempt.order_id = next_order_id();
  attempt.request = std::move(request);
  attempt.idempotency_key = std::move(key);
  attempt.received_at_us = to_us(world_.clock.wall());
  if (Result<void> passed = co_await world_.faults.reach("shop.before_half"); !passed) {
    co_return refused(Outcome::broker_away, passed.error().message);
  }
  co_return co_await transact(std::move(attempt));
}

asio::awaitable<Placement> OrderService::transact(Attempt attempt) {
  const std::string order_id = attempt.order_id;
  mq::Message message;
  message.topic = config_.topic;
  message.body = order_event(order_id, attempt.request, wall_from_us(attempt.received_at_us));
  message.tag = kEventDetailType;
  message.keys = {order_id};
  message.properties = {{"source", std::string(kEventSource)}, {"detail-type", std::string(kEventDetailType)}};

  std::optional<Result<Placed>> local;
  mq::LocalExecutor executor = [&](const mq::HalfMessage& half, const std::any&) {
    return run_local(half, attempt, local);
  };
  std::any argument = order_id;
  const Result<mq::TransactionOutcome> sent =
      co_await send_(std::move(message), std::move(executor), std::move(argument));
  if (!sent) {
    log::debug("shop.order.no_half", {{"order_id", order_id}, {"error", sent.error().to_string()}});
    co_return refused(outcome_without_half(sent.error().code), sent.error().message);
  }
  if (LateSteps* steps = traces_.entry(order_id)) {
    steps->decision_sent = world_.clock.wall();
    steps->decision = mq::to_string(sent->decided);
  }
  // The decision is durable, or nothing is: from here on only the answer can be lost, which a repetition with the key
  // heals.
  const Result<void> passed = co_await world_.faults.reach("shop.after_end_tx");
  if (!passed) co_return placement_of(order_id, attempt.request, Error{Code::timeout, passed.error().message});
  if (!local) co_return refused(Outcome::broker_away, "the local transaction was not begun");
  Placement placement = placement_of(order_id, attempt.request, std::move(*local));
  log::debug(
      "shop.order.placed",
      {{"order_id", order_id}, {"outcome", to_string(placement.outcome)}, {"decision", mq::to_string(sent->decided)}});
  if (placement.outcome == Outcome::failed) {
    log::error("shop.order.failed", {{"order_id", order_id}, {"error", placement.why}});
  }
  co_return placement;
}

/// The executor: begins after the half message is acknowledged (W4), says COMMIT or ROLLBACK only if that is durable.
Task<mq::Resolution> OrderService::run_local(const mq::HalfMessage& half, Attempt& attempt,
                                             std::optional<Result<Placed>>& local) {
  attempt.half_at_us = to_us(world_.clock.wall());
  attempt.message_id = half.message.message_id;
  HF_CO_TRY(co_await world_.faults.reach("shop.after_half"));
  HF_CO_TRY(co_await world_.faults.reach("shop.before_begin"));
  local = co_await store_.place(attempt);
  if (local->has_value()) HF_CO_TRY(co_await world_.faults.reach("shop.after_commit"));
  HF_CO_TRY(co_await world_.faults.reach("shop.before_end_tx"));
  const Result<Placed>& placed = *local;
  const auto stored = placed ? std::optional(state_of(placed->verdict)) : std::nullopt;
  const auto error = placed ? std::nullopt : std::optional(placed.error().code);
  const std::optional<TxState> resolution = decide_resolution(stored, error);
  if (!resolution) co_return placed.error();  // UNKNOWN, and the producer logs why
  co_return to_resolution(resolution);
}

Task<mq::Resolution> OrderService::check(const mq::HalfMessage& half) {
  if (half.message.keys.empty()) {
    co_return Error{Code::invalid, "half message " + half.message.message_id + " has no key: not one of ours"};
  }
  const std::string order_id = half.message.keys.front();
  const Result<std::optional<TxState>> state = co_await store_.check(order_id);
  const mq::Resolution resolution = state ? to_resolution(*state) : mq::Resolution::unknown;
  switch (resolution) {
    case mq::Resolution::commit:
      metrics_->checks_committed.add();
      break;
    case mq::Resolution::rollback:
      metrics_->checks_rolled_back.add();
      break;
    case mq::Resolution::unknown:
      metrics_->checks_unknown.add();
      break;
  }
  log::info("shop.check_back",
            {{"order_id", order_id}, {"message_id", half.message.message_id}, {"answer", mq::to_string(resolution)}});
  if (!state) co_return state.error();
  co_return resolution;
}

Task<Found> OrderService::find(std::string order_id) {
  HF_CO_TRY(std::optional<Order> order, co_await store_.find(order_id));
  if (order) co_return Found{std::move(order), std::nullopt};
  HF_CO_TRY(const std::optional<TxState> marker, co_await store_.marker(order_id));
  co_return Found{std::nullopt, marker};
}

void OrderService::answered(const std::string& order_id) {
  if (LateSteps* steps = traces_.entry(order_id); steps && !steps->answered) steps->answered = world_.clock.wall();
}

asio::awaitable<void> OrderService::close() {
  closing_ = true;
  const Monotonic deadline = world_.clock.now() + config_.drain;
  while (under_way_ > 0) {
    if (co_await idle_.wait_until(deadline)) continue;
    log::warn("shop.close.slow", {{"orders", under_way_}});
    co_await idle_.wait();  // they end: every call they wait for has a deadline of its own
  }
}

}  // namespace hf::shop
