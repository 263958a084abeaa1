#pragma once

/// Digests and signatures; OpenSSL is behind them (crypto.cc). Results are raw bytes in a string; hex() and base64()
/// are in base/bytes.h.

#include <string>
#include <string_view>

namespace hf::net {

std::string sha256(std::string_view data);
std::string md5(std::string_view data);
std::string hmac_sha256(std::string_view key, std::string_view data);
std::string hmac_sha1(std::string_view key, std::string_view data);

}  // namespace hf::net
