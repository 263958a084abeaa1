#include "shop/order_request.h"

#include <boost/json/parse.hpp>

namespace hf::shop {
namespace {

namespace json = boost::json;

constexpr std::string_view kFields[] = {"buyer", "item", "quantity", "channel", "phone"};

Problem read_item(const json::value& value, OrderRequest& into) {
  const auto number = read_integer(value);
  if (!number) return wrong_type("item", "an integer");
  into.item = *number;
  return std::nullopt;
}

Problem read_quantity(const json::value& value, OrderRequest& into) {
  const auto number = read_integer(value);
  if (!number) return wrong_type("quantity", "an integer");
  if (*number < 1 || *number > kQuantityMax) {
    return invalid_value("quantity", fmt::format("quantity must be 1 … {}", kQuantityMax));
  }
  into.quantity = *number;
  return std::nullopt;
}

constexpr std::pair<std::string_view, Problem (*)(const json::value&, OrderRequest&)> kReaders[] = {
    {"buyer",
     [](const json::value& value, OrderRequest& into) { return read_text("buyer", value, kBuyerMax, into.buyer); }},
    {"item", read_item},
    {"quantity", read_quantity},
    {"channel", [](const json::value& value, OrderRequest& into) { return read_channels(value, into.channels); }},
    {"phone", [](const json::value& value, OrderRequest& into) { return read_phone(value, into.phone); }},
};

}  // namespace

std::variant<OrderRequest, BadRequest> parse_order_request(std::string_view body) {
  json::object object;
  if (Problem problem = parse_object(body, kFields, object)) return std::move(*problem);
  OrderRequest request;
  for (const auto& [name, read] : kReaders) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) {
      return BadRequest{400, "missing_field", std::string(name), fmt::format("{} is missing", name)};
    }
    if (Problem problem = read(*value, request)) return std::move(*problem);
  }
  return request;
}

}  // namespace hf::shop
