#include "broker/config.h"

#include <fmt/format.h>

#include "broker/records.h"
#include "log/log.h"

namespace hf::broker {
namespace {

/// What a stored message needs beside body and properties: names, hosts, ids, times, our header.
constexpr std::uint64_t kEnvelopeBytes = 8 << 10;

Result<void> require(bool condition, std::string message) {
  if (condition) return ok();
  return Error{Code::invalid, "broker: " + std::move(message)};
}

}  // namespace

Result<void> validate(const BrokerConfig& config) {
  const CheckBackConfig& check = config.check_back;
  const LimitsConfig& limits = config.limits;
  const std::uint64_t largest = limits.body_bytes + limits.property_bytes + kEnvelopeBytes;
  HF_TRY(require(!config.name.empty(), "name is empty"));
  HF_TRY(require(check.first_after > 0s && check.interval > 0s, "check_back: times must be greater than 0"));
  HF_TRY(require(check.max_checks >= 1 && check.max_checks <= 1000, "check_back: max_checks must be 1 … 1000"));
  HF_TRY(require(check.park_after >= 0s, "check_back: park_after must not be negative"));
  HF_TRY(require(config.max_attempts >= 1 && config.max_attempts <= 1000, "max_attempts must be 1 … 1000"));
  for (const GroupConfig& group : config.groups) {
    HF_TRY(require(group.max_attempts >= 1 && group.max_attempts <= 1000,
                   fmt::format("group {}: max_attempts must be 1 … 1000", group.name)));
  }
  HF_TRY(require(config.retention.every > 0s, "retention: every must be greater than 0"));
  HF_TRY(require(limits.poll_min > 0s && limits.poll_min <= limits.poll_max, "limits: poll_min must be ≤ poll_max"));
  HF_TRY(require(limits.receive_batch >= 1 && limits.batch_messages >= 1, "limits: batches must be at least 1"));
  HF_TRY(require(largest <= log::kBodyMax, "limits: body_bytes is more than the log takes"));
  return require(largest <= config.segment_bytes, fmt::format("segment_bytes {} cannot hold a message of body_bytes {}",
                                                              config.segment_bytes, limits.body_bytes));
}

}  // namespace hf::broker
