#include "wire/rocketmq/times.h"

#include <algorithm>

namespace hf::wire::rocketmq {
namespace {

constexpr std::int64_t kSecondsMax = std::chrono::duration_cast<std::chrono::seconds>(kDurationMax).count();
constexpr std::int64_t kNanos = 1'000'000'000;
// 0001-01-01 … 9999-12-31, the range google/protobuf/timestamp.proto allows.
constexpr std::int64_t kTimestampMin = -62'135'596'800, kTimestampMax = 253'402'300'799;

}  // namespace

Duration from_proto(const google::protobuf::Duration& duration) {
  const std::int64_t seconds = std::clamp<std::int64_t>(duration.seconds(), -kSecondsMax, kSecondsMax);
  const std::int64_t nanos = std::clamp<std::int64_t>(duration.nanos(), 1 - kNanos, kNanos - 1);
  return std::clamp<Duration>(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos), -kDurationMax,
                              kDurationMax);
}

WallTime from_proto(const google::protobuf::Timestamp& timestamp) {
  const std::int64_t seconds = std::clamp<std::int64_t>(timestamp.seconds(), kTimestampMin, kTimestampMax);
  const std::int64_t nanos = std::clamp<std::int64_t>(timestamp.nanos(), 0, kNanos - 1);
  return wall_from_us(seconds * 1'000'000 + nanos / 1'000);
}

void to_proto(Duration duration, google::protobuf::Duration& out) {
  out.set_seconds(duration.count() / kNanos);
  out.set_nanos(static_cast<std::int32_t>(duration.count() % kNanos));
}

void to_proto(WallTime time, google::protobuf::Timestamp& out) {
  std::int64_t seconds = to_us(time) / 1'000'000, us = to_us(time) % 1'000'000;
  if (us < 0) us += 1'000'000, --seconds;  // nanos count forwards, before 1970 too
  out.set_seconds(seconds);
  out.set_nanos(static_cast<std::int32_t>(us * 1'000));
}

}  // namespace hf::wire::rocketmq
