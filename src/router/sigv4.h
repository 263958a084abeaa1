#pragma once

/// AWS Signature Version 4 over HTTP requests: verification for the edge, signing for clients and tests.
/// Rules: docs/protocols/eventbridge.md, "Signatures". Service `events`, header authentication only.

#include <optional>
#include <span>
#include <string>

#include "net/http.h"
#include "router/config.h"

namespace hf::router {

/// Why a request is not let in, as the service names it.
struct Refusal {
  std::string exception;
  std::string message;
};

/// What a signature must be scoped to.
struct SignatureScope {
  std::string region;
  std::string service = "events";
  Duration tolerance = 15min;
};

/// nullopt: the request was signed by one of `keys` at about `now`, and nothing signed was changed.
std::optional<Refusal> verify_signature(const net::HttpRequest& request, std::span<const AccessKey> keys,
                                        const SignatureScope& scope, WallTime now);

/// Adds X-Amz-Date and Authorization. The request must have its Host header; every header it has is signed.
void sign(net::HttpRequest& request, const AccessKey& key, const SignatureScope& scope, WallTime now);

}  // namespace hf::router
