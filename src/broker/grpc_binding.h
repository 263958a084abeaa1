#pragma once

/// MessagingService over gRPC: metadata → CallContext, protobuf ⇄ bytes. Decides nothing.

#include "net/grpc.h"
#include "sys/world.h"
#include "wire/rocketmq/messaging_service.h"

namespace hf::broker {

/// Adds /apache.rocketmq.v2.MessagingService/* to `grpc`. PullMessage, UpdateOffset, GetOffset, QueryOffset,
/// RecallMessage and SyncLiteSubscription stay out: gRPC answers UNIMPLEMENTED, as Apache's proxy does for the first
/// four. `service` outlives `grpc` and all its calls. `clock`: cancellation of a call is watched on it.
void register_messaging_service(net::GrpcService& grpc, wire::rocketmq::MessagingService& service, sys::World& world);

}  // namespace hf::broker
