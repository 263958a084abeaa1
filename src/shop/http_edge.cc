#include "shop/http_edge.h"

#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "shop/answers.h"
#include "shop/order_request.h"

namespace hf::shop {
namespace {

namespace json = boost::json;

json::object order_json(const Order& order) {
  json::object body = {{"order_id", order.order_id},
                       {"status", order.status == OrderStatus::confirmed ? "confirmed" : "refused"}};
  add_request(body, order.request, order.unit_price_minor);
  body["received_at"] = to_rfc3339(wall_from_us(order.received_at_us));
  body["decided_at"] = to_rfc3339(wall_from_us(order.committed_at_us));
  return body;
}

json::object sold_out_of(const Order& order) { return error_of(order.reason, sold_out_text(order.request)); }

json::array trace_of(const Order& order, const LateSteps* late) {
  json::array hops;
  add_hop(hops, "received", order.received_at_us);
  add_hop(hops, "half_message_acknowledged", order.half_at_us, order.message_id);
  const bool confirmed = order.status == OrderStatus::confirmed;
  add_hop(hops, "local_transaction_begun", order.begun_at_us);
  add_hop(hops, "local_transaction_committed", order.committed_at_us,
          confirmed ? "confirmed" : std::string_view(order.reason));
  if (late == nullptr) return hops;
  if (late->decision_sent) {
    add_hop(hops, "decision_sent", to_us(*late->decision_sent),
            fmt::format("{}, {}", confirmed ? "COMMIT" : "ROLLBACK", late->decision));
  }
  if (late->answered) add_hop(hops, "answered", to_us(*late->answered));
  return hops;
}

}  // namespace

HttpEdge::HttpEdge(sys::World& world, const ShopConfig& config, OrderService& orders)
    : world_(world),
      config_(config),
      orders_(orders),
      router_(no_such_path),
      invalid_(world.metrics.counter("holdfast_shop_orders_total", "Requests for an order, by outcome",
                                     {{"outcome", "invalid"}})) {
  router_.add("POST", "/orders",
              [this](net::HttpRequest request, net::PathValues) { return post_order(std::move(request)); });
  router_.add("GET", "/orders/{id}", [this](net::HttpRequest request, net::PathValues path) {
    return get_order(std::move(request), std::move(path));
  });
  router_.add("GET", "/items", [this](net::HttpRequest, net::PathValues) { return get_items(); });
}

asio::awaitable<net::HttpResponse> HttpEdge::post_order(net::HttpRequest request) {
  std::variant<OrderRequest, BadRequest> parsed = parse_order_request(request.body);
  std::optional<BadRequest> bad;
  if (auto* wrong = std::get_if<BadRequest>(&parsed)) bad = std::move(*wrong);
  std::optional<std::string> key;
  if (const auto header = request.headers.get("Idempotency-Key")) {
    key = std::string(*header);
    if (!bad) bad = check_key(*key);
  }
  if (bad) {
    invalid_.add();
    co_return refuse(bad->status, bad->code, bad->message, bad->field);
  }
  const Placement placement = co_await orders_.place(std::move(std::get<OrderRequest>(parsed)), std::move(key));
  // What happens to the answer from here on, the buyer heals by repeating with the same key.
  if (Result<void> passed = co_await world_.faults.reach("shop.before_answer"); !passed) {
    co_return unavailable("answer_lost", passed.error().message);
  }
  if (placement.outcome == Outcome::decided && !placement.repeated) orders_.answered(placement.order.order_id);
  co_return answer(placement);
}

net::HttpResponse HttpEdge::unavailable(std::string_view code, const std::string& why) const {
  return refuse_for_now(code, why, config_.retry_after);
}

net::HttpResponse HttpEdge::answer(const Placement& placement) const {
  const Order& order = placement.order;
  switch (placement.outcome) {
    case Outcome::decided: {
      json::object body = order_json(order);
      const bool confirmed = order.status == OrderStatus::confirmed;
      if (!confirmed) body["error"] = sold_out_of(order);
      net::HttpResponse response = respond(confirmed ? 201 : 409, body);
      response.headers.add("Location", "/orders/" + order.order_id);
      if (placement.repeated) response.headers.add("Idempotency-Replayed", "true");
      return response;
    }
    case Outcome::pending: {
      net::HttpResponse response = respond(
          202, {{"order_id", order.order_id},
                {"status", "pending"},
                {"message",
                 "whether this order is confirmed is not known yet: GET /orders/{order_id} tells, and so does the same "
                 "request with the same Idempotency-Key"}});
      response.headers.add("Location", "/orders/" + order.order_id);
      response.headers.add("Retry-After", "1");
      return response;
    }
    case Outcome::key_reused:
      return refuse(422, "idempotency_key_reused", placement.why, "Idempotency-Key");
    case Outcome::unknown_item:
      return refuse(404, "unknown_item", placement.why, "item");
    case Outcome::overloaded:
      return unavailable("overloaded", placement.why + ": nothing was ordered, repeat later");
    case Outcome::broker_away:
      return unavailable("broker_unavailable", "the message broker is away: nothing was ordered, repeat later");
    case Outcome::database_away:
      return unavailable("database_unavailable",
                         "the database is away: nothing was ordered by this request, repeat later");
    case Outcome::rolled_back:
      return unavailable("rolled_back", "it took too long and was rolled back: nothing was ordered, repeat");
    case Outcome::failed:
      return refuse(500, "internal", "our mistake; it is logged");
  }
  return refuse(500, "internal", "our mistake");
}

asio::awaitable<net::HttpResponse> HttpEdge::get_order(net::HttpRequest request, net::PathValues path) {
  const std::string order_id(net::path_value(path, "id"));
  const Result<Found> found = co_await orders_.find(order_id);
  if (!found) {
    log::warn("shop.find.failed", {{"order_id", order_id}, {"error", found.error().to_string()}});
    co_return unavailable("database_unavailable", "the database is away, repeat later");
  }
  if (found->order) {
    json::object body = order_json(*found->order);
    if (found->order->status == OrderStatus::refused) body["error"] = sold_out_of(*found->order);
    if (wants_trace(request)) body["trace"] = trace_of(*found->order, orders_.traces().find(order_id));
    co_return respond(200, body);
  }
  if (found->marker == TxState::rolled_back) {
    co_return respond(200, {{"order_id", order_id},
                            {"status", "rolled_back"},
                            {"message", "this attempt was rolled back: nothing was ordered by it"}});
  }
  co_return refuse(404, "not_found", "there is no order " + order_id);
}

asio::awaitable<net::HttpResponse> HttpEdge::get_items() {
  const Result<std::vector<Item>> items = co_await orders_.items();
  if (!items) {
    log::warn("shop.items.failed", {{"error", items.error().to_string()}});
    co_return unavailable("database_unavailable", "the database is away, repeat later");
  }
  json::array list;
  for (const Item& item : *items) list.push_back(item_json(item));
  co_return respond(200, {{"items", std::move(list)}});
}

}  // namespace hf::shop
