#include "router/delivery.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace hf::router {
namespace {

struct Meaning {
  enum class Then { done, retry, give_up } then;
  std::string code;
};

Meaning of_status(int status) {
  if (status >= 200 && status < 300) return {Meaning::Then::done, ""};
  if (status == 429) return {Meaning::Then::retry, "THROTTLING"};
  if (status >= 500 || status == 409) return {Meaning::Then::retry, "ERROR_FROM_TARGET"};
  return {Meaning::Then::give_up, "ERROR_FROM_TARGET"};  // 401, 403: configuration; redirects are not followed
}

Meaning of(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::answered:
      return of_status(outcome.status);
    case Outcome::Kind::timeout:
      return {Meaning::Then::retry, "TIMEOUT"};
    case Outcome::Kind::unreachable:
      return {Meaning::Then::retry, "CONNECTION_FAILURE"};
    case Outcome::Kind::denied:
      return {Meaning::Then::retry, "NO_PERMISSIONS"};  // the right may be granted meanwhile
    case Outcome::Kind::no_resource:
      return {Meaning::Then::give_up, "NO_RESOURCE"};
    case Outcome::Kind::invalid_input:
      return {Meaning::Then::give_up, "INVALID_JSON"};
  }
  HF_ASSERT(false);  // the list is closed
}

std::string text_of(const Outcome& outcome) {
  if (outcome.kind != Outcome::Kind::answered) return outcome.detail;
  return outcome.detail.empty() ? fmt::format("HTTP {}", outcome.status)
                                : fmt::format("HTTP {}: {}", outcome.status, outcome.detail);
}

constexpr std::string_view kStates[] = {"pending", "delivered", "dead"};

}  // namespace

std::string_view to_string(DeliveryState state) { return kStates[static_cast<std::size_t>(state)]; }
DeliveryState delivery_state_from(std::string_view text) {
  const auto* found = std::ranges::find(kStates, text);
  HF_ASSERT(found != std::end(kStates));
  return static_cast<DeliveryState>(found - std::begin(kStates));
}

Duration retry_delay(std::int64_t tries, const DeliveryRules& rules, double jitter) {
  Duration full = rules.retry_first;
  for (std::int64_t n = 1; n < tries && full < rules.retry_max; ++n) full *= 2;
  full = std::min(full, rules.retry_max);
  return full / 2 + std::chrono::duration_cast<Duration>(full / 2 * jitter);
}

Verdict decide(const Outcome& outcome, std::int64_t tries, WallTime since, const DeliveryRules& rules, WallTime now,
               double jitter) {
  const Meaning meaning = of(outcome);
  Verdict out;
  if (meaning.then == Meaning::Then::done) {
    out.state = DeliveryState::delivered;
    return out;
  }
  out.error_code = meaning.code;
  out.error = text_of(outcome);
  out.state = DeliveryState::dead;
  const bool unwelcome = outcome.retry_after && *outcome.retry_after < Duration::zero();
  if (meaning.then == Meaning::Then::give_up || unwelcome) return out;
  if (tries > rules.policy.retries) {
    out.condition = "MaximumRetryAttempts";
    return out;
  }
  const Duration asked = std::min(outcome.retry_after.value_or(Duration::zero()), rules.retry_after_max);
  const Duration wait = std::max(retry_delay(tries, rules, jitter), asked);
  out.next_attempt = now + std::chrono::duration_cast<WallTime::duration>(wait);
  if (out.next_attempt - since > rules.policy.age) {
    out.condition = "MaximumEventAgeInSeconds";
    return out;
  }
  out.state = DeliveryState::pending;
  return out;
}

std::optional<Verdict> expired(std::int64_t tries, WallTime since, const DeliveryRules& rules, WallTime now,
                               std::string last_code, std::string last_error) {
  if (tries == 0 || now - since <= rules.policy.age) return std::nullopt;
  return Verdict{DeliveryState::dead, {}, std::move(last_code), std::move(last_error), "MaximumEventAgeInSeconds"};
}

}  // namespace hf::router
