#include "net/listener.h"

#include <boost/asio/co_spawn.hpp>
#include <cstdlib>
#include <list>

#include "base/log.h"
#include "net/http_session.h"
#include "net/sniff.h"
#include "net/tls.h"
#include "net/transport.h"
#include "sys/wait.h"

namespace hf::net {

namespace {

/// What a stranger gets who speaks a protocol that this port does not serve.
constexpr std::string_view kTlsAlert{"\x15\x03\x01\x00\x02\x02\x28", 7};  // fatal, handshake_failure
constexpr std::string_view kHttp2Refusal{
    "\x00\x00\x00\x04\x00\x00\x00\x00\x00"                                   // SETTINGS, empty
    "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0d",  // GOAWAY, HTTP_1_1_REQUIRED
    26};
constexpr Duration kRetryAccept = 100ms;  ///< after "no descriptors left"
constexpr Duration kSweepMin = 5ms, kSweepMax = 500ms;

asio::awaitable<HttpResponse> refuse_http1(HttpRequest) {
  HttpResponse response = HttpResponse::text(426, "This port speaks gRPC, that is HTTP/2.\n");
  response.headers.add("Upgrade", "h2c");
  co_return response;
}

asio::awaitable<HttpResponse> refuse_overload(HttpRequest) {
  HttpResponse response = HttpResponse::text(503, "Too many connections.\n");
  response.headers.add("Retry-After", "1");
  co_return response;
}

/// A stream that somebody else may still close: gRPC sessions own theirs, and a drain has a deadline.
class SharedStream final : public ByteStream {
 public:
  explicit SharedStream(std::shared_ptr<ByteStream> stream) : stream_(std::move(stream)) {}
  ~SharedStream() override { stream_->close(); }
  Task<std::size_t> read_some(MutableBytes into) override { return stream_->read_some(into); }
  Task<> write_all(Bytes bytes) override { return stream_->write_all(bytes); }
  std::optional<Result<std::size_t>> try_read(MutableBytes into) override { return stream_->try_read(into); }
  Task<> finish_writing() override { return stream_->finish_writing(); }
  void close() override { stream_->close(); }
  const std::string& peer() const override { return stream_->peer(); }
  const std::string& local() const override { return stream_->local(); }
  bool secure() const override { return stream_->secure(); }
  const std::string& alpn() const override { return stream_->alpn(); }

 private:
  std::shared_ptr<ByteStream> stream_;
};

struct Connection {
  std::shared_ptr<ByteStream> stream;  ///< what to close: the TLS stream once there is one
  std::shared_ptr<HttpSession> http;   ///< once it is known to be that; it keeps its own deadline then
  Monotonic deadline;                  ///< for finding out what it speaks
  bool over_limit = false;
  bool is_grpc = false;  ///< gRPC sessions keep their own deadlines
};

/// Shared by the listener and its coroutines, so that either may end first. Nothing here is touched by destructors that
/// run after the world is gone.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(sys::World world, ListenerOptions options, std::unique_ptr<Acceptor> acceptor,
       std::shared_ptr<const TlsContext> tls)
      : world_(std::move(world)),
        options_(std::move(options)),
        acceptor_(std::move(acceptor)),
        tls_(std::move(tls)),
        http_(std::make_shared<HttpService>(world_, options_.name, options_.http ? options_.http : refuse_http1,
                                            options_.http_limits)),
        overload_(std::make_shared<HttpService>(world_, options_.name, refuse_overload, options_.http_limits)),
        draining_(std::make_shared<sys::Event>(world_.clock)),
        ended_(world_.clock),
        open_(world_.metrics.gauge("holdfast_net_connections", "open connections", {{"listener", options_.name}})),
        accepted_(count_of("accepted")),
        refused_(count_of("refused")) {}

  std::uint16_t port() const { return acceptor_->port(); }

  void start() { spawn(accept_all(shared_from_this())); }

  asio::awaitable<void> drain(Monotonic deadline) {
    const auto self = shared_from_this();
    stop_accepting();
    for (Connection& connection : connections_) {
      if (connection.http) {
        connection.http->drain();
      } else if (!connection.is_grpc) {
        connection.stream->close();  // it has not said anything yet
      }
    }
    draining_->notify_all();
    while (running_ > 0) {
      if (!co_await ended_.wait_until(deadline)) break;
    }
    if (running_ == 0) co_return;
    log::warn("net.listener.drain_cut", {{"listener", options_.name}, {"connections", connections_.size()}});
    close_all();
    // What still runs now are handlers; they refer to their component, so it must not be told that they are done.
    while (running_ > 0) co_await ended_.wait();
  }

  void stop() {
    stop_accepting();
    close_all();
    sweep_.reset();
  }

 private:
  metrics::Counter& count_of(const char* outcome) {
    return world_.metrics.counter("holdfast_net_connections_total", "connections by what became of them",
                                  {{"listener", options_.name}, {"outcome", outcome}});
  }

  void spawn(asio::awaitable<void> task) {
    ++running_;
    asio::co_spawn(world_.executor, std::move(task), [self = shared_from_this()](const std::exception_ptr& error) {
      if (error) self->die(error);
      if (--self->running_ == 0) self->ended_.notify_all();
    });
  }

  [[noreturn]] void die(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& exception) {
      log::error("net.listener.threw", {{"listener", options_.name}, {"what", exception.what()}});
    }
    std::abort();  // handlers never throw: one that did left its component half-way through something
  }

  void stop_accepting() {
    stopping_ = true;
    acceptor_->close();
  }

  void close_all() {
    for (Connection& connection : connections_) connection.stream->close();
  }

  static asio::awaitable<void> accept_all(std::shared_ptr<Core> self) {
    while (!self->stopping_) {
      Result<std::unique_ptr<ByteStream>> stream = co_await self->acceptor_->accept();
      if (stream) {
        self->take(std::move(*stream));
      } else if (stream.error().code == Code::exhausted) {
        log::warn("net.listener.accept_failed",
                  {{"listener", self->options_.name}, {"reason", stream.error().message}});
        co_await self->world_.clock.sleep_for(kRetryAccept);
      } else {
        break;
      }
    }
  }

  void take(std::unique_ptr<ByteStream> stream) {
    const std::size_t limit = options_.http_limits.connections;
    accepted_.add();
    if (stopping_ || connections_.size() >= limit + limit / 4 + 16) {  // not even an answer can be afforded
      refused_.add();
      return stream->close();
    }
    Connection connection;
    connection.over_limit = connections_.size() >= limit;
    connection.stream = std::move(stream);
    connection.deadline = world_.clock.now() + options_.http_limits.request;
    connections_.push_back(std::move(connection));
    open_.set(static_cast<double>(connections_.size()));
    spawn(serve(shared_from_this(), std::prev(connections_.end())));
    schedule_sweep();
  }

  using Place = std::list<Connection>::iterator;

  static asio::awaitable<void> serve(std::shared_ptr<Core> self, Place place) {
    if (place->over_limit) self->refused_.add();
    co_await self->find_protocol(place);
    place->stream->close();
    self->connections_.erase(place);
    self->open_.set(static_cast<double>(self->connections_.size()));
  }

  asio::awaitable<void> find_protocol(Place place) {
    std::string first;
    Result<Spoken> spoken = co_await read_first(*place->stream, first);
    if (spoken && *spoken == Spoken::tls) {
      if (!tls_) {
        (void)co_await place->stream->write_all(as_bytes(kTlsAlert));
        co_return;
      }
      std::shared_ptr<TlsStream> secure =
          make_tls_server(tls_, std::make_unique<SharedStream>(place->stream), std::move(first), world_.clock);
      place->stream = secure;
      first.clear();
      if (Result<void> done = co_await secure->handshake(); !done) {
        log::debug("net.tls.handshake_failed", {{"peer", secure->peer()}, {"reason", done.error().message}});
        co_return;
      }
      spoken = co_await read_first(*place->stream, first);
    }
    if (!spoken) co_return;
    if (*spoken == Spoken::http2) co_return co_await serve_http2(place, std::move(first));
    co_await serve_http1(place, std::move(first));
  }

  /// Errors: unavailable: it ended before it said anything of use.
  static Task<Spoken> read_first(ByteStream& stream, std::string& first) {
    std::array<std::uint8_t, 4096> buffer;
    for (;;) {
      HF_CO_TRY(const std::size_t n, co_await stream.read_some(buffer));
      if (n == 0) co_return Error{Code::unavailable, "closed before the first request"};
      first += as_text(Bytes(buffer).first(n));
      if (const Spoken spoken = sniff(first); spoken != Spoken::undecided) co_return spoken;
    }
  }

  asio::awaitable<void> serve_http1(Place place, std::string first) {
    const auto session = std::make_shared<HttpSession>(place->over_limit ? overload_ : http_, place->stream, first);
    place->http = session;
    if (stopping_ || place->over_limit) session->close_after_next();
    co_await session->run();
  }

  asio::awaitable<void> serve_http2(Place place, std::string first) {
    if (!options_.grpc || place->over_limit || stopping_) {
      (void)co_await place->stream->write_all(as_bytes(kHttp2Refusal));
      co_return;
    }
    place->is_grpc = true;
    auto stream = std::make_unique<SharedStream>(place->stream);
    co_await serve_grpc(std::move(stream), std::move(first), *options_.grpc, options_.grpc_limits, world_, draining_);
  }

  void schedule_sweep() {
    if (sweep_ || connections_.empty()) return;
    const HttpLimits& limits = options_.http_limits;
    const Duration every = std::clamp(std::min(limits.idle, limits.request) / 8, kSweepMin, kSweepMax);
    const auto weak = weak_from_this();
    sweep_ = world_.clock.call_at(world_.executor, world_.clock.now() + every, [weak] {
      if (const auto self = weak.lock()) self->sweep();
    });
  }

  void sweep() {
    const Monotonic now = world_.clock.now();
    for (Connection& connection : connections_) {
      if (connection.http) {
        connection.http->sweep(now);
      } else if (!connection.is_grpc && now >= connection.deadline) {
        connection.stream->close();
      }
    }
    sweep_.reset();
    schedule_sweep();
  }

  sys::World world_;
  const ListenerOptions options_;
  std::unique_ptr<Acceptor> acceptor_;
  std::shared_ptr<const TlsContext> tls_;
  std::shared_ptr<HttpService> http_, overload_;
  std::shared_ptr<sys::Event> draining_;
  sys::Event ended_;
  std::list<Connection> connections_;
  std::unique_ptr<sys::Timer> sweep_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  metrics::Gauge& open_;
  metrics::Counter& accepted_;
  metrics::Counter& refused_;
};

class RunningListener final : public Listener {
 public:
  explicit RunningListener(std::shared_ptr<Core> core) : core_(std::move(core)), port_(core_->port()) {}
  ~RunningListener() override { core_->stop(); }
  std::uint16_t port() const override { return port_; }
  asio::awaitable<void> drain(Monotonic deadline) override { return core_->drain(deadline); }

 private:
  std::shared_ptr<Core> core_;
  const std::uint16_t port_;
};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::start(sys::World world, ListenerOptions options) {
  std::shared_ptr<const TlsContext> tls;
  if (options.tls) {
    std::vector<std::string> alpn;
    if (options.grpc) alpn.emplace_back("h2");
    if (options.http) alpn.emplace_back("http/1.1");
    HF_TRY(tls, TlsContext::server(*options.tls, std::move(alpn)));
  }
  HF_TRY(std::unique_ptr<Acceptor> acceptor, Acceptor::open(world, options.host, options.port));
  log::info("net.listener.started", {{"listener", options.name}, {"host", options.host}, {"port", acceptor->port()}});
  const auto core = std::make_shared<Core>(std::move(world), std::move(options), std::move(acceptor), std::move(tls));
  core->start();
  return std::make_unique<RunningListener>(core);
}

}  // namespace hf::net
