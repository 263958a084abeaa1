#pragma once

/// What the request bodies of the shop have in common: fields read one by one, each with its own complaint (P8).

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace boost::json {
class object;
class value;
}  // namespace boost::json

namespace hf::shop {

/// Why a request is refused.
struct BadRequest {
  int status;        ///< 400: not the shape · 422: the shape, but a value that cannot be
  std::string code;  ///< "invalid_json", "unknown_field", "missing_field", "wrong_type", "invalid_value", "invalid_key"
  std::string field;    ///< empty: the whole body
  std::string message;  ///< for people
};
using Problem = std::optional<BadRequest>;

BadRequest invalid_value(std::string_view field, std::string message);
BadRequest wrong_type(std::string_view field, std::string_view wanted);

/// The body as an object with no other fields than `fields`.
Problem parse_object(std::string_view body, std::span<const std::string_view> fields, boost::json::object& into);

/// An integer as JSON spells it; 2.0 and "2" are none (ruling W11). Beyond 64 bits: INT64_MAX, beyond every bound.
std::optional<std::int64_t> read_integer(const boost::json::value& value);
/// Text of 1 … `bytes_max` bytes without control characters.
Problem read_text(std::string_view field, const boost::json::value& value, std::size_t bytes_max, std::string& into);
/// One of sms, whatsapp, voice, or a list of them: at least one, each once. Sorted.
Problem read_channels(const boost::json::value& value, std::vector<std::string>& into);
/// E.164.
Problem read_phone(const boost::json::value& value, std::string& into);
/// The rules of the last two, for what configuration says. Errors: invalid.
Result<void> check_contact(const std::vector<std::string>& channels, const std::string& phone);

/// The Idempotency-Key header: 1 … 255 printable ASCII characters.
Problem check_key(std::string_view key);

}  // namespace hf::shop
