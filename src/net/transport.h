#pragma once

/// TCP: the streams and the listening socket that real connections stand on. Asio's sockets are in transport.cc alone.

#include <memory>
#include <string>

#include "net/byte_stream.h"
#include "sys/world.h"

namespace hf::net {

/// Connects; TCP_NODELAY is set. Errors: unavailable (refused, unreachable, unknown name, or `deadline` passed: in each
/// case nothing was sent).
Task<std::unique_ptr<ByteStream>> connect_tcp(sys::World world, std::string host, std::uint16_t port,
                                              Monotonic deadline);

/// A listening socket. Strand only.
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  /// Errors: conflict (port taken), denied (not allowed to bind there), invalid (not an address of this machine).
  static Result<std::unique_ptr<Acceptor>> open(sys::World world, const std::string& host, std::uint16_t port);
  virtual std::uint16_t port() const = 0;
  /// The next connection. Errors: unavailable (closed), exhausted (no descriptor or memory left: wait, then go on).
  virtual Task<std::unique_ptr<ByteStream>> accept() = 0;
  /// Pending and later accepts complete with `unavailable`.
  virtual void close() = 0;
};

}  // namespace hf::net
