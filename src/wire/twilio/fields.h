#pragma once

/// name=value pairs of a form or a query, decoded, in the order they came; the same type as net::FormFields.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace hf::wire::twilio {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// The first of that name; "" if absent (Twilio treats an empty value as an absent one, except for `Body`).
inline const std::string& field(const Fields& fields, std::string_view name) {
  static const std::string empty;
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return empty;
}

inline std::vector<std::string> all_fields(const Fields& fields, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& [key, value] : fields) {
    if (key == name && !value.empty()) out.push_back(value);
  }
  return out;
}

/// All names and values are UTF-8 without NUL: what JSON and SQL can hold.
inline bool is_text(const Fields& fields) {
  const auto good = [](const std::string& text) { return is_utf8(text) && text.find('\0') == std::string::npos; };
  for (const auto& [name, value] : fields) {
    if (!good(name) || !good(value)) return false;
  }
  return true;
}

}  // namespace hf::wire::twilio
