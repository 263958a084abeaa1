#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/log.h"
#include "net/backoff.h"
#include "net/grpc.h"
#include "net/h2_session.h"
#include "net/listener.h"

namespace hf::net {
namespace {

constexpr std::uint32_t kStreamWindow = 1 << 20, kConnectionWindow = 16 << 20;
/// Stream ids are 31 bits and grow by 2: a connection is retired before they run out.
constexpr std::uint32_t kLastStreamId = 0x7fff'0000;

/// One call on the client. Decided by the server's status, a reset, the deadline or the
/// connection.
struct ClientCall final : H2Stream {
  ClientCall(sys::Clock& clock, std::size_t message_limit) : H2Stream(clock, message_limit) {}

  bool sent = false;  ///< the request's headers went out: from here on the server may have seen it
  int http_status = 0;
  bool has_status = false;
  GrpcStatus status;             ///< the server's, or the one that says what happened instead
  std::optional<Error> failure;  ///< set when the call is decided and `status` is not OK
};
using ClientCallPtr = std::shared_ptr<ClientCall>;

class ClientSession final : public H2Session {
 public:
  ClientSession(std::unique_ptr<ByteStream> connection, const GrpcChannel::Options& options, sys::World world)
      : H2Session(std::move(connection), world, options_of(options)),
        options_(options),
        counters_(world.metrics, "holdfast_net_grpc_called_total", "gRPC calls made, by how they ended"),
        authority_(fmt::format("{}:{}", options.host, options.port)) {}

  /// Takes new calls: connected, not drained by the server, ids left.
  bool usable() const { return usable_; }
  bool was_healthy() const { return heard_anything(); }
  std::size_t open_calls() const { return streams().size(); }
  Result<ClientCallPtr> start(const std::string& path, const GrpcMetadata& metadata, Monotonic deadline);
  /// Ends the call here and tells the server.
  void give_up(ClientCall& call, GrpcStatus status);
  void close();

 private:
  static Options options_of(const GrpcChannel::Options& options);

  void on_header(H2Stream& stream, std::string_view name, std::string_view value) override;
  void on_headers_end(H2Stream& stream) override;
  void on_message(H2Stream& stream) override { stream.readable.notify_all(); }
  void on_bad_message(H2Stream& stream, GrpcStatus why) override;
  void on_compressed_message(H2Stream& stream) override;
  void on_remote_end(H2Stream& stream) override;
  void on_frame_sent(H2Stream& stream, const nghttp2_frame& frame) override;
  void on_control_frame(const nghttp2_frame& frame) override;
  void on_close(H2Stream& stream, std::optional<std::uint32_t> reset) override;
  void on_deadline(H2Stream& stream) override;
  Monotonic watch_peer(Monotonic now) override;
  void end(ClientCall& call, GrpcStatus status, std::optional<Error> failure);
  void retire();
  Error lost(const ClientCall& call, Code code_if_sent, std::string why) const;

  const GrpcChannel::Options options_;
  CallCounters counters_;
  const std::string authority_;
  bool usable_ = true;
  std::optional<Monotonic> pinged_at_;
};

H2Session::Options ClientSession::options_of(const GrpcChannel::Options& options) {
  Options out;
  out.side = Side::client;
  out.stream_window = kStreamWindow;
  out.connection_window = kConnectionWindow;
  out.assembling_bytes = 2 * options.message_bytes + kConnectionWindow;
  return out;
}

Result<ClientCallPtr> ClientSession::start(const std::string& path, const GrpcMetadata& metadata, Monotonic deadline) {
  if (open_calls() >= kGrpcCallsMax) return Error{Code::exhausted, "too many calls are open on this channel"};
  auto call = std::make_shared<ClientCall>(world().clock, options_.message_bytes);
  call->deadline = deadline;
  std::vector<nghttp2_nv> fields = {header_field(":method", "POST", true),
                                    header_field(":scheme", connection().secure() ? "https" : "http", true),
                                    header_field(":path", path),
                                    header_field(":authority", authority_),
                                    header_field("te", "trailers", true),
                                    header_field("content-type", "application/grpc", true),
                                    header_field("grpc-accept-encoding", "identity", true),
                                    header_field("user-agent", "grpc-holdfast/0.1", true)};
  std::string timeout;
  if (deadline != Monotonic::max()) {
    timeout = format_grpc_timeout(deadline - world().clock.now());
    fields.push_back(header_field("grpc-timeout", timeout));
  }
  std::vector<std::string> encoded;
  encoded.reserve(metadata.size());  // the fields point into it
  for (const auto& [name, value] : metadata) {
    encoded.push_back(encode_metadata_value(name, value));
    fields.push_back(header_field(name, encoded.back()));
  }
  const nghttp2_data_provider data = data_of(*call);
  const std::int32_t id = nghttp2_submit_request(h2(), nullptr, fields.data(), fields.size(), &data, call.get());
  if (id < 0) {
    usable_ = false;
    return Error{Code::unavailable, fmt::format("cannot open a stream: {}", nghttp2_strerror(id))};
  }
  if (nghttp2_session_get_next_stream_id(h2()) >= kLastStreamId) retire();
  add_stream(call, id);
  watch_deadline(*call);
  arm(world().clock.now() + options_.keepalive);
  wake_writer();
  return call;
}

/// No new calls here; the connection ends with its last one.
void ClientSession::retire() {
  usable_ = false;
  nghttp2_submit_goaway(h2(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
}

void ClientSession::on_header(H2Stream& stream, std::string_view name, std::string_view value) {
  auto& call = static_cast<ClientCall&>(stream);
  if (name == ":status") {
    call.http_status = std::atoi(std::string(value).c_str());
  } else if (name == "grpc-status") {
    call.has_status = true;
    call.status.code = parse_grpc_code(value);
  } else if (name == "grpc-message") {
    call.status.message = decode_grpc_message(value);
  }
}

/// The body of a plain HTTP error is a page for people, not messages.
void ClientSession::on_headers_end(H2Stream& stream) {
  const int status = static_cast<ClientCall&>(stream).http_status;
  if (status >= 300) stream.ignore_input = true;
}

void ClientSession::on_bad_message(H2Stream& stream, GrpcStatus why) {
  give_up(static_cast<ClientCall&>(stream), std::move(why));
}

void ClientSession::on_compressed_message(H2Stream& stream) {
  on_bad_message(stream, {GrpcCode::internal, "the server sent a compressed message"});
}

void ClientSession::on_remote_end(H2Stream& stream) {
  auto& call = static_cast<ClientCall&>(stream);
  GrpcStatus status = call.status;
  if (!call.has_status) {
    const bool http_ok = call.http_status == 200;
    status.code = http_ok ? GrpcCode::unknown : code_of_http_status(call.http_status);
    status.message = fmt::format("the answer had HTTP status {} and no grpc-status", call.http_status);
  } else if (status.code == GrpcCode::ok && call.reader.inside()) {
    status = {GrpcCode::internal, "the answer ended inside a message"};
  }
  std::optional<Error> failure;
  if (status.code != GrpcCode::ok) failure = to_error(status);
  end(call, std::move(status), std::move(failure));
  if (!call.out_ended || call.out.pending() > 0) reset(call, NGHTTP2_CANCEL);  // the rest of the request is not wanted
}

void ClientSession::on_frame_sent(H2Stream& stream, const nghttp2_frame&) {
  static_cast<ClientCall&>(stream).sent = true;
}

void ClientSession::on_control_frame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_GOAWAY) usable_ = false;  // nghttp2 closes the streams above its id as REFUSED_STREAM
}

Error ClientSession::lost(const ClientCall& call, Code code_if_sent, std::string why) const {
  return {call.sent ? code_if_sent : Code::unavailable,
          call.sent ? std::move(why) : why + " before the request went out"};
}

void ClientSession::on_close(H2Stream& stream, std::optional<std::uint32_t> reset) {
  auto& call = static_cast<ClientCall&>(stream);
  if (!call.decided && reset) {
    GrpcStatus status{call.sent ? code_of_reset(*reset) : GrpcCode::unavailable,
                      fmt::format("the stream was reset: {}", nghttp2_http2_strerror(*reset))};
    Error failure = to_error(status);
    end(call, std::move(status), std::move(failure));
  } else if (!call.decided) {
    Error failure = lost(call, Code::timeout, "the connection broke");
    end(call, {GrpcCode::unavailable, failure.message}, std::move(failure));
  }
  counters_.count(call.status.code);  // here, not in end(): that one runs in destructors, when the world may be gone
  release(call, call.held);           // whoever still reads takes from memory
}

void ClientSession::on_deadline(H2Stream& stream) {
  auto& call = static_cast<ClientCall&>(stream);
  if (call.decided) return;
  Error failure = lost(call, Code::timeout, "the deadline passed");
  end(call, {GrpcCode::deadline_exceeded, failure.message}, std::move(failure));
  reset(call, NGHTTP2_CANCEL);
}

void ClientSession::give_up(ClientCall& call, GrpcStatus status) {
  if (call.decided) return;
  Error failure = to_error(status);
  end(call, std::move(status), std::move(failure));
  reset(call, NGHTTP2_CANCEL);
}

void ClientSession::end(ClientCall& call, GrpcStatus status, std::optional<Error> failure) {
  call.decided = true;
  call.status = std::move(status);
  call.failure = std::move(failure);
  call.readable.notify_all();
  call.writable.notify_all();
}

/// Silence with calls open is asked about; no answer means that the connection is dead.
Monotonic ClientSession::watch_peer(Monotonic at) {
  if (pinged_at_ && last_heard() >= *pinged_at_) pinged_at_.reset();
  if (streams().empty()) {
    pinged_at_.reset();
    return Monotonic::max();
  }
  if (pinged_at_ && at - *pinged_at_ >= options_.keepalive_timeout) {
    log::info("net.grpc.keepalive_lost", {{"peer", connection().peer()}});
    usable_ = false;
    close_connection();
    return Monotonic::max();
  }
  if (!pinged_at_ && at - last_heard() >= options_.keepalive) {
    pinged_at_ = at;
    ping();
  }
  return pinged_at_ ? *pinged_at_ + options_.keepalive_timeout : last_heard() + options_.keepalive;
}

void ClientSession::close() {
  usable_ = false;
  terminate(NGHTTP2_NO_ERROR);
}

/// What a channel is while it lives; its coroutines keep it.
class ChannelCore : public std::enable_shared_from_this<ChannelCore> {
 public:
  ChannelCore(sys::World world, GrpcChannel::Options options)
      : world_(std::move(world)),
        options_(std::move(options)),
        backoff_{options_.backoff_min, options_.backoff_max},
        changed_(world_.clock) {}

  Task<std::string> call(std::string path, GrpcMetadata metadata, std::string request, Monotonic deadline);
  Task<std::unique_ptr<GrpcClientStream>> open_stream(std::string path, GrpcMetadata metadata, Monotonic deadline);
  void close();

 private:
  using SessionPtr = std::shared_ptr<ClientSession>;
  Task<SessionPtr> session(Monotonic deadline);
  asio::awaitable<void> connect_and_run();
  Task<std::unique_ptr<ByteStream>> connect_now();
  void failed(std::string why);

  sys::World world_;
  const GrpcChannel::Options options_;
  const Backoff backoff_;
  SessionPtr current_;
  bool connecting_ = false;
  bool closed_ = false;
  std::uint32_t failures_ = 0;
  Monotonic retry_at_ = Monotonic::min();
  std::string last_failure_;
  sys::Event changed_;  ///< a connection was made, or could not be
};

Task<ChannelCore::SessionPtr> ChannelCore::session(Monotonic deadline) {
  const auto keep = shared_from_this();
  while (true) {
    if (closed_) co_return Error{Code::unavailable, "the channel is closed"};
    const Monotonic at = world_.clock.now();
    if (at >= deadline) co_return Error{Code::unavailable, "the deadline passed before the request went out"};
    if (current_ && current_->usable()) co_return current_;
    if (!connecting_) {
      if (at < retry_at_) co_return Error{Code::unavailable, fmt::format("backing off: {}", last_failure_)};
      connecting_ = true;
      asio::co_spawn(world_.executor, connect_and_run(), asio::detached);
      if (!connecting_) continue;  // it was decided without waiting
    }
    if (!co_await changed_.wait_until(deadline)) {
      co_return Error{Code::unavailable, "no connection before the deadline"};
    }
    if (!closed_ && !connecting_ && !(current_ && current_->usable()) && world_.clock.now() < retry_at_) {
      co_return Error{Code::unavailable, last_failure_};
    }
  }
}

Task<std::unique_ptr<ByteStream>> ChannelCore::connect_now() {
  const Monotonic deadline = world_.clock.now() + options_.connect_timeout;
  if (options_.connector) co_return co_await options_.connector(deadline);
  std::optional<TlsClientConfig> tls;
  if (options_.tls) tls = options_.tls_config;
  co_return co_await connect(world_, options_.host, options_.port, std::move(tls), "h2", deadline);
}

asio::awaitable<void> ChannelCore::connect_and_run() {
  const auto keep = shared_from_this();
  Result<std::unique_ptr<ByteStream>> stream = co_await connect_now();
  connecting_ = false;
  if (!stream) {
    failed(stream.error().message);
    changed_.notify_all();
    co_return;
  }
  if (closed_) {
    (*stream)->close();
    changed_.notify_all();
    co_return;
  }
  const SessionPtr session = std::make_shared<ClientSession>(std::move(*stream), options_, world_);
  current_ = session;
  changed_.notify_all();
  co_await session->run({});
  if (session->was_healthy()) failures_ = 0;
  if (!session->was_healthy()) failed("the connection ended before the server said anything");
  if (current_ == session) current_ = nullptr;
}

void ChannelCore::failed(std::string why) {
  retry_at_ = world_.clock.now() + backoff_.delay(failures_++, world_.random);
  last_failure_ = std::move(why);
  log::debug("net.grpc.connect_failed", {{"host", options_.host}, {"port", options_.port}, {"why", last_failure_}});
}

void ChannelCore::close() {
  closed_ = true;
  if (const SessionPtr session = std::exchange(current_, nullptr)) session->close();
  changed_.notify_all();
}

Task<std::string> ChannelCore::call(std::string path, GrpcMetadata metadata, std::string request, Monotonic deadline) {
  HF_CO_TRY(const SessionPtr session, co_await this->session(deadline));
  HF_CO_TRY(const ClientCallPtr call, session->start(path, metadata, deadline));
  session->send(*call, std::move(request));
  session->end_sending(*call);
  while (!call->decided) {
    if (co_await call->readable.wait_until(Monotonic::max())) continue;
    session->give_up(*call, {GrpcCode::cancelled, "the caller was cancelled"});
  }
  if (call->failure) co_return std::move(*call->failure);
  if (call->in.size() != 1) {
    co_return Error{Code::internal, fmt::format("the answer had {} messages, not one", call->in.size())};
  }
  co_return session->take(*call);
}

/// The caller's end of a streaming call.
class ClientStream final : public GrpcClientStream {
 public:
  ClientStream(std::shared_ptr<ClientSession> session, ClientCallPtr call)
      : session_(std::move(session)), call_(std::move(call)) {}
  ~ClientStream() override { cancel(); }
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  Task<std::optional<std::string>> read() override;
  Task<> write(std::string message) override;
  Task<> finish_writing() override;
  const GrpcStatus& status() const override { return call_->status; }
  void cancel() override { session_->give_up(*call_, {GrpcCode::cancelled, "the stream was cancelled"}); }

 private:
  const std::shared_ptr<ClientSession> session_;
  const ClientCallPtr call_;
};

Task<std::optional<std::string>> ClientStream::read() {
  while (true) {
    if (!call_->in.empty()) co_return session_->take(*call_);
    if (call_->decided && call_->failure) co_return Error(*call_->failure);
    if (call_->decided) co_return std::nullopt;
    if (!co_await call_->readable.wait_until(Monotonic::max())) co_return Error{Code::timeout, "the read was given up"};
  }
}

Task<> ClientStream::write(std::string message) {
  if (call_->decided) co_return Error{Code::unavailable, "the call is over"};
  co_return co_await session_->write(call_, std::move(message));
}

Task<> ClientStream::finish_writing() {
  if (call_->session != nullptr) session_->end_sending(*call_);
  co_return ok();
}

Task<std::unique_ptr<GrpcClientStream>> ChannelCore::open_stream(std::string path, GrpcMetadata metadata,
                                                                 Monotonic deadline) {
  HF_CO_TRY(SessionPtr session, co_await this->session(deadline));
  HF_CO_TRY(ClientCallPtr call, session->start(path, metadata, deadline));
  co_return std::make_unique<ClientStream>(std::move(session), std::move(call));
}

/// Keeps the core while the call runs, whatever happens to the channel.
Task<std::string> run_call(std::shared_ptr<ChannelCore> core, std::string path, GrpcMetadata metadata,
                           std::string request, Monotonic deadline) {
  co_return co_await core->call(std::move(path), std::move(metadata), std::move(request), deadline);
}

Task<std::unique_ptr<GrpcClientStream>> run_open(std::shared_ptr<ChannelCore> core, std::string path,
                                                 GrpcMetadata metadata, Monotonic deadline) {
  co_return co_await core->open_stream(std::move(path), std::move(metadata), deadline);
}

}  // namespace

struct GrpcChannel::Impl {
  std::shared_ptr<ChannelCore> core;
};

GrpcChannel::GrpcChannel(sys::World world, Options options)
    : impl_(std::make_unique<Impl>(Impl{std::make_shared<ChannelCore>(std::move(world), std::move(options))})) {}
GrpcChannel::~GrpcChannel() { close(); }

Task<std::string> GrpcChannel::call(std::string path, GrpcMetadata metadata, std::string request, Monotonic deadline) {
  return run_call(impl_->core, std::move(path), std::move(metadata), std::move(request), deadline);
}

Task<std::unique_ptr<GrpcClientStream>> GrpcChannel::open_stream(std::string path, GrpcMetadata metadata,
                                                                 Monotonic deadline) {
  return run_open(impl_->core, std::move(path), std::move(metadata), deadline);
}

void GrpcChannel::close() { impl_->core->close(); }

}  // namespace hf::net
