#pragma once

/// One port: TLS or plaintext, HTTP/2 (gRPC) or HTTP/1.1, told apart by the first bytes.

#include <memory>
#include <optional>
#include <string>

#include "net/grpc.h"
#include "net/http.h"

namespace hf::net {

struct ListenerOptions {
  std::string name;                         ///< for logs and metrics: "broker", "shop"
  std::string host = "127.0.0.1";           ///< an address to bind to
  std::uint16_t port = 0;                   ///< 0: any free one (tests)
  HttpHandler http;                         ///< absent: HTTP/1.1 is refused
  std::shared_ptr<const GrpcService> grpc;  ///< absent: HTTP/2 is refused
  std::optional<TlsServerConfig> tls;       ///< absent: a TLS hello is refused
  HttpLimits http_limits;
  GrpcLimits grpc_limits;
};

/// Accepts on its world's strand. Errors of start: conflict (port taken; the message names address and port), denied
/// (not allowed to bind there), invalid (not an address of this machine; certificate or key unreadable). Destroying it
/// closes all connections at once, but a handler that is running ends later, on the loop: a component that handlers
/// refer to drains first.
class Listener {
 public:
  static Result<std::unique_ptr<Listener>> start(sys::World world, ListenerOptions options);
  virtual ~Listener() = default;
  virtual std::uint16_t port() const = 0;
  /// Stops accepting, closes idle connections, lets running requests finish until `deadline`, then closes what is left.
  /// Returns when no handler runs any more: past `deadline` it still waits for those (they have deadlines of their
  /// own).
  virtual asio::awaitable<void> drain(Monotonic deadline) = 0;
};

/// Opens one connection, TCP then TLS if asked; for the clients. Errors: unavailable (refused, unknown name,
/// certificate not trusted, or `deadline` passed), invalid (ca_file unreadable); timeout never: nothing of a request
/// can have gone out.
Task<std::unique_ptr<ByteStream>> connect(sys::World world, std::string host, std::uint16_t port,
                                          std::optional<TlsClientConfig> tls, std::string alpn, Monotonic deadline);

}  // namespace hf::net
