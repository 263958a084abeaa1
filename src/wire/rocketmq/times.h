#pragma once

/// Times on the wire ⇄ ours. Whatever a peer sends comes out inside our range: too large is the largest, too small the
/// smallest, so that no later sum overflows.

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "base/time.h"

namespace hf::wire::rocketmq {

/// About ± 100 years: a duration from the wire, and twice it, fit into Duration.
inline constexpr Duration kDurationMax = std::chrono::hours(24) * 365 * 100;

Duration from_proto(const google::protobuf::Duration& duration);
WallTime from_proto(const google::protobuf::Timestamp& timestamp);
void to_proto(Duration duration, google::protobuf::Duration& out);
void to_proto(WallTime time, google::protobuf::Timestamp& out);

}  // namespace hf::wire::rocketmq
