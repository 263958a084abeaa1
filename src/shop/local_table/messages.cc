#include "shop/local_table/messages.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace hf::shop::local_table {
namespace {

namespace json = boost::json;

constexpr std::size_t kOrderIdMax = 56;  // with ".confirmed" still an outbox id

Result<json::object> parse(std::string_view body) {
  boost::system::error_code failed;
  json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed);
  if (failed || !parsed.is_object()) return Error{Code::invalid, "the message is no JSON object"};
  return std::move(parsed.get_object());
}

Result<std::string> text(const json::object& object, std::string_view field) {
  const json::value* value = object.if_contains(field);
  if (value == nullptr || !value->is_string()) return Error{Code::invalid, fmt::format("{} must be a text", field)};
  return std::string(value->get_string());
}

Result<std::int64_t> integer(const json::object& object, std::string_view field) {
  const json::value* value = object.if_contains(field);
  if (value == nullptr || !value->is_int64()) return Error{Code::invalid, fmt::format("{} must be an integer", field)};
  return value->get_int64();
}

Result<std::string> order_id(const json::object& object) {
  HF_TRY(std::string id, text(object, "order_id"));
  if (id.empty() || id.size() > kOrderIdMax) return Error{Code::invalid, "order_id must have 1 … 56 characters"};
  return id;
}

}  // namespace

std::string to_json(const OrderTaken& order) {
  const json::object body = {{"order_id", order.order_id}, {"item", order.item}, {"quantity", order.quantity}};
  return json::serialize(body);
}

std::string to_json(const StockResult& result) {
  const json::object body = {{"order_id", result.order_id},
                             {"result", result.ok ? "ok" : "refused"},
                             {"reason", result.reason},
                             {"received_at_us", result.received_at_us},
                             {"decided_at_us", result.decided_at_us}};
  return json::serialize(body);
}

Result<OrderTaken> parse_order_taken(std::string_view body) {
  HF_TRY(const json::object object, parse(body));
  OrderTaken order;
  HF_TRY(order.order_id, order_id(object));
  HF_TRY(order.item, integer(object, "item"));
  HF_TRY(order.quantity, integer(object, "quantity"));
  if (order.quantity < 1) return Error{Code::invalid, "quantity must be positive"};
  return order;
}

Result<StockResult> parse_stock_result(std::string_view body) {
  HF_TRY(const json::object object, parse(body));
  StockResult result;
  HF_TRY(result.order_id, order_id(object));
  HF_TRY(const std::string verdict, text(object, "result"));
  if (verdict != "ok" && verdict != "refused") return Error{Code::invalid, "result must be ok or refused"};
  result.ok = verdict == "ok";
  HF_TRY(result.reason, text(object, "reason"));
  HF_TRY(result.received_at_us, integer(object, "received_at_us"));
  HF_TRY(result.decided_at_us, integer(object, "decided_at_us"));
  return result;
}

}  // namespace hf::shop::local_table
