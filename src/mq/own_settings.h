#pragma once

/// What we say of ourselves on Telemetry; the session adds what all clients share. Pure.

#include "apache/rocketmq/v2/definition.pb.h"
#include "mq/config.h"

namespace hf::mq {

namespace pb = ::apache::rocketmq::v2;

pb::Settings producer_settings(const ProducerConfig& config);
pb::Settings consumer_settings(const ConsumerConfig& config, pb::ClientType type);
pb::FilterExpression to_filter(const Subscription& subscription);

}  // namespace hf::mq
