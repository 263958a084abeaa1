#include "wire/eventbridge/value.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include "base/assert.h"

namespace hf::wire::eventbridge {
namespace {

/// A decimal number without leading and trailing zeros: digits × 10^exponent.
struct Decimal {
  bool negative = false;
  std::string digits;
  long exponent = 0;
  bool operator==(const Decimal&) const = default;
};

std::optional<Decimal> to_decimal(std::string_view spelling) {
  Decimal out;
  if (!spelling.empty() && spelling.front() == '-') out.negative = true, spelling.remove_prefix(1);
  const std::size_t e = spelling.find_first_of("eE");
  if (e != std::string_view::npos) {
    std::string_view exponent = spelling.substr(e + 1);
    if (!exponent.empty() && exponent.front() == '+') exponent.remove_prefix(1);
    const auto [end, error] = std::from_chars(exponent.data(), exponent.data() + exponent.size(), out.exponent);
    if (error != std::errc{} || end != exponent.data() + exponent.size() || std::labs(out.exponent) > 100'000)
      return std::nullopt;
  }
  bool fraction = false;
  for (const char c : spelling.substr(0, e)) {
    if (c == '.') {
      fraction = true;
      continue;
    }
    if (fraction) --out.exponent;
    if (!out.digits.empty() || c != '0') out.digits += c;
  }
  while (!out.digits.empty() && out.digits.back() == '0') out.digits.pop_back(), ++out.exponent;
  if (out.digits.empty()) return Decimal{};
  return out;
}

}  // namespace

std::optional<double> exact_number(std::string_view spelling) {
  double value = 0;
  const auto [end, error] = std::from_chars(spelling.data(), spelling.data() + spelling.size(), value);
  if (error != std::errc{} || end != spelling.data() + spelling.size() || !std::isfinite(value)) return std::nullopt;
  const bool plain_integer = spelling.size() <= 15 && spelling.find_first_of(".eE") == std::string_view::npos;
  if (!plain_integer) {
    char shortest[64];
    const auto printed = std::to_chars(shortest, shortest + sizeof shortest, value, std::chars_format::scientific);
    const std::optional<Decimal> wanted = to_decimal(spelling);
    if (!wanted || wanted != to_decimal({shortest, static_cast<std::size_t>(printed.ptr - shortest)}))
      return std::nullopt;
  }
  return value == 0 ? 0.0 : value;  // -0 equals 0
}

void ValueKey::assign(JsonKind kind, std::string_view content) {
  number.reset();
  bytes = {};
  switch (kind) {
    case JsonKind::null:
      tag = 'z';
      return;
    case JsonKind::true_:
      tag = 't';
      return;
    case JsonKind::false_:
      tag = 'f';
      return;
    case JsonKind::string:
      tag = 's';
      bytes = content;
      return;
    case JsonKind::number:
      number = exact_number(content);
      tag = number ? 'n' : 'N';
      bytes = content;
      if (number) {
        std::memcpy(number_bytes, &*number, sizeof number_bytes);
        bytes = {number_bytes, sizeof number_bytes};
      }
      return;
    case JsonKind::array:
    case JsonKind::object:
      break;
  }
  HF_ASSERT(false);  // only leaves have a key
}

}  // namespace hf::wire::eventbridge
