#include "shop/json_input.h"

#include <boost/json/parse.hpp>

#include "shop/order.h"

namespace hf::shop {
namespace {

namespace json = boost::json;

constexpr std::string_view kChannels[] = {"sms", "voice", "whatsapp"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Problem add_channel(std::string_view name, std::vector<std::string>& into) {
  if (std::find(std::begin(kChannels), std::end(kChannels), name) == std::end(kChannels)) {
    return invalid_value("channel", "channel must be sms, whatsapp or voice");
  }
  if (std::find(into.begin(), into.end(), name) != into.end()) {
    return invalid_value("channel", fmt::format("channel {} is named twice", name));
  }
  into.emplace_back(name);
  return std::nullopt;
}

Problem add_channel(const json::value& value, std::vector<std::string>& into) {
  if (!value.is_string()) return wrong_type("channel", "a text or a list of texts");
  return add_channel(std::string_view(value.get_string()), into);
}

Problem check_phone(std::string_view phone) {
  const std::string_view digits = phone.substr(phone.empty() ? 0 : 1);
  const bool valid = phone.starts_with('+') && digits.size() >= 7 && digits.size() <= 15 && digits[0] != '0' &&
                     std::all_of(digits.begin(), digits.end(), is_digit);
  if (!valid) return invalid_value("phone", "phone must be in E.164 form: + and 7 … 15 digits, the first not 0");
  return std::nullopt;
}

Problem none_named() { return invalid_value("channel", "channel must name at least one of sms, whatsapp, voice"); }

}  // namespace

BadRequest invalid_value(std::string_view field, std::string message) {
  return {422, "invalid_value", std::string(field), std::move(message)};
}
BadRequest wrong_type(std::string_view field, std::string_view wanted) {
  return {400, "wrong_type", std::string(field), fmt::format("{} must be {}", field, wanted)};
}

Problem parse_object(std::string_view body, std::span<const std::string_view> fields, json::object& into) {
  boost::system::error_code failed;
  json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed);
  if (failed) return BadRequest{400, "invalid_json", "", "the body is not JSON: " + failed.message()};
  if (!parsed.is_object()) return BadRequest{400, "invalid_json", "", "the body must be a JSON object"};
  into = std::move(parsed.get_object());
  for (const auto& member : into) {
    const std::string_view name = member.key();
    if (std::find(fields.begin(), fields.end(), name) == fields.end()) {
      return BadRequest{400, "unknown_field", std::string(name.substr(0, 64)), "there is no such field here"};
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> read_integer(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_uint64()) return INT64_MAX;
  return std::nullopt;
}

Problem read_text(std::string_view field, const json::value& value, std::size_t bytes_max, std::string& into) {
  if (!value.is_string()) return wrong_type(field, "a text");
  into = std::string(value.get_string());
  const bool printable =
      std::none_of(into.begin(), into.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (!into.empty() && into.size() <= bytes_max && printable) return std::nullopt;
  return invalid_value(field, fmt::format("{} must have 1 … {} bytes and no control characters", field, bytes_max));
}

Problem read_channels(const json::value& value, std::vector<std::string>& into) {
  if (!value.is_array()) return add_channel(value, into);
  for (const json::value& one : value.get_array()) {
    if (Problem problem = add_channel(one, into)) return problem;
  }
  if (into.empty()) return none_named();
  std::sort(into.begin(), into.end());  // so that the order of a list makes no other request
  return std::nullopt;
}

Problem read_phone(const json::value& value, std::string& into) {
  if (!value.is_string()) return wrong_type("phone", "a text");
  into = std::string(value.get_string());
  return check_phone(into);
}

Result<void> check_contact(const std::vector<std::string>& channels, const std::string& phone) {
  Problem problem = check_phone(phone);
  if (!problem && channels.empty()) problem = none_named();
  std::vector<std::string> seen;
  for (std::size_t i = 0; !problem && i < channels.size(); ++i) problem = add_channel(channels[i], seen);
  if (problem) return Error{Code::invalid, problem->message};
  return ok();
}

Problem check_key(std::string_view key) {
  const bool printable = std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!key.empty() && key.size() <= kKeyMax && printable) return std::nullopt;
  return BadRequest{400, "invalid_key", "Idempotency-Key",
                    fmt::format("Idempotency-Key must have 1 … {} printable ASCII characters", kKeyMax)};
}

}  // namespace hf::shop
