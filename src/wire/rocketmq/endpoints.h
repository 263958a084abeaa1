#pragma once

/// Addresses: "host:port" texts ⇄ Endpoints.

#include <string>
#include <string_view>

#include "apache/rocketmq/v2/definition.pb.h"
#include "base/result.h"

namespace hf::wire::rocketmq {

namespace pb = ::apache::rocketmq::v2;

/// "127.0.0.1:8081", "[::1]:8081", "mq.example.org:8081"; several of one kind separated by ';' or ','; a leading
/// "http://" or "https://" is dropped, as the official clients do. Without a port: 8081 (Apache's proxy).
/// Error: invalid: empty, a bad port, kinds mixed, more than one domain name.
Result<pb::Endpoints> parse_endpoints(std::string_view text);
/// The inverse: "127.0.0.1:8081;127.0.0.2:8081". Also the key under which a client keeps its sessions.
std::string to_string(const pb::Endpoints& endpoints);

}  // namespace hf::wire::rocketmq
