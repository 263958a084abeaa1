#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/log.h"
#include "net/backoff.h"
#include "net/grpc_client_session.h"
#include "net/listener.h"

namespace hf::net {
namespace {

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
