#pragma once

/// A message on its way in and out: what the broker takes from the producer, and what it adds for the consumer
/// (docs/protocols/rocketmq-grpc.md, "What a delivered message carries").

#include <string>
#include <string_view>

#include "broker/store.h"
#include "wire/rocketmq/messaging_service.h"

namespace hf::broker {

namespace pb = ::apache::rocketmq::v2;

struct Stamp {
  WallTime now;
  std::string_view peer;   ///< born_host, if the client named none
  std::string_view local;  ///< store_host
};
/// The bytes to store: the producer's message without what only a broker may say, and with the store's own fields.
std::string to_stored(pb::Message& message, const Stamp& stamp);

struct Dressing {
  const pb::Resource& topic;  ///< as the consumer named it
  QueueOffset offset = 0;
  int attempt = 1;
  std::string handle;
  std::string_view origin_topic;  ///< of a dead letter; else empty
};
/// Completes a stored message for delivery.
void dress(pb::Message& message, const Dressing& dressing);
/// A half message for the recovery command. False if the bytes are no message.
bool dress_half_message(const StoredBody& body, pb::Message& out);

}  // namespace hf::broker
