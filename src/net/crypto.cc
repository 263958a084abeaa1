#include "net/crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/assert.h"

namespace hf::net {

namespace {

using DigestBuffer = std::array<unsigned char, EVP_MAX_MD_SIZE>;

std::string take(const DigestBuffer& buffer, unsigned int size) {
  return std::string(reinterpret_cast<const char*>(buffer.data()), size);
}

std::string digest(const EVP_MD* algorithm, std::string_view data) {
  DigestBuffer buffer;
  unsigned int size = 0;
  HF_ASSERT(EVP_Digest(data.data(), data.size(), buffer.data(), &size, algorithm, nullptr) == 1);
  return take(buffer, size);
}

std::string hmac(const EVP_MD* algorithm, std::string_view key, std::string_view data) {
  // HMAC(3) reads a null key as "the key of the last call"; an empty key must still be a key.
  const char* key_bytes = key.empty() ? "" : key.data();
  DigestBuffer buffer;
  unsigned int size = 0;
  HF_ASSERT(HMAC(algorithm, key_bytes, static_cast<int>(key.size()),
                 reinterpret_cast<const unsigned char*>(data.data()), data.size(), buffer.data(), &size) != nullptr);
  return take(buffer, size);
}

}  // namespace

std::string sha256(std::string_view data) { return digest(EVP_sha256(), data); }
std::string md5(std::string_view data) { return digest(EVP_md5(), data); }
std::string hmac_sha256(std::string_view key, std::string_view data) { return hmac(EVP_sha256(), key, data); }
std::string hmac_sha1(std::string_view key, std::string_view data) { return hmac(EVP_sha1(), key, data); }

}  // namespace hf::net
