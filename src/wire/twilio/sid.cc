#include "wire/twilio/sid.h"

#include <algorithm>

#include "base/bytes.h"

namespace hf::wire::twilio {
namespace {

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

bool is_sid(std::string_view prefix, std::string_view text) {
  constexpr std::size_t kLength = 34;
  return text.size() == kLength && text.starts_with(prefix) &&
         std::all_of(text.begin() + static_cast<std::ptrdiff_t>(prefix.size()), text.end(), is_hex);
}

bool is_message_sid(std::string_view text) { return is_sid(kMessagePrefix, text) || is_sid(kMediaMessagePrefix, text); }

BasicCredentials parse_basic(std::string_view header) {
  constexpr std::string_view kScheme = "basic ";
  if (header.size() <= kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    const char lower = header[i] >= 'A' && header[i] <= 'Z' ? static_cast<char>(header[i] - 'A' + 'a') : header[i];
    if (lower != kScheme[i]) return {};
  }
  const auto decoded = unbase64(header.substr(kScheme.size()));
  if (!decoded) return {};
  const std::size_t colon = decoded->find(':');
  if (colon == std::string::npos) return {};
  return {decoded->substr(0, colon), decoded->substr(colon + 1)};
}

std::string basic_header(std::string_view user, std::string_view password) {
  std::string pair(user);
  pair += ':';
  pair += password;
  return "Basic " + base64(as_bytes(pair));
}

}  // namespace hf::wire::twilio
