#pragma once

/// Where the queues of a topic are, and which to use next. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "apache/rocketmq/v2/service.pb.h"
#include "base/result.h"

namespace hf::mq {

namespace pb = ::apache::rocketmq::v2;

class Route {
 public:
  /// Error: unavailable if no master is named at all.
  static Result<Route> from(const pb::QueryRouteResponse& response);

  /// Every distinct address of a master, in the order of the answer: these want our Settings.
  const std::vector<pb::Endpoints>& endpoints() const { return endpoints_; }
  /// The queue for a send. Without a group: the `turn`-th of the writable ones, brokers in turn. With one: always the
  /// same as long as the route stays (SipHash-2-4 of the group, as the Java, Go and Node clients do).
  /// Error: denied if no queue is writable.
  Result<const pb::MessageQueue*> pick(std::string_view message_group, std::uint64_t turn) const;
  /// Error: invalid if the topic says that it does not take messages of this type.
  Result<void> check_type(pb::MessageType type) const;

 private:
  std::vector<pb::Endpoints> endpoints_;
  std::vector<pb::MessageQueue> writable_;
};

/// SipHash-2-4 with the key 00 01 … 0f.
std::uint64_t sip_hash(std::string_view data);

}  // namespace hf::mq
