#include "mq/retry.h"

#include <algorithm>
#include <cmath>

#include "wire/rocketmq/times.h"

namespace hf::mq {
namespace {

Duration sane(const google::protobuf::Duration& duration) {
  return std::clamp<Duration>(wire::rocketmq::from_proto(duration), Duration::zero(), 24h);
}

}  // namespace

BackoffPolicy::BackoffPolicy() = default;

BackoffPolicy BackoffPolicy::from(const pb::RetryPolicy& policy) {
  BackoffPolicy out;
  if (policy.max_attempts() > 0) out.max_attempts_ = policy.max_attempts();
  if (policy.has_customized_backoff())
    for (const auto& next : policy.customized_backoff().next()) out.list_.push_back(sane(next));
  if (policy.has_exponential_backoff()) {
    const pb::ExponentialBackoff& exponential = policy.exponential_backoff();
    out.initial_ = sane(exponential.initial());
    out.max_ = std::max(out.initial_, sane(exponential.max()));
    if (exponential.multiplier() >= 1 && std::isfinite(exponential.multiplier()))
      out.multiplier_ = exponential.multiplier();
  }
  return out;
}

Duration BackoffPolicy::delay(int attempt) const {
  const int retry = std::max(0, attempt - 1);
  if (!list_.empty()) return list_[std::min(static_cast<std::size_t>(retry), list_.size() - 1)];
  const double wait = static_cast<double>(initial_.count()) * std::pow(multiplier_, std::min(retry, 1000));
  if (!(wait < static_cast<double>(max_.count()))) return max_;  // infinite, too
  return Duration(static_cast<Duration::rep>(wait));
}

}  // namespace hf::mq
