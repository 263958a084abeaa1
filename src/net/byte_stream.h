#pragma once

/// A connection as bytes: TCP or TLS, real or simulated. HTTP and gRPC sessions stand on it and never see a socket.

#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/task.h"
#include "sys/clock.h"

namespace hf::net {

/// One owner, one strand. One read and one write may be under way at the same time.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// At least one byte, or 0 at the orderly end. Errors: unavailable (reset, closed here), timeout (idle limit passed).
  virtual Task<std::size_t> read_some(MutableBytes into) = 0;
  /// All of `bytes`, which stay valid until the task completes.
  virtual Task<> write_all(Bytes bytes) = 0;
  /// What can be read without waiting; nullopt: nothing has arrived. Not while a read is under way. This is how the
  /// owner of a connection that lay idle learns that the other end has closed it, before a byte of the next request
  /// goes out.
  virtual std::optional<Result<std::size_t>> try_read(MutableBytes into) = 0;
  /// Half-close: the other end reads the orderly end after all that was written. Reading goes on.
  virtual Task<> finish_writing() = 0;
  /// Ends both directions now; pending reads and writes complete with `unavailable`. May be called again.
  virtual void close() = 0;
  /// The other end, "127.0.0.1:51234".
  virtual const std::string& peer() const = 0;
  /// The address by which the other end reached us (server), "127.0.0.1:8081".
  virtual const std::string& local() const = 0;
  virtual bool secure() const = 0;
  /// What ALPN agreed on: "h2", "http/1.1" or "".
  virtual const std::string& alpn() const = 0;
};

/// Both ends of a connection inside one strand, for tests and simulation. `capacity`: bytes that fit in either
/// direction before a writer waits.
struct StreamPair {
  std::unique_ptr<ByteStream> client;
  std::unique_ptr<ByteStream> server;
};
StreamPair make_stream_pair(sys::Clock& clock, std::size_t capacity = 64 << 10);

/// Trust and identity of our own listeners and of connections we open.
struct TlsServerConfig {
  std::string certificate_file;  ///< PEM; both empty: a self-signed certificate is made at start, in memory
  std::string key_file;
};
struct TlsClientConfig {
  std::string ca_file;  ///< PEM; empty: the system's
  bool verify = true;
};

}  // namespace hf::net
