#include "shop/two_phase/order_edge.h"

#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "shop/two_phase/branch_service.h"
#include "shop/two_phase/texts.h"

namespace hf::shop::two_phase {
namespace {

namespace json = boost::json;

net::HttpResponse respond(int status, const json::object& body) {
  return net::HttpResponse::json(status, json::serialize(body) + "\n");
}

json::object to_json(const PlacedOrder& order) {
  json::array channels;
  for (const std::string& channel : order.request.channels) channels.emplace_back(channel);
  json::object object = {{"order_id", order.order_id},
                         {"status", to_string(order.state)},
                         {"cardNo", mask_card(order.request.card_no)},
                         {"itemId", order.request.item_id},
                         {"qty", order.request.qty},
                         {"total", order.total},
                         {"channel", std::move(channels)},
                         {"phone", log::mask_phone(order.request.phone)},
                         {"transaction_id", order.gtrid},
                         {"tries", order.tries},
                         {"received_at", to_rfc3339(wall_from_us(order.received_at_us))}};
  if (!order.reason.empty()) object["reason"] = order.reason;
  if (order.decided_at_us != 0) object["decided_at"] = to_rfc3339(wall_from_us(order.decided_at_us));
  return object;
}

json::object to_json(const Step& step) {
  json::object object = {{"name", step.name},
                         {"begun_at", to_rfc3339(step.begun)},
                         {"begun_at_us", to_us(step.begun)},
                         {"ended_at_us", to_us(step.ended)}};
  if (!step.detail.empty()) object["detail"] = step.detail;
  if (step.request.empty()) return object;
  json::object headers;
  for (const auto& [name, value] : step.headers) headers[name] = value;
  object["request"] = step.request;
  object["headers"] = std::move(headers);
  object["status"] = step.status;
  return object;
}

net::HttpResponse no_such(const net::HttpRequest& request, int status) {
  if (status == 405) return text_answer(status, request.method + " is not offered here");
  if (status == 400) return text_answer(status, "the path has a broken percent-encoding");
  return text_answer(status, "there is POST /placeOrder, GET /orders/{id}, GET /orders/{id}/trace");
}

std::string id_of(const net::PathValues& path) { return std::string(net::path_value(path, "id")); }

}  // namespace

OrderEdge::OrderEdge(sys::World& world, const PlaceOrderConfig& config, OrderFlow& flow, OrderStore& store,
                     participant::Initiator& initiator)
    : world_(world),
      config_(config),
      flow_(flow),
      store_(store),
      router_(no_such),
      invalid_(world.metrics.counter("holdfast_shop_orders_total", "Requests for an order, by outcome",
                                     {{"outcome", "invalid"}})) {
  router_.add("POST", "/placeOrder",
              [this](net::HttpRequest request, net::PathValues) { return place_order(std::move(request)); });
  router_.add("GET", "/orders/{id}",
              [this](net::HttpRequest, net::PathValues path) { return get_order(std::move(path)); });
  router_.add("GET", "/orders/{id}/trace",
              [this](net::HttpRequest, net::PathValues path) { return get_order_trace(std::move(path)); });
  router_.add("GET", "/transactions/{id}/trace",
              [this](net::HttpRequest, net::PathValues path) -> asio::awaitable<net::HttpResponse> {
                co_return transaction_trace(id_of(path));
              });
  initiator.mount_completion(router_, [this](std::string gtrid, wire::two_phase::Decision decision) {
    return flow_.completed(std::move(gtrid), decision);
  });
}

asio::awaitable<net::HttpResponse> OrderEdge::place_order(net::HttpRequest request) {
  std::variant<OrderRequest, BadRequest> parsed = parse_order(request.body);
  Problem bad;
  if (auto* wrong = std::get_if<BadRequest>(&parsed)) bad = std::move(*wrong);
  std::optional<std::string> key;
  if (const auto header = request.headers.get("Idempotency-Key")) {
    key = std::string(*header);
    if (!bad) bad = check_key(*key);
  }
  if (bad) {
    invalid_.add();
    co_return refuse(*bad);
  }
  const Placement placement = co_await flow_.place(std::move(std::get<OrderRequest>(parsed)), std::move(key));
  if (Result<void> passed = co_await world_.faults.reach("shop.before_answer"); !passed) {
    co_return later(503, passed.error().message);
  }
  co_return answer(placement);
}

net::HttpResponse OrderEdge::later(int status, const std::string& text) const {
  net::HttpResponse response = text_answer(status, text);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(config_.retry_after).count();
  response.headers.add("Retry-After", std::to_string(seconds));
  return response;
}

net::HttpResponse OrderEdge::answer(const Placement& placement) const {
  using Outcome = Placement::Outcome;
  net::HttpResponse response;
  switch (placement.outcome) {
    case Outcome::placed:
      response = text_answer(200, std::string(kOrderPlaced));
      break;
    case Outcome::refused:
      response = text_answer(409, placement.reason);
      break;
    case Outcome::processing:
      response = later(202,
                       "The order is being processed: GET /orders/{id} tells, and so does the same request with "
                       "the same Idempotency-Key");
      break;
    case Outcome::key_reused:
      response = text_answer(422, placement.reason);
      break;
    case Outcome::overloaded:
    case Outcome::away:
      response = later(503, "Nothing was ordered, repeat later: " + placement.reason);
      break;
    case Outcome::failed:
      response = text_answer(500, "our mistake; it is logged");
      break;
  }
  if (!placement.gtrid.empty()) response.headers.add(std::string(wire::two_phase::kXidHeader), placement.gtrid);
  if (placement.repeated) response.headers.add("Idempotency-Replayed", "true");
  if (placement.order_id.empty()) return response;
  response.headers.add(std::string(kOrderIdHeader), placement.order_id);
  response.headers.add("Location", "/orders/" + placement.order_id);
  return response;
}

asio::awaitable<net::HttpResponse> OrderEdge::get_order(net::PathValues path) {
  const Result<std::optional<PlacedOrder>> order = co_await store_.find(id_of(path));
  if (!order) co_return later(503, "the database is away, repeat later");
  if (!*order) co_return text_answer(404, "there is no order " + id_of(path));
  co_return respond(200, to_json(**order));
}

asio::awaitable<net::HttpResponse> OrderEdge::get_order_trace(net::PathValues path) {
  const Result<std::optional<PlacedOrder>> order = co_await store_.find(id_of(path));
  if (!order) co_return later(503, "the database is away, repeat later");
  if (!*order) co_return text_answer(404, "there is no order " + id_of(path));
  co_return transaction_trace((*order)->gtrid);
}

net::HttpResponse OrderEdge::transaction_trace(const std::string& gtrid) const {
  const Calls* calls = flow_.calls().find(gtrid);
  if (calls == nullptr) return text_answer(404, "the calls of this transaction are not remembered here");
  json::array steps;
  for (const Step& step : calls->steps) steps.push_back(to_json(step));
  return respond(200, {{"transaction_id", gtrid}, {"order_id", calls->order_id}, {"steps", std::move(steps)}});
}

}  // namespace hf::shop::two_phase
