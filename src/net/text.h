#pragma once

/// Character rules of RFC 9110 and 9112, shared by the files of this folder.

#include <algorithm>
#include <string>
#include <string_view>

namespace hf::net {

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
inline bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

inline std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

/// tchar: what names of methods and headers are made of.
inline bool is_token_character(char c) {
  return is_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
inline bool is_token(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_token_character); }

/// What may stand in a request target: visible ASCII. A space or a line end there would begin another message.
inline bool is_target_character(char c) { return c > ' ' && c < '\x7f'; }

/// What may stand in a header's value. CR, LF and NUL would let data write headers of its own.
inline bool is_value_character(char c) { return c != '\r' && c != '\n' && c != '\0'; }

/// "::1" → "[::1]", as addresses stand in URLs and Host.
inline std::string bracketed(std::string_view host) {
  return host.find(':') == std::string_view::npos ? std::string(host) : "[" + std::string(host) + "]";
}

}  // namespace hf::net
