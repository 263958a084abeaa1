#pragma once

/// TLS 1.2 and 1.3 over any ByteStream, so that it runs over sockets and over the in-memory pair alike. OpenSSL is in
/// tls.cc alone.

#include <memory>
#include <string>
#include <vector>

#include "net/byte_stream.h"

namespace hf::net {

/// Keys, certificates and trust, read once; shared by all connections of a listener or a client. Immutable.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  /// `alpn`: what we speak, best first; a client that offers none of it gets none. With an empty `config` a self-signed
  /// P-256 certificate for localhost, 127.0.0.1 and ::1 is made in memory. Errors: invalid, naming the file.
  static Result<std::shared_ptr<const TlsContext>> server(const TlsServerConfig& config, std::vector<std::string> alpn);
  static Result<std::shared_ptr<const TlsContext>> client(const TlsClientConfig& config);
};

/// A stream that is not usable before its handshake is done.
class TlsStream : public ByteStream {
 public:
  /// Errors: unavailable: the connection broke or the other end cannot be trusted; the message says which.
  virtual Task<> handshake() = 0;
};

/// `first`: bytes of the TLS client that were already read. `lower` is owned by the result.
std::unique_ptr<TlsStream> make_tls_server(std::shared_ptr<const TlsContext> context, std::unique_ptr<ByteStream> lower,
                                           std::string first, sys::Clock& clock);
/// `host`: the name (or address) the certificate must be for; `alpn`: what to offer, or "".
std::unique_ptr<TlsStream> make_tls_client(std::shared_ptr<const TlsContext> context, std::unique_ptr<ByteStream> lower,
                                           const std::string& host, const std::string& alpn, sys::Clock& clock);

}  // namespace hf::net
