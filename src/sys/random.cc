#include "sys/random.h"

#include <sys/random.h>

#include <cerrno>

#include "base/assert.h"

namespace hf::sys {

std::uint64_t Random::u64() {
  std::array<std::uint8_t, 8> bytes;
  fill(bytes);
  return get_u64(bytes.data());
}

std::uint64_t Random::below(std::uint64_t bound) {
  HF_ASSERT(bound > 0);
  // Values at the top that would favour small remainders are drawn again.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  for (;;) {
    const std::uint64_t value = u64();
    if (value < limit) return value % bound;
  }
}

double Random::unit() { return static_cast<double>(u64() >> 11) * 0x1p-53; }

std::string Random::hex(std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  fill(raw);
  return hf::hex(raw);
}

std::string Random::uuid() {
  std::array<std::uint8_t, 16> raw;
  fill(raw);
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0F) | 0x40);
  raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3F) | 0x80);
  std::string text = hf::hex(raw);
  for (const std::size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
  return text;
}

void RealRandom::fill(MutableBytes out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    HF_ASSERT(got > 0);  // cannot fail once the kernel's pool is seeded
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

void SeededRandom::fill(MutableBytes out) {
  for (std::size_t i = 0; i < out.size();) {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    for (int k = 0; k < 8 && i < out.size(); ++k, ++i, z >>= 8) out[i] = static_cast<std::uint8_t>(z);
  }
}

}  // namespace hf::sys
