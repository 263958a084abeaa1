#pragma once

/// How long to wait before the next try: exponential, with jitter, so that many who failed together do not come back
/// together. Pure; the caller owns the attempt's number and the waiting.

#include "base/time.h"
#include "sys/random.h"

namespace hf::net {

/// The wait before retry n is drawn uniformly from [(1 - jitter) × w, w], where w = min(first × factor^n, max).
struct Backoff {
  Duration first = 100ms;
  Duration max = 30s;
  double factor = 2.0;  ///< ≥ 1
  double jitter = 0.5;  ///< 0: none; 1: anything from zero on ("full jitter")

  /// The upper end of the wait before retry `retry` (0 is the first); never beyond `max`, whatever the number.
  Duration ceiling(std::uint32_t retry) const;
  /// The wait itself.
  Duration delay(std::uint32_t retry, sys::Random& random) const;
};

}  // namespace hf::net
