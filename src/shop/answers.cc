#include "shop/answers.h"

#include <boost/json/serialize.hpp>

#include "base/log.h"

namespace hf::shop {

namespace json = boost::json;

net::HttpResponse respond(int status, const json::object& body) {
  return net::HttpResponse::json(status, json::serialize(body) + "\n");
}

json::object error_of(std::string_view code, std::string_view message, std::string_view field) {
  json::object error = {{"code", code}, {"message", message}};
  if (!field.empty()) error["field"] = field;
  return error;
}

net::HttpResponse refuse(int status, std::string_view code, std::string_view message, std::string_view field) {
  return respond(status, {{"error", error_of(code, message, field)}});
}

net::HttpResponse refuse_for_now(std::string_view code, std::string_view message, Duration retry_after) {
  net::HttpResponse response = refuse(503, code, message);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(retry_after).count();
  response.headers.add("Retry-After", std::to_string(seconds));
  return response;
}

net::HttpResponse no_such_path(const net::HttpRequest& request, int status) {
  if (status == 405) return refuse(status, "method_not_allowed", request.method + " is not offered here");
  if (status == 400) return refuse(status, "invalid_path", "the path has a broken percent-encoding");
  return refuse(status, "not_found", "there is POST /orders, GET /orders/{id}, GET /items");
}

void add_request(json::object& body, const OrderRequest& request, std::int64_t unit_price_minor) {
  json::array channels;
  for (const std::string& channel : request.channels) channels.emplace_back(channel);
  body["buyer"] = request.buyer;
  body["item"] = request.item;
  body["quantity"] = request.quantity;
  body["channel"] = std::move(channels);
  body["phone"] = log::mask_phone(request.phone);
  body["total_minor"] = unit_price_minor * request.quantity;
}

json::object item_json(const Item& item) {
  return {{"id", item.id},           {"name", item.name},           {"price_minor", item.price_minor},
          {"initial", item.initial}, {"available", item.available}, {"sold", item.sold}};
}

std::string sold_out_text(const OrderRequest& request) {
  return fmt::format("fewer than {} pieces of item {} are left", request.quantity, request.item);
}

void add_hop(json::array& hops, std::string_view name, std::int64_t at_us, std::string_view detail) {
  if (at_us == 0) return;
  json::object hop = {{"hop", name}, {"at", to_rfc3339(wall_from_us(at_us))}, {"at_us", at_us}};
  if (!detail.empty()) hop["detail"] = detail;
  hops.push_back(std::move(hop));
}

bool wants_trace(const net::HttpRequest& request) {
  const auto fields = net::parse_form(request.query());
  return fields && net::find_field(*fields, "trace") == "1";
}

}  // namespace hf::shop
