#include "router/delivery.h"

namespace hf::router {
namespace {

using Kind = Outcome::Kind;
constexpr auto pending = DeliveryState::pending;
constexpr auto delivered = DeliveryState::delivered;
constexpr auto dead = DeliveryState::dead;

const WallTime kSince = wall_from_us(1'000'000'000'000);

struct Case {
  const char* what;
  Kind kind;
  int status;
  std::optional<Duration> retry_after;
  std::int64_t tries;
  Duration age;  ///< since the round began
  DeliveryState state;
  Duration wait;  ///< pending: until the next attempt (jitter 0)
  const char* code;
  const char* condition;
};

// Policy: 3 retries, 60 s; waits 1 s, 2 s, 4 s … at most 10 s, of which the lower half without jitter.
const Case kCases[] = {
    {"200", Kind::answered, 200, {}, 1, 0s, delivered, 0s, "", ""},
    {"201 as the document says (A33)", Kind::answered, 201, {}, 1, 0s, delivered, 0s, "", ""},
    {"204", Kind::answered, 204, {}, 4, 70s, delivered, 0s, "", ""},
    {"redirects are not followed", Kind::answered, 301, {}, 1, 0s, dead, 0s, "ERROR_FROM_TARGET", ""},
    {"400", Kind::answered, 400, {}, 1, 0s, dead, 0s, "ERROR_FROM_TARGET", ""},
    {"401 is a configuration error (A44)", Kind::answered, 401, {}, 1, 0s, dead, 0s, "ERROR_FROM_TARGET", ""},
    {"403", Kind::answered, 403, {}, 1, 0s, dead, 0s, "ERROR_FROM_TARGET", ""},
    {"404", Kind::answered, 404, {}, 1, 0s, dead, 0s, "ERROR_FROM_TARGET", ""},
    {"409 may pass", Kind::answered, 409, {}, 1, 0s, pending, 500ms, "ERROR_FROM_TARGET", ""},
    {"429", Kind::answered, 429, {}, 1, 0s, pending, 500ms, "THROTTLING", ""},
    {"429 with Retry-After", Kind::answered, 429, 7s, 1, 0s, pending, 7s, "THROTTLING", ""},
    {"Retry-After below our own wait", Kind::answered, 503, 1ms, 3, 0s, pending, 2s, "ERROR_FROM_TARGET", ""},
    {"Retry-After is capped", Kind::answered, 503, 1h, 1, 0s, pending, 30s, "ERROR_FROM_TARGET", ""},
    {"negative Retry-After ends it", Kind::answered, 503, -1s, 1, 0s, dead, 0s, "ERROR_FROM_TARGET", ""},
    {"500", Kind::answered, 500, {}, 2, 0s, pending, 1s, "ERROR_FROM_TARGET", ""},
    {"timeout", Kind::timeout, 0, {}, 1, 0s, pending, 500ms, "TIMEOUT", ""},
    {"nobody there", Kind::unreachable, 0, {}, 1, 0s, pending, 500ms, "CONNECTION_FAILURE", ""},
    {"role without the right (A41)", Kind::denied, 0, {}, 1, 0s, pending, 500ms, "NO_PERMISSIONS", ""},
    {"retries used up", Kind::denied, 0, {}, 4, 0s, dead, 0s, "NO_PERMISSIONS", "MaximumRetryAttempts"},
    {"the last retry", Kind::timeout, 0, {}, 3, 0s, pending, 2s, "TIMEOUT", ""},
    {"too old when the retry would come",
     Kind::timeout,
     0,
     {},
     2,
     59'500ms,
     dead,
     0s,
     "TIMEOUT",
     "MaximumEventAgeInSeconds"},
    {"target is gone", Kind::no_resource, 0, {}, 1, 0s, dead, 0s, "NO_RESOURCE", ""},
    {"no request can be made", Kind::invalid_input, 0, {}, 1, 0s, dead, 0s, "INVALID_JSON", ""},
};

TEST(Delivery, Decide) {
  const DeliveryRules rules{{3, 60s}, 1s, 10s, 30s};
  for (const Case& c : kCases) {
    const WallTime now = kSince + std::chrono::duration_cast<WallTime::duration>(c.age);
    const Verdict got = decide({c.kind, c.status, c.retry_after, "why"}, c.tries, kSince, rules, now, 0);
    EXPECT_EQ(got.state, c.state) << c.what;
    EXPECT_EQ(got.error_code, c.code) << c.what;
    EXPECT_EQ(got.condition, c.condition) << c.what;
    EXPECT_EQ(got.error.empty(), c.state == delivered) << c.what;
    if (c.state == pending) {
      EXPECT_EQ(got.next_attempt - now, c.wait) << c.what;
    }
  }
}

TEST(Delivery, NoRetriesMeansOneTry) {
  const DeliveryRules rules{{0, 60s}, 1s, 10s, 30s};
  EXPECT_EQ(decide({Kind::timeout, 0, {}, ""}, 1, kSince, rules, kSince, 0).state, dead);
}

TEST(Delivery, WaitsDoubleUpToTheLimitWithinTheirUpperHalf) {
  const DeliveryRules rules{{185, 24h}, 1s, 10min, 1h};
  for (std::int64_t tries = 1; tries <= 186; ++tries) {
    const Duration full = std::min<Duration>(10min, std::chrono::seconds(1ll << std::min<std::int64_t>(tries - 1, 20)));
    EXPECT_EQ(retry_delay(tries, rules, 0), full / 2) << tries;
    EXPECT_LE(retry_delay(tries, rules, 0.999), full) << tries;
    EXPECT_GT(retry_delay(tries, rules, 0.999), full * 9 / 10) << tries;
  }
}

TEST(Delivery, ExpiresOnlyAfterATry) {
  const DeliveryRules rules{{3, 60s}, 1s, 10s, 30s};
  EXPECT_FALSE(expired(0, kSince, rules, kSince + 2h, "", ""));
  EXPECT_FALSE(expired(1, kSince, rules, kSince + 60s, "", ""));
  EXPECT_EQ(expired(1, kSince, rules, kSince + 61s, "TIMEOUT", "x")->condition, "MaximumEventAgeInSeconds");
}

}  // namespace
}  // namespace hf::router
