#include "wire/twilio/segments.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace hf::wire::twilio {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::size_t kSingleGsm7 = 160, kPartGsm7 = 153, kSingleUcs2 = 70, kPartUcs2 = 67;

// The basic table's characters outside ASCII, and the ASCII characters that are not in it.
constexpr std::u32string_view kBasicBeyondAscii = U"£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";
constexpr std::u32string_view kExtension = U"\f^{}\\[~]|€";

bool in_basic(char32_t c) {
  if (c == U'\n' || c == U'\r') return true;
  if (c >= 0x20 && c < 0x7F) return c != U'`' && kExtension.find(c) == std::u32string_view::npos;
  return kBasicBeyondAscii.find(c) != std::u32string_view::npos;
}

/// Takes one character off the front.
char32_t take(std::string_view& text) {
  const auto first = static_cast<std::uint8_t>(text[0]);
  const std::size_t length = first < 0x80           ? 1
                             : (first >> 5) == 0x6  ? 2
                             : (first >> 4) == 0xE  ? 3
                             : (first >> 3) == 0x1E ? 4
                                                    : 0;
  if (length == 0 || text.size() < length) {
    text.remove_prefix(1);
    return kReplacement;
  }
  char32_t c = length == 1 ? first : first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) c = (c << 6) | (static_cast<std::uint8_t>(text[i]) & 0x3Fu);
  text.remove_prefix(length);
  return c;
}

std::size_t utf16_units(char32_t c) { return c > 0xFFFF ? 2 : 1; }

}  // namespace

Segmentation segment(std::string_view text) {
  std::u32string characters;
  while (!text.empty()) characters.push_back(take(text));
  Segmentation out;
  out.gsm7 = std::ranges::all_of(
      characters, [](char32_t c) { return in_basic(c) || kExtension.find(c) != std::u32string_view::npos; });
  const auto weight = [&](char32_t c) -> std::size_t {
    if (!out.gsm7) return utf16_units(c);
    return in_basic(c) ? 1 : 2;
  };
  for (const char32_t c : characters) out.units += weight(c);
  if (out.units <= (out.gsm7 ? kSingleGsm7 : kSingleUcs2)) return out;

  // Greedy, and never through an extension pair or a surrogate pair: confirmed on the live API for 153 × ']'.
  const std::size_t part = out.gsm7 ? kPartGsm7 : kPartUcs2;
  std::size_t used = 0;
  for (const char32_t c : characters) {
    if (used + weight(c) > part) {
      ++out.segments;
      used = 0;
    }
    used += weight(c);
  }
  return out;
}

std::size_t utf16_length(std::string_view text) {
  std::size_t units = 0;
  while (!text.empty()) units += utf16_units(take(text));
  return units;
}

}  // namespace hf::wire::twilio
