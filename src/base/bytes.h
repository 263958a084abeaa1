#pragma once

/// Byte views, little-endian integers, hex and base64.

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hf {

/// A view; whoever gives it keeps the bytes alive.
using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// The machine is little-endian (asserted in bytes.cc), so these are plain loads and stores.
inline std::uint16_t get_u16(const std::uint8_t* at) {
  std::uint16_t v;
  std::memcpy(&v, at, sizeof v);
  return v;
}
inline std::uint32_t get_u32(const std::uint8_t* at) {
  std::uint32_t v;
  std::memcpy(&v, at, sizeof v);
  return v;
}
inline std::uint64_t get_u64(const std::uint8_t* at) {
  std::uint64_t v;
  std::memcpy(&v, at, sizeof v);
  return v;
}
inline void put_u16(std::uint8_t* at, std::uint16_t v) { std::memcpy(at, &v, sizeof v); }
inline void put_u32(std::uint8_t* at, std::uint32_t v) { std::memcpy(at, &v, sizeof v); }
inline void put_u64(std::uint8_t* at, std::uint64_t v) { std::memcpy(at, &v, sizeof v); }

enum class HexCase { lower, upper };
std::string hex(Bytes bytes, HexCase letters = HexCase::lower);
/// Either case; nullopt on an odd length or a foreign character.
std::optional<std::string> unhex(std::string_view text);

enum class Base64 { standard, url_unpadded };
std::string base64(Bytes bytes, Base64 alphabet = Base64::standard);
/// Accepts missing padding; nullopt on a foreign character or an impossible length.
std::optional<std::string> unbase64(std::string_view text, Base64 alphabet = Base64::standard);

/// Percent-encoding of RFC 3986: unreserved characters stay. `+` means itself here, not a space.
std::string percent_encode(std::string_view text);
std::optional<std::string> percent_decode(std::string_view text);

/// True for well-formed UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

/// Equality in time that depends on the lengths only; for secrets and signatures.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace hf
