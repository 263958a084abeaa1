#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "base/log.h"
#include "net/grpc.h"
#include "net/h2_session.h"

namespace hf::net {
namespace {

constexpr std::uint32_t kNoError = NGHTTP2_NO_ERROR;
/// RocketMQ's clients send eight to ten fields of their own.
constexpr std::size_t kUsualMetadata = 12;
/// After the first GOAWAY of a drain: how long the client may take to answer the ping behind it.
constexpr Duration kDrainNotice = 1s;
/// Beyond this the connection's header compression state is all we still care for.
constexpr std::size_t kHeaderFloodFactor = 64;

/// One call on the server.
///
///   begun ─headers─▶ open ─▶ ready ─serve_ready()─▶ running ─finish()─▶ decided ─▶ closed
///     │                │ bad input: finish()             │ reset, deadline, connection gone: cancel()
///     └────────────────┴───────────────▶ decided         └─▶ the handler goes on, its answer is dropped
struct ServerCall final : H2Stream {
  ServerCall(sys::Clock& clock, std::size_t message_limit) : H2Stream(clock, message_limit) {}

  GrpcCall info;
  bool is_post = false, is_grpc = false;
  std::string encoding;
  std::size_t header_bytes = 0;
  std::string bad_header;  ///< what is wrong with the headers
  const GrpcUnaryHandler* unary = nullptr;
  const GrpcStreamHandler* streaming = nullptr;
  bool headers_complete = false;
  bool headers_sent = false;
  bool started = false;  ///< a coroutine serves it; its bytes are released there
  GrpcStatus status;     ///< final once `decided`

  std::shared_ptr<ServerCall> self() { return std::static_pointer_cast<ServerCall>(shared_from_this()); }
};
using ServerCallPtr = std::shared_ptr<ServerCall>;

class ServerSession final : public H2Session {
 public:
  ServerSession(std::unique_ptr<ByteStream> connection, const GrpcService& service, GrpcLimits limits, sys::World world)
      : H2Session(std::move(connection), world, options_of(limits)),
        service_(service),
        limits_(limits),
        counters_(world.metrics, "holdfast_net_grpc_served_total", "gRPC calls answered, by status code"),
        all_done_(world.clock),
        secure_(this->connection().secure()) {}

  /// GOAWAY in two steps, so that no call that is on its way is refused: first "no more, please", and when the client
  /// has surely read that, "none after this one".
  void drain();
  asio::awaitable<void> join();

 private:
  friend class ServerStream;
  static Options options_of(const GrpcLimits& limits);

  H2StreamPtr accept_stream() override;
  void on_header(H2Stream& stream, std::string_view name, std::string_view value) override;
  void on_headers_end(H2Stream& stream) override;
  void on_message(H2Stream& stream) override;
  void on_bad_message(H2Stream& stream, GrpcStatus why) override;
  void on_compressed_message(H2Stream& stream) override;
  void on_remote_end(H2Stream& stream) override;
  void on_frame_sent(H2Stream& stream, const nghttp2_frame& frame) override;
  void on_control_frame(const nghttp2_frame& frame) override;
  bool submit_trailers(H2Stream& stream) override;
  void on_close(H2Stream& stream, std::optional<std::uint32_t> reset) override;
  void on_deadline(H2Stream& stream) override;
  void after_receive() override;
  Monotonic watch_peer(Monotonic now) override;

  void take_header(ServerCall& call, std::string_view name, std::string_view value);
  void take_timeout(ServerCall& call, std::string_view value);
  void refuse_http(ServerCall& call, std::string_view http_status, GrpcStatus status);
  void send_headers(ServerCall& call);
  void finish(ServerCall& call, GrpcStatus status);
  void finish_unary(ServerCall& call, std::string answer);
  void cancel(ServerCall& call);
  void finish_drain();
  asio::awaitable<void> serve_ready();
  asio::awaitable<void> serve_unary(ServerCallPtr call);
  asio::awaitable<void> serve_stream(ServerCallPtr call);

  const GrpcService& service_;
  const GrpcLimits limits_;
  CallCounters counters_;
  std::vector<ServerCallPtr> ready_;  ///< to be started, in order of arrival
  std::size_t next_ready_ = 0;
  std::size_t running_ = 0;
  sys::Event all_done_;
  const bool secure_;
  bool probed_ = false;  ///< a ping is out because the client was quiet
  Monotonic probed_at_;
  std::optional<Monotonic> draining_until_;
  bool drained_ = false;
  Monotonic reset_window_;  ///< rapid-reset guard: resets since this moment
  std::size_t resets_ = 0;
};

/// The handler's end of a streaming call; lives in the coroutine that serves the call.
class ServerStream final : public GrpcServerStream {
 public:
  ServerStream(ServerSession& session, ServerCall& call) : session_(session), call_(call) {}
  Task<std::optional<std::string>> read() override {
    while (true) {
      if (call_.info.cancelled || call_.session == nullptr)
        co_return Error{Code::unavailable, "the call was cancelled"};
      if (!call_.in.empty()) co_return session_.take(call_);
      if (call_.remote_ended) co_return std::nullopt;
      if (!co_await call_.readable.wait_until(Monotonic::max()))
        co_return Error{Code::timeout, "the read was given up"};
    }
  }
  Task<> write(std::string message) override {
    if (call_.info.cancelled || call_.decided) co_return Error{Code::unavailable, "the call was cancelled"};
    co_return co_await session_.write(call_.shared_from_this(), std::move(message));
  }

 private:
  ServerSession& session_;
  ServerCall& call_;
};

H2Session::Options ServerSession::options_of(const GrpcLimits& limits) {
  Options options;
  options.side = Side::server;
  options.streams = limits.streams_per_connection;
  options.stream_window = limits.stream_window;
  options.connection_window = limits.connection_window;
  options.header_list_bytes = limits.header_list_bytes;
  options.assembling_bytes = limits.message_bytes + limits.connection_window;
  options.resets_per_second = limits.resets_per_second;
  return options;
}

// ---- what comes in

H2StreamPtr ServerSession::accept_stream() {
  // Streams that were reset leave the peer's count at once, their handlers take a while: both are bounded.
  if (running_ + streams().size() >= 2 * std::size_t{limits_.streams_per_connection}) return nullptr;
  auto call = std::make_shared<ServerCall>(world().clock, limits_.message_bytes);
  call->info.peer = connection().peer();
  call->info.local = connection().local();
  call->info.secure = secure_;
  call->info.on_cancel = std::make_shared<sys::Event>(world().clock);
  call->info.metadata.reserve(kUsualMetadata);
  return call;
}

void ServerSession::on_header(H2Stream& stream, std::string_view name, std::string_view value) {
  auto& call = static_cast<ServerCall&>(stream);
  if (call.headers_complete) return;                     // trailers of a request mean nothing
  call.header_bytes += name.size() + value.size() + 32;  // RFC 9113 §6.5.2
  if (call.header_bytes > limits_.header_list_bytes) {
    if (call.header_bytes > kHeaderFloodFactor * limits_.header_list_bytes) terminate(NGHTTP2_ENHANCE_YOUR_CALM);
    return;
  }
  take_header(call, name, value);
}

void ServerSession::take_header(ServerCall& call, std::string_view name, std::string_view value) {
  if (name == ":path") {
    call.info.path = value;
  } else if (name == ":method") {
    call.is_post = value == "POST";
  } else if (name == "content-type") {
    call.is_grpc = is_grpc_content_type(value);
  } else if (name == "grpc-timeout") {
    take_timeout(call, value);
  } else if (name == "grpc-encoding") {
    call.encoding = value;
  } else if (name.starts_with(':') || name == "te" || name == "grpc-accept-encoding") {
    return;  // the connection's business
  } else if (!append_metadata(call.info.metadata, name, value)) {
    call.bad_header = fmt::format("{} is not base64", name);
  }
}

void ServerSession::take_timeout(ServerCall& call, std::string_view value) {
  const std::optional<Duration> timeout = parse_grpc_timeout(value);
  if (!timeout) {
    call.bad_header = "malformed grpc-timeout";
    return;
  }
  call.deadline = call.info.deadline = deadline_after(now(), *timeout);
  watch_deadline(call);
}

void ServerSession::on_headers_end(H2Stream& stream) {
  auto& call = static_cast<ServerCall&>(stream);
  if (std::exchange(call.headers_complete, true)) return;
  if (call.header_bytes > limits_.header_list_bytes) {
    return finish(call, {GrpcCode::resource_exhausted,
                         fmt::format("the header list is over {} bytes", limits_.header_list_bytes)});
  }
  if (!call.is_post) return refuse_http(call, "405", {GrpcCode::internal, "gRPC calls are POST requests"});
  if (!call.is_grpc) {
    return refuse_http(call, "415", {GrpcCode::internal, "content-type is not application/grpc"});
  }
  if (!call.bad_header.empty()) return finish(call, {GrpcCode::invalid_argument, call.bad_header});
  call.unary = service_.find_unary(call.info.path);
  call.streaming = service_.find_stream(call.info.path);
  if (call.unary == nullptr && call.streaming == nullptr) {
    return finish(call, {GrpcCode::unimplemented, fmt::format("unknown method {}", call.info.path)});
  }
  if (call.streaming != nullptr) {
    send_headers(call);
    ready_.push_back(call.self());
  }
}

void ServerSession::on_message(H2Stream& stream) {
  auto& call = static_cast<ServerCall&>(stream);
  if (call.unary != nullptr && call.in.size() > 1) {
    return finish(call, {GrpcCode::internal, "more than one message in a unary call"});
  }
  call.readable.notify_all();
}

void ServerSession::on_bad_message(H2Stream& stream, GrpcStatus why) {
  auto& call = static_cast<ServerCall&>(stream);
  cancel(call);
  finish(call, std::move(why));
}

void ServerSession::on_compressed_message(H2Stream& stream) {
  const auto& call = static_cast<ServerCall&>(stream);
  if (call.encoding.empty() || call.encoding == "identity") {
    return on_bad_message(stream, {GrpcCode::internal, "a compressed message without grpc-encoding"});
  }
  on_bad_message(stream, {GrpcCode::unimplemented, fmt::format("grpc-encoding {} is not supported", call.encoding)});
}

void ServerSession::on_remote_end(H2Stream& stream) {
  auto& call = static_cast<ServerCall&>(stream);
  if (call.decided) return;
  if (call.reader.inside()) {
    cancel(call);
    return finish(call, {GrpcCode::internal, "the request ended inside a message"});
  }
  if (call.streaming != nullptr) return call.readable.notify_all();
  if (call.in.empty()) return finish(call, {GrpcCode::internal, "a unary call without a message"});
  ready_.push_back(call.self());
}

void ServerSession::on_control_frame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_PING && (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0 && draining_until_) finish_drain();
  if (frame.hd.type != NGHTTP2_RST_STREAM) return;
  if (now() - reset_window_ > 1s) {
    reset_window_ = now();
    resets_ = 0;
  }
  if (++resets_ <= limits_.resets_per_second) return;
  log::warn("net.grpc.rapid_reset", {{"peer", connection().peer()}, {"resets", resets_}});
  terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

void ServerSession::on_close(H2Stream& stream, std::optional<std::uint32_t>) {
  auto& call = static_cast<ServerCall&>(stream);
  if (!call.decided) {
    call.decided = true;
    call.status = {GrpcCode::cancelled, ""};
    cancel(call);
  }
  counters_.count(call.status.code);
  if (!call.started) release(call, call.held);
}

void ServerSession::on_deadline(H2Stream& stream) {
  auto& call = static_cast<ServerCall&>(stream);
  if (call.decided) return;
  cancel(call);
  finish(call, {GrpcCode::deadline_exceeded, "the deadline passed"});
}

/// Quiet clients without calls are let go. With calls open (a telemetry stream may be silent for hours) a ping decides.
Monotonic ServerSession::watch_peer(Monotonic at) {
  if (draining_until_ && !drained_ && at >= *draining_until_) finish_drain();
  if (probed_ && last_heard() >= probed_at_) probed_ = false;
  if (at - last_heard() >= limits_.idle) {
    log::debug("net.grpc.idle", {{"peer", connection().peer()}});
    terminate(kNoError);
    return Monotonic::max();
  }
  if (!streams().empty() && !probed_ && at - last_heard() >= limits_.idle / 2) {
    probed_ = true;
    probed_at_ = at;
    ping();
  }
  const Monotonic look = last_heard() + (at - last_heard() >= limits_.idle / 2 ? limits_.idle : limits_.idle / 2);
  return draining_until_ && !drained_ ? std::min(look, *draining_until_) : look;
}

// ---- serving

/// A handler that does not suspend is served in the same coroutine as the one before it: one coroutine per batch. When
/// one suspends, the next gets a coroutine of its own.
void ServerSession::after_receive() {
  for (std::size_t left = ready_.size(); left > 0 && next_ready_ < ready_.size(); --left) {
    asio::co_spawn(world().executor, serve_ready(), asio::detached);
  }
}

asio::awaitable<void> ServerSession::serve_ready() {
  const auto keep = shared_from_this();
  while (next_ready_ < ready_.size()) {
    const ServerCallPtr call = std::move(ready_[next_ready_]);
    if (++next_ready_ == ready_.size()) {
      ready_.clear();
      next_ready_ = 0;
    }
    if (call->decided) continue;  // refused or reset before its turn; the stream's close released its bytes
    call->started = true;
    ++running_;
    if (call->unary != nullptr) {
      co_await serve_unary(call);
    } else {
      co_await serve_stream(call);
    }
    --running_;
    release(*call, call->held);
  }
  if (running_ == 0) all_done_.notify_all();
}

asio::awaitable<void> ServerSession::serve_unary(ServerCallPtr call) {
  GrpcCallPtr info(call, &call->info);
  Result<std::string> answer = Error{Code::internal, "the handler threw"};
  try {
    answer = co_await (*call->unary)(std::move(info), call->in.pop());
  } catch (const std::exception& thrown) {
    log::error("net.grpc.handler_threw", {{"path", call->info.path}, {"what", thrown.what()}});
  }
  if (answer) {
    finish_unary(*call, std::move(*answer));
  } else {
    finish(*call, to_grpc_status(answer.error()));
  }
}

asio::awaitable<void> ServerSession::serve_stream(ServerCallPtr call) {
  GrpcCallPtr info(call, &call->info);
  GrpcStatus status{GrpcCode::internal, "the handler threw"};
  ServerStream stream(*this, *call);
  try {
    status = co_await (*call->streaming)(std::move(info), stream);
  } catch (const std::exception& thrown) {
    log::error("net.grpc.handler_threw", {{"path", call->info.path}, {"what", thrown.what()}});
  }
  finish(*call, std::move(status));
}

void ServerSession::cancel(ServerCall& call) {
  if (std::exchange(call.info.cancelled, true)) return;
  call.info.on_cancel->notify_all();
  call.readable.notify_all();
  call.writable.notify_all();
}

asio::awaitable<void> ServerSession::join() {
  while (running_ > 0) co_await all_done_.wait();
}

// ---- what goes out

void ServerSession::send_headers(ServerCall& call) {
  const nghttp2_nv fields[] = {header_field(":status", "200", true),
                               header_field("content-type", "application/grpc", true)};
  const nghttp2_data_provider data = data_of(call);
  call.headers_sent = true;
  nghttp2_submit_response(h2(), call.id, fields, std::size(fields), &data);
  wake_writer();
}

void ServerSession::finish_unary(ServerCall& call, std::string answer) {
  if (call.decided || call.session == nullptr) return;
  call.decided = true;
  call.out.push(std::move(answer));
  call.out_ended = true;
  send_headers(call);
}

/// Without headers sent: one HEADERS frame that is everything (trailers-only). Else trailers behind what is queued.
void ServerSession::finish(ServerCall& call, GrpcStatus status) {
  if (call.decided || call.session == nullptr) return;
  call.decided = true;
  call.status = std::move(status);
  if (call.headers_sent) return end_sending(call);
  refuse_http(call, "200", call.status);
}

void ServerSession::refuse_http(ServerCall& call, std::string_view http_status, GrpcStatus status) {
  call.decided = call.headers_sent = true;
  call.status = std::move(status);
  const std::string code = fmt::to_string(static_cast<int>(call.status.code));
  const std::string message = encode_grpc_message(call.status.message);
  const nghttp2_nv fields[] = {header_field(":status", http_status), header_field("content-type", "application/grpc"),
                               header_field("grpc-status", code), header_field("grpc-message", message),
                               header_field("grpc-accept-encoding", "identity")};
  nghttp2_submit_response(h2(), call.id, fields, std::size(fields), nullptr);
  wake_writer();
}

bool ServerSession::submit_trailers(H2Stream& stream) {
  const auto& call = static_cast<const ServerCall&>(stream);
  if (call.status.code == GrpcCode::ok) {
    const nghttp2_nv ok_field = header_field("grpc-status", "0", true);
    nghttp2_submit_trailer(h2(), call.id, &ok_field, 1);
    return true;
  }
  const std::string code = fmt::to_string(static_cast<int>(call.status.code));
  const std::string message = encode_grpc_message(call.status.message);
  const nghttp2_nv fields[] = {header_field("grpc-status", code), header_field("grpc-message", message),
                               header_field("grpc-accept-encoding", "identity")};
  nghttp2_submit_trailer(h2(), call.id, fields, std::size(fields));
  return true;
}

/// The answer is complete but the client still sends: it need not go on (RFC 9113 §8.1).
void ServerSession::on_frame_sent(H2Stream& stream, const nghttp2_frame& frame) {
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && !stream.remote_ended) reset(stream, kNoError);
}

void ServerSession::drain() {
  if (draining_until_ || ended()) return;
  draining_until_ = world().clock.now() + kDrainNotice;
  nghttp2_submit_shutdown_notice(h2());
  ping();
  arm(*draining_until_);
}

void ServerSession::finish_drain() {
  if (std::exchange(drained_, true)) return;
  nghttp2_submit_goaway(h2(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2()), kNoError, nullptr, 0);
  wake_writer();
}

asio::awaitable<void> watch_drain(ServerSession& session, std::shared_ptr<sys::Event> draining, sys::Event& never) {
  if (draining != nullptr && co_await draining->wait_until(Monotonic::max())) session.drain();
  co_await never.wait();  // until the connection's end cancels us
}

}  // namespace

asio::awaitable<void> serve_grpc(std::unique_ptr<ByteStream> connection, std::string first, const GrpcService& service,
                                 GrpcLimits limits, sys::World world, std::shared_ptr<sys::Event> draining) {
  using namespace asio::experimental::awaitable_operators;  // NOLINT: the operator is the point
  auto session = std::make_shared<ServerSession>(std::move(connection), service, limits, world);
  sys::Event never(world.clock);
  co_await (session->run(std::move(first)) || watch_drain(*session, std::move(draining), never));
  co_await session->join();
}

}  // namespace hf::net
