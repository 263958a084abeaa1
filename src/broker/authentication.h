#pragma once

/// MQv2-HMAC-SHA1: who may call (docs/protocols/rocketmq-grpc.md, "Authentication").

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "wire/rocketmq/messaging_service.h"

namespace hf::broker {

/// nullopt: welcome. `keys` empty: everybody is, whatever the header says (Python's client always sends one).
/// Pure; the signed date is opaque, as in Apache's proxy, which does not look at its freshness either.
std::optional<std::string> refuse_caller(const std::map<std::string, std::string>& keys,
                                         const wire::rocketmq::CallContext& call);

}  // namespace hf::broker
