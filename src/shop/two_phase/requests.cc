#include "shop/two_phase/requests.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "shop/two_phase/texts.h"

namespace hf::shop::two_phase {
namespace {

namespace json = boost::json;

constexpr std::string_view kOrderFields[] = {"cardNo", "itemId", "qty", "channel", "phone"};
constexpr std::string_view kPaymentFields[] = {"cardNo", "amount"};

Problem read_int(const json::object& object, std::string_view field, std::int64_t min, std::int64_t& into) {
  const json::value* value = object.if_contains(field);
  if (value == nullptr)
    return BadRequest{400, "missing_field", std::string(field), fmt::format("{} is missing", field)};
  const auto number = read_integer(*value);
  if (!number) return wrong_type(field, "an integer");
  into = *number;
  if (into >= min && into <= kIntMax) return std::nullopt;
  return BadRequest{400, "invalid_value", std::string(field), fmt::format("{} must be {} … {}", field, min, kIntMax)};
}

Problem read_card(const json::object& object, std::string& into) {
  const json::value* value = object.if_contains("cardNo");
  if (value == nullptr) return BadRequest{400, "missing_field", "cardNo", "cardNo is missing"};
  Problem problem = read_text("cardNo", *value, kCardMax, into);
  if (problem) problem->status = 400;
  return problem;
}

Problem read_contact(const json::object& object, OrderRequest& into) {
  if (const json::value* channel = object.if_contains("channel")) {
    if (Problem problem = read_channels(*channel, into.channels)) return problem;
  }
  if (const json::value* phone = object.if_contains("phone")) return read_phone(*phone, into.phone);
  return std::nullopt;
}

Problem read_order(std::string_view body, OrderRequest& into) {
  json::object object;
  if (Problem problem = parse_object(body, kOrderFields, object)) return problem;
  if (Problem problem = read_card(object, into.card_no)) return problem;
  if (Problem problem = read_int(object, "itemId", -kIntMax - 1, into.item_id)) return problem;
  if (Problem problem = read_int(object, "qty", -kIntMax - 1, into.qty)) return problem;
  if (into.qty <= 0) return BadRequest{400, "invalid_value", "qty", std::string(kInvalidOrderRequest)};
  return read_contact(object, into);
}

Problem read_payment(std::string_view body, PaymentRequest& into) {
  json::object object;
  if (Problem problem = parse_object(body, kPaymentFields, object)) return problem;
  if (Problem problem = read_card(object, into.card_no)) return problem;
  return read_int(object, "amount", 0, into.amount);
}

}  // namespace

std::variant<OrderRequest, BadRequest> parse_order(std::string_view body) {
  OrderRequest request;
  if (Problem problem = read_order(body, request)) return std::move(*problem);
  return request;
}

std::variant<PaymentRequest, BadRequest> parse_payment(std::string_view body) {
  PaymentRequest request;
  if (Problem problem = read_payment(body, request)) return std::move(*problem);
  return request;
}

std::string encode(const OrderRequest& request) {
  return json::serialize(json::object{{"cardNo", request.card_no}, {"itemId", request.item_id}, {"qty", request.qty}});
}

std::string encode(const PaymentRequest& request) {
  return json::serialize(json::object{{"cardNo", request.card_no}, {"amount", request.amount}});
}

std::string mask_card(std::string_view card_no) {
  std::string masked(card_no);
  for (std::size_t i = 0; i + 4 < masked.size(); ++i) masked[i] = '*';
  return masked;
}

}  // namespace hf::shop::two_phase
