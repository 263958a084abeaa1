#pragma once

/// Opening connections with trust that was read once; `connect` in net/listener.h reads it each time.

#include <memory>
#include <string>

#include "net/tls.h"
#include "net/transport.h"

namespace hf::net {

/// TCP, then TLS if `tls` is given. Errors: unavailable, never timeout: no byte of a request can have gone out.
Task<std::unique_ptr<ByteStream>> open_connection(sys::World world, std::string host, std::uint16_t port,
                                                  std::shared_ptr<const TlsContext> tls, std::string alpn,
                                                  Monotonic deadline);

}  // namespace hf::net
