#pragma once

/// Randomness, passed in: real from the kernel, or from one seed so that any run can be replayed.

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace hf::sys {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableBytes out) = 0;  ///< any thread
  std::uint64_t u64();
  /// Uniform in [0, bound). `bound` > 0.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1).
  double unit();
  /// `bytes` random bytes as lower-case hex.
  std::string hex(std::size_t bytes);
  /// "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx" (RFC 4122 version 4).
  std::string uuid();
};

/// getrandom(2).
class RealRandom final : public Random {
 public:
  void fill(MutableBytes out) override;
};

/// splitmix64 from one seed. Not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableBytes out) override;

 private:
  std::uint64_t state_;
};

}  // namespace hf::sys
