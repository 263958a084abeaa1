#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "net/connect.h"
#include "net/http.h"
#include "net/http_encode.h"
#include "net/http_parser.h"
#include "sys/wait.h"

namespace hf::net {

namespace {

constexpr std::size_t kReadBytes = 16 << 10;
constexpr std::size_t kJoinBytes = 32 << 10;   ///< up to this a body is copied behind its header: one system call
constexpr std::size_t kAsideBytes = 64 << 10;  ///< beyond this the answer may come while we still send
constexpr Duration kIdleLimit = 30s;           ///< half of what our own listener grants: the client closes first
constexpr Duration kPruneEvery = 10s;

struct Wire {
  std::unique_ptr<ByteStream> stream;
  std::vector<std::uint8_t> in = std::vector<std::uint8_t>(kReadBytes);
  std::string out;
  Monotonic idle_since{};

  /// False: the other end closed, or said something that nobody asked for. Looked at before a byte of a request goes
  /// out, with no suspension in between, so that a stale connection is "certainly not processed" and never a guess.
  bool fresh() { return !stream->try_read(in).has_value(); }
};

struct Origin {
  explicit Origin(sys::Clock& clock) : freed(clock) {}
  std::vector<std::unique_ptr<Wire>> idle;  ///< the last one is the one used last
  std::size_t open = 0;                     ///< in use, idle, or being opened
  sys::Event freed;
};

/// A body being sent beside the reading of its answer.
struct Sending {
  explicit Sending(sys::Clock& clock) : ended(clock) {}
  std::string rest;
  bool done = false;
  sys::Event ended;
};

asio::awaitable<void> send_aside(std::shared_ptr<Sending> sending, ByteStream& stream) {
  (void)co_await stream.write_all(as_bytes(sending->rest));  // a failure shows in the answer, or in its absence
  sending->done = true;
  sending->ended.notify_all();
}

/// Shared with the requests under way, so that the client may go first.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(sys::World world, HttpClient::Options options)
      : world_(std::move(world)),
        options_(std::move(options)),
        answered_(count_of("answered")),
        refused_(count_of("invalid")),
        not_sent_(count_of("unavailable")),
        unknown_(count_of("timeout")) {}

  static Task<HttpResponse> send(std::shared_ptr<Pool> self, HttpRequest request, std::string url_text,
                                 Monotonic deadline) {
    Result<HttpResponse> response = co_await self->attempt(std::move(request), std::move(url_text), deadline);
    self->count(response);
    co_return response;
  }

  void close_idle() {
    for (auto& [name, origin] : origins_) {
      origin->open -= origin->idle.size();
      origin->idle.clear();
      origin->freed.notify_all();
    }
  }

  void shut() {
    shut_ = true;
    close_idle();
    prune_.reset();
  }

 private:
  metrics::Counter& count_of(const char* outcome) {
    return world_.metrics.counter("holdfast_net_http_client_requests_total", "outgoing HTTP requests by outcome",
                                  {{"outcome", outcome}});
  }

  void count(const Result<HttpResponse>& response) {
    if (response) return answered_.add();
    switch (response.error().code) {
      case Code::timeout:
        return unknown_.add();
      case Code::unavailable:
        return not_sent_.add();
      default:
        return refused_.add();
    }
  }

  Task<HttpResponse> attempt(HttpRequest request, std::string url_text, Monotonic deadline) {
    HF_CO_TRY(const Url url, parse_url(url_text));
    HF_CO_TRY(check_request(request));
    HF_CO_TRY(co_await world_.faults.reach("net.http_before_send"));
    const std::shared_ptr<Origin> origin = find_origin(url);
    HF_CO_TRY(std::unique_ptr<Wire> wire, co_await acquire(*origin, url, deadline));
    bool late = false;
    const auto give_up = world_.clock.call_at(world_.executor, deadline, [&late, &stream = *wire->stream] {
      late = true;
      stream.close();
    });
    bool reusable = false;
    Result<HttpResponse> response = co_await exchange(*wire, request, url, reusable);
    give_back(*origin, std::move(wire), reusable && !late);
    if (response) {
      const Result<void> heard = co_await world_.faults.reach("net.http_after_answer");
      if (heard) co_return response;
      response = heard.error();
    }
    // Bytes have gone out, and whatever broke, the server may have acted (P5).
    const std::string why = late ? "no whole answer before the deadline" : response.error().message;
    co_return Error{Code::timeout, url.origin() + ": " + why};
  }

  std::shared_ptr<Origin> find_origin(const Url& url) {
    std::shared_ptr<Origin>& origin = origins_[url.origin()];
    if (!origin) origin = std::make_shared<Origin>(world_.clock);
    schedule_prune();
    return origin;
  }

  Task<std::unique_ptr<Wire>> acquire(Origin& origin, const Url& url, Monotonic deadline) {
    for (;;) {
      if (world_.clock.now() >= deadline) {
        co_return Error{Code::unavailable, url.origin() + ": the deadline passed before a connection was free"};
      }
      while (!origin.idle.empty()) {
        std::unique_ptr<Wire> wire = std::move(origin.idle.back());
        origin.idle.pop_back();
        if (wire->fresh()) co_return wire;
        --origin.open;
      }
      if (origin.open < options_.connections_per_origin) break;
      co_await origin.freed.wait_until(deadline);
    }
    ++origin.open;
    Result<std::unique_ptr<Wire>> opened = co_await open(url, deadline);
    if (!opened) free_place(origin);
    co_return opened;
  }

  Task<std::unique_ptr<Wire>> open(const Url& url, Monotonic deadline) {
    std::shared_ptr<const TlsContext> tls;
    if (url.scheme == "https") {
      if (!tls_) {
        HF_CO_TRY(tls_, TlsContext::client(options_.tls));
      }
      tls = tls_;
    }
    const Monotonic until = std::min(deadline, world_.clock.now() + options_.connect_timeout);
    auto wire = std::make_unique<Wire>();
    HF_CO_TRY(wire->stream, co_await open_connection(world_, url.host, url.port, std::move(tls), "http/1.1", until));
    co_return wire;
  }

  /// Errors: any code: the request may have been processed.
  Task<HttpResponse> exchange(Wire& wire, const HttpRequest& request, const Url& url, bool& reusable) {
    wire.out.clear();
    append_request_head(wire.out, request, url);
    const bool joined = request.body.size() <= kJoinBytes;
    if (joined) wire.out += request.body;
    if (request.body.size() <= kAsideBytes) {
      Result<void> sent = co_await wire.stream->write_all(as_bytes(wire.out));
      if (sent && !joined) sent = co_await wire.stream->write_all(as_bytes(request.body));
      // Even if sending failed: a server may have answered early and closed.
      Result<HttpResponse> response = co_await read_response(wire, request.method, reusable);
      reusable = reusable && sent;
      co_return response;
    }
    const auto sending = std::make_shared<Sending>(world_.clock);
    sending->rest = std::move(wire.out) + request.body;
    asio::co_spawn(world_.executor, send_aside(sending, *wire.stream), asio::detached);
    Result<HttpResponse> response = co_await read_response(wire, request.method, reusable);
    if (!sending->done) {
      reusable = false;
      wire.stream->close();
    }
    while (!sending->done) co_await sending->ended.wait();  // it refers to the stream
    co_return response;
  }

  Task<HttpResponse> read_response(Wire& wire, const std::string& method, bool& reusable) {
    using Body = HttpResponseParser::Body;
    HttpResponseParser parser(options_.response_bytes, method == "HEAD" ? Body::none : Body::expected);
    std::size_t held = 0;
    while (!parser.complete()) {
      if (held == wire.in.size()) wire.in.resize(wire.in.size() * 2);  // bounded by the parser's header limit
      HF_CO_TRY(const std::size_t n, co_await wire.stream->read_some(MutableBytes(wire.in).subspan(held)));
      if (n == 0) {
        if (parser.end()) break;
        co_return Error{Code::timeout, "the connection ended before the whole answer came"};
      }
      held += n;
      HttpParsed parsed = parser.put(as_text(Bytes(wire.in).first(held)));
      if (parsed.refusal != 0) co_return Error{Code::timeout, std::move(parsed.reason)};
      held -= parsed.consumed;
      std::memmove(wire.in.data(), wire.in.data() + parsed.consumed, held);
    }
    reusable = parser.keep_alive() && held == 0;
    co_return parser.take();
  }

  void give_back(Origin& origin, std::unique_ptr<Wire> wire, bool reusable) {
    if (!reusable || shut_) {
      wire.reset();
      return free_place(origin);
    }
    wire->idle_since = world_.clock.now();
    origin.idle.push_back(std::move(wire));
    origin.freed.notify_one();
  }

  void free_place(Origin& origin) {
    --origin.open;
    origin.freed.notify_one();
  }

  /// Connections that nobody wants are closed, origins without any are forgotten.
  void schedule_prune() {
    if (prune_ || shut_) return;
    const auto weak = weak_from_this();
    prune_ = world_.clock.call_at(world_.executor, world_.clock.now() + kPruneEvery, [weak] {
      if (const auto self = weak.lock()) self->prune();
    });
  }

  void prune() {
    const Monotonic now = world_.clock.now();
    for (auto& [name, origin] : origins_) {
      origin->open -= std::erase_if(
          origin->idle, [&](const auto& wire) { return now - wire->idle_since >= kIdleLimit || !wire->fresh(); });
    }
    std::erase_if(origins_, [](const auto& entry) { return entry.second->open == 0 && entry.second.use_count() == 1; });
    prune_.reset();
    if (!origins_.empty()) schedule_prune();
  }

  sys::World world_;
  const HttpClient::Options options_;
  std::shared_ptr<const TlsContext> tls_;
  std::map<std::string, std::shared_ptr<Origin>> origins_;
  std::unique_ptr<sys::Timer> prune_;
  bool shut_ = false;
  metrics::Counter& answered_;
  metrics::Counter& refused_;
  metrics::Counter& not_sent_;
  metrics::Counter& unknown_;
};

}  // namespace

struct HttpClient::Impl {
  std::shared_ptr<Pool> pool;
};

HttpClient::HttpClient(sys::World world, Options options)
    : impl_(std::make_unique<Impl>(std::make_shared<Pool>(std::move(world), std::move(options)))) {}
HttpClient::~HttpClient() { impl_->pool->shut(); }

Task<HttpResponse> HttpClient::send(HttpRequest request, std::string url, Monotonic deadline) {
  return Pool::send(impl_->pool, std::move(request), std::move(url), deadline);
}

void HttpClient::close_idle() { impl_->pool->close_idle(); }

}  // namespace hf::net
