#pragma once

/// How the broker is reached: over the network, or by calling it.

#include <map>
#include <memory>
#include <string>

#include "mq/config.h"
#include "sys/world.h"
#include "wire/rocketmq/messaging_service.h"

namespace hf::mq {

namespace pb = ::apache::rocketmq::v2;

class Transport {
 public:
  virtual ~Transport() = default;
  /// What the client was told to connect to; routes are asked there.
  virtual const pb::Endpoints& access_point() const = 0;
  /// Lives as long as the transport.
  virtual wire::rocketmq::MessagingService& service(const pb::Endpoints& endpoints) = 0;
};

/// Error: invalid: an unknown scheme, a bad address, "embedded:" without a service.
Result<std::unique_ptr<Transport>> make_transport(sys::World world, const ClientConfig& config,
                                                  wire::rocketmq::MessagingService* embedded);

}  // namespace hf::mq
