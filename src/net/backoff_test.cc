#include "net/backoff.h"

#include <limits>

namespace hf::net {
namespace {

TEST(Backoff, CeilingGrowsAndStops) {
  const Backoff backoff{.first = 100ms, .max = 5s};
  struct Case {
    std::uint32_t retry;
    Duration want;
  };
  constexpr Case kCases[] = {
      {0, 100ms}, {1, 200ms}, {5, 3200ms}, {6, 5s}, {63, 5s}, {std::numeric_limits<std::uint32_t>::max(), 5s},
  };
  for (const Case& c : kCases) EXPECT_EQ(backoff.ceiling(c.retry), c.want) << c.retry;
}

TEST(Backoff, DelayStaysWithinItsShare) {
  const Backoff backoff{.first = 100ms, .max = 5s, .factor = 2.0, .jitter = 0.25};
  sys::SeededRandom random(7);
  for (std::uint32_t retry = 0; retry < 200; ++retry) {
    const Duration delay = backoff.delay(retry, random);
    EXPECT_LE(delay, backoff.ceiling(retry));
    EXPECT_GE(delay, backoff.ceiling(retry) * 3 / 4);
  }
}

TEST(Backoff, WithoutJitterItIsTheCeiling) {
  const Backoff backoff{.first = 1s, .max = 60s, .factor = 3.0, .jitter = 0.0};
  sys::SeededRandom random(7);
  EXPECT_EQ(backoff.delay(2, random), 9s);
}

}  // namespace
}  // namespace hf::net
