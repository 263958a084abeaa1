#pragma once

/// The broker's own names for things. None of them leaves the broker, except inside opaque texts (receipt handles,
/// transaction ids).

#include <cstdint>

#include "base/strong_id.h"

namespace hf::broker {

/// Where a record stands in the log; grows with every record (log/log.h).
using Position = std::uint64_t;
/// A message's number within its topic, from 0, without gaps.
using QueueOffset = std::int64_t;

using TopicId = StrongId<struct TopicIdTag, std::uint32_t>;
using GroupId = StrongId<struct GroupIdTag, std::uint32_t>;
/// One group reading one topic.
using SubscriptionId = StrongId<struct SubscriptionIdTag, std::uint32_t>;
/// A client instance while it is known; never reused within a process. 0: nobody.
using ClientNumber = std::uint64_t;

}  // namespace hf::broker
