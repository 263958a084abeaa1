#pragma once

/// Reading Twilio's JSON: every field may be absent or null. For .cc files only (Boost.JSON).

#include <boost/json/value.hpp>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "wire/twilio/dates.h"

namespace hf::wire::twilio {

inline std::string text_of(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(boost::json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string());
}

/// An integer, or a string of digits: Twilio writes counts as strings.
inline std::optional<int> number_of(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(boost::json::string_view(name.data(), name.size()));
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return static_cast<int>(value->get_int64());
  if (!value->is_string()) return std::nullopt;
  const auto& text = value->get_string();
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

inline std::optional<WallTime> date_of(const boost::json::object& object, std::string_view name) {
  const Result<WallTime> date = from_rfc2822(text_of(object, name));
  return date ? std::optional<WallTime>(*date) : std::nullopt;
}

inline boost::json::value string_or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return boost::json::string(boost::json::string_view(text.data(), text.size()));
}

inline boost::json::value date_or_null(std::optional<WallTime> date) {
  return string_or_null(date ? to_rfc2822(*date) : std::string{});
}

}  // namespace hf::wire::twilio
