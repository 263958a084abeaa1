#include "shop/local_table/order_edge.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/log.h"
#include "shop/answers.h"
#include "shop/order_id.h"
#include "shop/order_request.h"

namespace hf::shop::local_table {
namespace {

namespace json = boost::json;
using participant::OutboxEntry;

json::object order_json(const LocalOrder& order) {
  json::object body = {{"order_id", order.order_id}, {"status", to_string(order.state)}};
  add_request(body, order.request, order.unit_price_minor);
  body["received_at"] = to_rfc3339(wall_from_us(order.received_at_us));
  if (order.decided_at_us != 0) body["decided_at"] = to_rfc3339(wall_from_us(order.decided_at_us));
  if (order.state == OrderState::refused) {
    body["error"] = error_of(order.reason, order.reason == "sold_out" ? sold_out_text(order.request)
                                                                      : "the inventory does not have this item");
  }
  return body;
}

int status_of(OrderState state) {
  switch (state) {
    case OrderState::processing:
      return 202;
    case OrderState::confirmed:
      return 201;
    case OrderState::refused:
      return 409;
  }
  return 500;
}

/// "0647…34.order, done, tries: 1"
std::string describe(const OutboxEntry& entry) {
  std::string text = fmt::format("{}, {}, tries: {}", entry.id, entry.state, entry.attempts);
  if (!entry.error.empty()) text += ", last: " + entry.error;
  return text;
}

json::array trace_of(const LocalOrder& order, const std::optional<OutboxEntry>& message,
                     const std::optional<OutboxEntry>& event) {
  json::array hops;
  add_hop(hops, "received", order.received_at_us);
  add_hop(hops, "order_and_message_stored", order.placed_at_us, message ? message->id : "");
  if (message) {
    const std::int64_t at = message->sent_at_us != 0 ? message->sent_at_us : message->put_at_us;
    add_hop(hops, message->sent_at_us != 0 ? "message_published" : "message_waits", at, describe(*message));
  }
  add_hop(hops, "inventory_received", order.inventory_received_at_us);
  add_hop(hops, "inventory_updated", order.inventory_decided_at_us, order.reason.empty() ? "ok" : order.reason);
  add_hop(hops, "result_published", order.result_published_at_us);
  add_hop(hops, "message_done", order.decided_at_us, to_string(order.state));
  if (event) {
    const std::int64_t at = event->sent_at_us != 0 ? event->sent_at_us : event->put_at_us;
    add_hop(hops, event->sent_at_us != 0 ? "event_published" : "event_waits", at, describe(*event));
  }
  return hops;
}

void log_step(int step, const char* what, const std::string& order_id) {
  log::debug("shop.local_table.step", {{"step", step}, {"what", what}, {"order_id", order_id}});
}

}  // namespace

OrderEdge::OrderEdge(sys::World& world, const LocalTableConfig& config, OrderStore& store, participant::Outbox& outbox)
    : world_(world),
      config_(config),
      store_(store),
      outbox_(outbox),
      router_(no_such_path),
      idle_(world.clock),
      placing_seconds_(
          world.metrics.histogram("holdfast_shop_order_seconds", "From admission to the decision of an order")),
      processing_(orders("processing")),
      repeated_(orders("repeated")),
      confirmed_(world.metrics.counter("holdfast_shop_results_total", "Results of the inventory, by outcome",
                                       {{"outcome", "confirmed"}})),
      refused_(world.metrics.counter("holdfast_shop_results_total", "Results of the inventory, by outcome",
                                     {{"outcome", "refused"}})),
      replayed_(world.metrics.counter("holdfast_shop_results_total", "Results of the inventory, by outcome",
                                      {{"outcome", "replayed"}})) {
  router_.add("POST", "/orders",
              [this](net::HttpRequest request, net::PathValues) { return post_order(std::move(request)); });
  router_.add("GET", "/orders/{id}", [this](net::HttpRequest request, net::PathValues path) {
    return get_order(std::move(request), std::move(path));
  });
  router_.add("GET", "/items", [this](net::HttpRequest, net::PathValues) { return get_items(); });
}

metrics::Counter& OrderEdge::orders(const char* outcome) {
  return world_.metrics.counter("holdfast_shop_orders_total", "Requests for an order, by outcome",
                                {{"outcome", outcome}});
}

net::HttpResponse OrderEdge::database_away() const {
  return refuse_for_now("database_unavailable",
                        "the database is away: nothing was ordered by this request, repeat later", config_.retry_after);
}

asio::awaitable<net::HttpResponse> OrderEdge::post_order(net::HttpRequest request) {
  std::variant<OrderRequest, BadRequest> parsed = parse_order_request(request.body);
  std::optional<BadRequest> bad;
  if (auto* wrong = std::get_if<BadRequest>(&parsed)) bad = std::move(*wrong);
  std::optional<std::string> key;
  if (const auto header = request.headers.get("Idempotency-Key")) {
    key = std::string(*header);
    if (!bad) bad = check_key(*key);
  }
  if (bad) {
    orders("invalid").add();
    co_return refuse(bad->status, bad->code, bad->message, bad->field);
  }
  if (closing_ || under_way_ >= config_.orders_in_flight) {
    orders("overloaded").add();
    co_return refuse_for_now("overloaded",
                             fmt::format("{}: nothing was ordered, repeat later",
                                         closing_ ? "the shop is closing" : "too many orders under way"),
                             config_.retry_after);
  }
  ++under_way_;
  const Monotonic begun = world_.clock.now();
  net::HttpResponse response = co_await place(std::move(std::get<OrderRequest>(parsed)), std::move(key));
  placing_seconds_.observe_seconds(std::chrono::duration<double>(world_.clock.now() - begun).count());
  if (--under_way_ == 0) idle_.notify_all();
  co_return response;
}

asio::awaitable<net::HttpResponse> OrderEdge::place(OrderRequest request, std::optional<std::string> key) {
  LocalOrder order;
  order.order_id = new_order_id(world_.clock.wall(), world_.random);
  order.request = request;
  order.idempotency_key = key;
  order.received_at_us = to_us(world_.clock.wall());
  const std::string order_id = order.order_id;
  log_step(1, "received", order_id);
  Result<Placed> placed = co_await store_.place(std::move(order));
  if (!placed && placed.error().code == Code::conflict && key) {  // the same key, on another connection
    Result<std::optional<LocalOrder>> known = co_await store_.find_by_key(*key);
    if (known && *known) placed = Placed{std::move(**known), true};
  }
  if (!placed) co_return answer(placed.error(), order_id);
  if (!placed->repeated) {
    log_step(2, "order_and_message_stored", order_id);
    outbox_.committed();
  }
  co_return answer(*placed, request);
}

net::HttpResponse OrderEdge::answer(const Placed& placed, const OrderRequest& request) {
  if (placed.repeated && placed.order.request != request) {
    orders("key_reused").add();
    return refuse(422, "idempotency_key_reused", "this Idempotency-Key belongs to another request", "Idempotency-Key");
  }
  (placed.repeated ? repeated_ : processing_).add();
  net::HttpResponse response = respond(status_of(placed.order.state), order_json(placed.order));
  response.headers.add("Location", "/orders/" + placed.order.order_id);
  if (placed.repeated) response.headers.add("Idempotency-Replayed", "true");
  return response;
}

net::HttpResponse OrderEdge::answer(const Error& error, const std::string& order_id) {
  switch (error.code) {
    case Code::not_found:
      orders("unknown_item").add();
      return refuse(404, "unknown_item", error.message, "item");
    case Code::timeout: {
      orders("pending").add();
      net::HttpResponse response = respond(
          202, {{"order_id", order_id},
                {"status", "pending"},
                {"message",
                 "whether this order was taken is not known yet: GET /orders/{order_id} tells, and so does the same "
                 "request with the same Idempotency-Key"}});
      response.headers.add("Location", "/orders/" + order_id);
      response.headers.add("Retry-After", "1");
      return response;
    }
    case Code::invalid:
    case Code::internal:
      orders("failed").add();
      log::error("shop.order.failed", {{"order_id", order_id}, {"error", error.to_string()}});
      return refuse(500, "internal", "our mistake; it is logged");
    case Code::conflict:
    case Code::denied:
    case Code::exhausted:
    case Code::unavailable:
    case Code::corrupt:
      orders("database_away").add();
      log::warn("shop.order.not_stored", {{"order_id", order_id}, {"error", error.to_string()}});
      return database_away();
  }
  return refuse(500, "internal", "our mistake");
}

Task<> OrderEdge::result(const mq::ReceivedMessage& received) {
  Result<StockResult> result = parse_stock_result(received.message.body);
  if (!result) {
    log::error("shop.local_table.not_a_result", {{"topic", received.message.topic},
                                                 {"message_id", received.message.message_id},
                                                 {"error", result.error().to_string()}});
    co_return result.error();  // the broker keeps it as a dead letter in the end (P7)
  }
  const std::string order_id = result->order_id;
  const bool confirmed = result->ok;
  const Result<bool> applied = co_await store_.apply(std::move(*result), to_us(received.stored_at));
  if (!applied) {
    log::warn("shop.local_table.result_failed", {{"order_id", order_id}, {"error", applied.error().to_string()}});
    co_return applied.error();
  }
  outbox_.committed();
  (!*applied ? replayed_ : confirmed ? confirmed_ : refused_).add();
  if (*applied) log_step(7, "message_done", order_id);
  co_return ok();
}

asio::awaitable<net::HttpResponse> OrderEdge::get_order(net::HttpRequest request, net::PathValues path) {
  const std::string order_id(net::path_value(path, "id"));
  const Result<std::optional<LocalOrder>> found = co_await store_.find(order_id);
  if (!found) {
    log::warn("shop.find.failed", {{"order_id", order_id}, {"error", found.error().to_string()}});
    co_return refuse_for_now("database_unavailable", "the database is away, repeat later", config_.retry_after);
  }
  if (!*found) co_return refuse(404, "not_found", "there is no order " + order_id);
  json::object body = order_json(**found);
  if (wants_trace(request)) {
    const Result<std::optional<OutboxEntry>> message = co_await outbox_.find(order_message_id(order_id));
    const Result<std::optional<OutboxEntry>> event = co_await outbox_.find(event_message_id(order_id));
    body["trace"] = trace_of(**found, message ? *message : std::nullopt, event ? *event : std::nullopt);
  }
  co_return respond(200, body);
}

asio::awaitable<net::HttpResponse> OrderEdge::get_items() {
  const Result<std::vector<Item>> items = co_await store_.items();
  if (!items) {
    log::warn("shop.items.failed", {{"error", items.error().to_string()}});
    co_return refuse_for_now("database_unavailable", "the database is away, repeat later", config_.retry_after);
  }
  json::array list;
  for (const Item& item : *items) list.push_back(item_json(item));
  co_return respond(200, {{"items", std::move(list)}});
}

asio::awaitable<void> OrderEdge::close() {
  closing_ = true;
  const Monotonic deadline = world_.clock.now() + config_.drain;
  while (under_way_ > 0) {
    if (co_await idle_.wait_until(deadline)) continue;
    log::warn("shop.close.slow", {{"orders", under_way_}});
    co_await idle_.wait();  // they end: every call they wait for has a deadline of its own
  }
}

}  // namespace hf::shop::local_table
