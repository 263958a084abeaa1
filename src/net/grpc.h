#pragma once

/// gRPC over our own framing on nghttp2: unary, server and bidirectional streams, both sides
/// (docs/decisions/0004-grpc-on-nghttp2.md). Messages are bytes here; protobuf stays with the caller.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/stream.h"
#include "base/task.h"
#include "net/byte_stream.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::net {

/// The codes of grpc/status.h that we send or meet.
enum class GrpcCode : int {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};
struct GrpcStatus {
  GrpcCode code = GrpcCode::ok;
  std::string message;
};
/// How a status reads as an Error for callers, and back.
Error to_error(const GrpcStatus& status);
GrpcStatus to_grpc_status(const Error& error);

/// Lower-case names; binary ("-bin") values already decoded.
using GrpcMetadata = std::vector<std::pair<std::string, std::string>>;
std::optional<std::string_view> find_metadata(const GrpcMetadata& metadata, std::string_view name);

/// What a handler knows of its call. Shared with the session; strand only.
struct GrpcCall {
  std::string path;  ///< "/apache.rocketmq.v2.MessagingService/SendMessage"
  GrpcMetadata metadata;
  Monotonic deadline = Monotonic::max();  ///< from grpc-timeout, capped so that it cannot overflow
  std::string peer, local;
  bool secure = false;
  bool cancelled = false;  ///< the client reset the stream, the connection broke, or the deadline passed
  /// Notified once when `cancelled` becomes true. Set by the session before the handler runs.
  std::shared_ptr<sys::Event> on_cancel;
};
using GrpcCallPtr = std::shared_ptr<GrpcCall>;

/// The server's end of a streaming call. read(): nullopt when the client half-closed. write() suspends on flow control.
/// Initial headers go out when the handler starts (RocketMQ's Rust client waits for them).
class GrpcServerStream : public StreamReader<std::string>, public StreamWriter<std::string> {};

using GrpcUnaryHandler = std::function<Task<std::string>(GrpcCallPtr, std::string request)>;
using GrpcStreamHandler = std::function<asio::awaitable<GrpcStatus>(GrpcCallPtr, GrpcServerStream&)>;

/// Methods by path. Filled before the server starts; unknown paths are answered UNIMPLEMENTED.
class GrpcService {
 public:
  /// A failed task becomes the trailers-only answer to_grpc_status(error).
  void unary(std::string path, GrpcUnaryHandler handler) { unary_[std::move(path)] = std::move(handler); }
  void stream(std::string path, GrpcStreamHandler handler) { stream_[std::move(path)] = std::move(handler); }
  const GrpcUnaryHandler* find_unary(std::string_view path) const;
  const GrpcStreamHandler* find_stream(std::string_view path) const;

 private:
  std::map<std::string, GrpcUnaryHandler, std::less<>> unary_;
  std::map<std::string, GrpcStreamHandler, std::less<>> stream_;
};

struct GrpcLimits {
  std::size_t message_bytes = 130u << 20;  ///< RocketMQ proxy's grpcMaxInboundMessageSize; beyond: RESOURCE_EXHAUSTED
  std::size_t header_list_bytes = 16 << 10;
  std::uint32_t streams_per_connection = 1024;  ///< SETTINGS_MAX_CONCURRENT_STREAMS
  std::uint32_t stream_window = 1 << 20;        ///< bytes a client may send ahead on one stream
  std::uint32_t connection_window = 16 << 20;
  std::size_t resets_per_second = 200;  ///< rapid-reset guard: beyond, GOAWAY(ENHANCE_YOUR_CALM)
  Duration idle = 120s;                 ///< no frame at all for this long: GOAWAY (proxy grpcClientIdleTimeMills)
};

/// Serves one HTTP/2 connection until it ends. `first`: bytes that were already read (protocol sniffing).
/// `draining` notified: GOAWAY, running calls finish, then the connection closes.
asio::awaitable<void> serve_grpc(std::unique_ptr<ByteStream> connection, std::string first, const GrpcService& service,
                                 GrpcLimits limits, sys::World world, std::shared_ptr<sys::Event> draining);

/// Calls open at once on one channel; the server's own limit makes those above it wait their turn.
inline constexpr std::size_t kGrpcCallsMax = 16'384;

/// The client's end of a streaming call. Destroyed before its end, it is cancelled.
class GrpcClientStream : public StreamReader<std::string>, public StreamWriter<std::string> {
 public:
  virtual Task<> finish_writing() = 0;  ///< half-close
  /// After read() gave nullopt or an error: how the server ended the call.
  virtual const GrpcStatus& status() const = 0;
  virtual void cancel() = 0;
};

/// One connection to one server, re-made by the next call when it broke or the server drains it; calls are multiplexed.
/// One strand. A call whose coroutine is cancelled (asio's ||) resets its stream.
class GrpcChannel {
 public:
  struct Options {
    std::string host;  ///< "127.0.0.1"
    std::uint16_t port = 0;
    bool tls = false;
    TlsClientConfig tls_config;
    Duration connect_timeout = 3s;
    Duration keepalive = 30s;          ///< PING when nothing was heard this long, only with calls open
    Duration keepalive_timeout = 10s;  ///< no answer: the connection is dead
    Duration backoff_min = 100ms,
             backoff_max = 5s;  ///< between connection attempts; calls meanwhile fail `unavailable`
    std::size_t message_bytes = 130u << 20;
    /// How a connection is made; absent: connect() of net/listener.h to host and port. For simulation and tests.
    std::function<Task<std::unique_ptr<ByteStream>>(Monotonic deadline)> connector;
  };
  GrpcChannel(sys::World world, Options options);
  ~GrpcChannel();
  GrpcChannel(const GrpcChannel&) = delete;
  GrpcChannel& operator=(const GrpcChannel&) = delete;

  /// Errors: unavailable: never reached the server (no connection, refused stream, GOAWAY below our stream id, or the
  /// deadline passed before the request went out) · timeout: the deadline passed or the connection broke after the
  /// request went out · exhausted: kGrpcCallsMax calls are open · else to_error(status).
  Task<std::string> call(std::string path, GrpcMetadata metadata, std::string request, Monotonic deadline);
  Task<std::unique_ptr<GrpcClientStream>> open_stream(std::string path, GrpcMetadata metadata, Monotonic deadline);
  /// Closes. Calls end as if the connection broke: `unavailable`, or `timeout` if the request had gone out. Later calls
  /// fail `unavailable`.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::net
