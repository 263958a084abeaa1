#pragma once

/// One event on its way to one target: what follows from an attempt. Pure.
///
///            attempt: success                        ┌───────────┐
///   pending ───────────────────────────────────────▶ │ delivered │
///     │  ▲                                           └───────────┘
///     │  └── attempt: failed, may succeed later (decide → pending, next_attempt)
///     │ attempt: can never succeed, or retries or age used up           redrive(): a fresh round of retries and age
///     └─────────────────────────────────────────────▶  dead  ─────────────────────────────────────────▶ pending
///
/// `pending` says nothing about whether the target has been called: a crash may lie between a call and its record. It
/// is then called again, with the same X-Holdfast-Event-Id.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "wire/eventbridge/shapes.h"

namespace hf::router {

enum class DeliveryState { pending, delivered, dead };
std::string_view to_string(DeliveryState state);
DeliveryState delivery_state_from(std::string_view text);

/// How an attempt ended.
struct Outcome {
  enum class Kind {
    answered,       ///< an HTTP status
    timeout,        ///< no whole answer in time: it may have happened
    unreachable,    ///< certainly not processed
    denied,         ///< the target's role may not invoke the destination
    no_resource,    ///< rule, target, destination or connection is gone
    invalid_input,  ///< no request can be made of this event and this configuration
  };
  Kind kind = Kind::answered;
  int status = 0;                       ///< answered
  std::optional<Duration> retry_after;  ///< answered; negative: do not come again
  std::string detail;                   ///< for people
};

struct DeliveryRules {
  wire::eventbridge::RetryPolicy policy;
  Duration retry_first = 1s, retry_max = 10min, retry_after_max = 1h;
};

/// What happens next. `error_code`, `condition`: as in EventBridge's dead-letter attributes.
struct Verdict {
  DeliveryState state = DeliveryState::pending;
  WallTime next_attempt{};  ///< pending
  std::string error_code;   ///< "" if delivered
  std::string error;
  std::string condition;  ///< dead: MaximumRetryAttempts, MaximumEventAgeInSeconds, or "" for a permanent error
};

/// `tries`: attempts of this round, the one that just ended included. `since`: start of the round. `jitter` in [0, 1).
Verdict decide(const Outcome& outcome, std::int64_t tries, WallTime since, const DeliveryRules& rules, WallTime now,
               double jitter);

/// Has the event become too old to be sent at all? Asked before each retry.
std::optional<Verdict> expired(std::int64_t tries, WallTime since, const DeliveryRules& rules, WallTime now,
                               std::string last_code, std::string last_error);

/// The wait before retry number `tries`: half of min(first × 2^(tries-1), max), plus up to the other half.
Duration retry_delay(std::int64_t tries, const DeliveryRules& rules, double jitter);

}  // namespace hf::router
