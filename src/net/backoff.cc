#include "net/backoff.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace hf::net {

Duration Backoff::ceiling(std::uint32_t retry) const {
  HF_ASSERT(first.count() >= 0 && max >= first && factor >= 1.0);
  // In floating point, where growing beyond every integer is only infinity.
  const double grown = static_cast<double>(first.count()) * std::pow(factor, static_cast<double>(retry));
  if (grown >= static_cast<double>(max.count())) return max;
  return Duration(static_cast<Duration::rep>(grown));
}

Duration Backoff::delay(std::uint32_t retry, sys::Random& random) const {
  HF_ASSERT(jitter >= 0.0 && jitter <= 1.0);
  const Duration most = ceiling(retry);
  const double share = 1.0 - jitter * random.unit();
  return Duration(static_cast<Duration::rep>(static_cast<double>(most.count()) * share));
}

}  // namespace hf::net
