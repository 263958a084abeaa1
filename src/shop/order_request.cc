#include "shop/order_request.h"

#include <boost/json/parse.hpp>

namespace hf::shop {
namespace {

namespace json = boost::json;

constexpr std::string_view kFields[] = {"buyer", "item", "quantity", "channel", "phone"};
constexpr std::string_view kChannels[] = {"sms", "voice", "whatsapp"};

using Problem = std::optional<BadRequest>;

BadRequest invalid(std::string_view field, std::string message) {
  return {422, "invalid_value", std::string(field), std::move(message)};
}
BadRequest wrong_type(std::string_view field, std::string_view wanted) {
  return {400, "wrong_type", std::string(field), fmt::format("{} must be {}", field, wanted)};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Problem read_buyer(const json::value& value, OrderRequest& into) {
  if (!value.is_string()) return wrong_type("buyer", "a text");
  into.buyer = std::string(value.as_string());
  const bool printable = std::none_of(into.buyer.begin(), into.buyer.end(),
                                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (into.buyer.empty() || into.buyer.size() > kBuyerMax || !printable) {
    return invalid("buyer", fmt::format("buyer must have 1 … {} bytes and no control characters", kBuyerMax));
  }
  return std::nullopt;
}

/// An integer, however JSON spells it; 2.0 and "2" are none (ruling W11: reject what is not an integer).
std::optional<std::int64_t> integer(const json::value& value) {
  if (value.is_int64()) return value.as_int64();
  if (value.is_uint64()) return INT64_MAX;  // beyond every bound of ours
  return std::nullopt;
}

Problem read_item(const json::value& value, OrderRequest& into) {
  const auto number = integer(value);
  if (!number) return wrong_type("item", "an integer");
  into.item = *number;
  return std::nullopt;
}

Problem read_quantity(const json::value& value, OrderRequest& into) {
  const auto number = integer(value);
  if (!number) return wrong_type("quantity", "an integer");
  if (*number < 1 || *number > kQuantityMax) {
    return invalid("quantity", fmt::format("quantity must be 1 … {}", kQuantityMax));
  }
  into.quantity = *number;
  return std::nullopt;
}

Problem add_channel(const json::value& value, OrderRequest& into) {
  if (!value.is_string()) return wrong_type("channel", "a text or a list of texts");
  const std::string_view name = value.as_string();
  if (std::find(std::begin(kChannels), std::end(kChannels), name) == std::end(kChannels)) {
    return invalid("channel", "channel must be sms, whatsapp or voice");
  }
  if (std::find(into.channels.begin(), into.channels.end(), name) != into.channels.end()) {
    return invalid("channel", fmt::format("channel {} is named twice", name));
  }
  into.channels.emplace_back(name);
  return std::nullopt;
}

Problem read_channel(const json::value& value, OrderRequest& into) {
  if (!value.is_array()) return add_channel(value, into);
  for (const json::value& one : value.get_array()) {
    if (Problem problem = add_channel(one, into)) return problem;
  }
  if (into.channels.empty()) return invalid("channel", "channel must name at least one of sms, whatsapp, voice");
  std::sort(into.channels.begin(), into.channels.end());  // so that the order of a list makes no other request
  return std::nullopt;
}

Problem read_phone(const json::value& value, OrderRequest& into) {
  if (!value.is_string()) return wrong_type("phone", "a text");
  into.phone = std::string(value.as_string());
  const std::string_view digits = std::string_view(into.phone).substr(into.phone.empty() ? 0 : 1);
  const bool valid = into.phone.starts_with('+') && digits.size() >= 7 && digits.size() <= 15 && digits[0] != '0' &&
                     std::all_of(digits.begin(), digits.end(), is_digit);
  if (!valid) return invalid("phone", "phone must be in E.164 form: + and 7 … 15 digits, the first not 0");
  return std::nullopt;
}

constexpr std::pair<std::string_view, Problem (*)(const json::value&, OrderRequest&)> kReaders[] = {
    {"buyer", read_buyer},     {"item", read_item},   {"quantity", read_quantity},
    {"channel", read_channel}, {"phone", read_phone},
};

}  // namespace

std::variant<OrderRequest, BadRequest> parse_order_request(std::string_view body) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed);
  if (failed) return BadRequest{400, "invalid_json", "", "the body is not JSON: " + failed.message()};
  if (!parsed.is_object()) return BadRequest{400, "invalid_json", "", "the body must be a JSON object"};
  const json::object& object = parsed.get_object();
  for (const auto& member : object) {
    const std::string_view name = member.key();
    if (std::find(std::begin(kFields), std::end(kFields), name) == std::end(kFields)) {
      return BadRequest{400, "unknown_field", std::string(name.substr(0, 64)), "an order has no such field"};
    }
  }
  OrderRequest request;
  for (const auto& [name, read] : kReaders) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr)
      return BadRequest{400, "missing_field", std::string(name), fmt::format("{} is missing", name)};
    if (Problem problem = read(*value, request)) return std::move(*problem);
  }
  return request;
}

std::optional<BadRequest> check_key(std::string_view key) {
  const bool printable = std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!key.empty() && key.size() <= kKeyMax && printable) return std::nullopt;
  return BadRequest{400, "invalid_key", "Idempotency-Key",
                    fmt::format("Idempotency-Key must have 1 … {} printable ASCII characters", kKeyMax)};
}

}  // namespace hf::shop
