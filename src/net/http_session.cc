#include "net/http_session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/log.h"
#include "net/http_encode.h"

namespace hf::net {

namespace {

constexpr std::size_t kReadBytes = 8 << 10;  ///< of a fresh connection; doubles while reads fill it
constexpr std::size_t kReadBytesMax = 64 << 10;
constexpr std::size_t kWriteBytes = 256 << 10;  ///< one write's share of a large body; each moves the deadline
constexpr std::size_t kJoinBytes = 32 << 10;    ///< up to this a body is copied behind its header: one system call
constexpr Duration kLeaveTime = 2s;
constexpr std::size_t kLeaveBytes = 16 << 20;  ///< read and thrown away at most, so that our last answer arrives

}  // namespace

HttpService::HttpService(sys::World world, const std::string& name, HttpHandler handler, HttpLimits limits)
    : world_(std::move(world)), handler_(std::move(handler)), limits_(limits) {
  for (std::size_t i = 0; i < answered_.size(); ++i) {
    answered_[i] =
        &world_.metrics.counter("holdfast_net_http_responses_total", "HTTP/1.1 responses by listener and class",
                                {{"listener", name}, {"class", std::to_string(i + 2) + "xx"}});
  }
}

std::string_view HttpService::date() {
  const WallTime second = std::chrono::floor<std::chrono::seconds>(world_.clock.wall());
  if (date_.empty() || second != date_at_) {
    date_ = format_http_date(second);
    date_at_ = second;
  }
  return date_;
}

void HttpService::count(int status) {
  const auto index = static_cast<std::size_t>(std::clamp(status / 100, 2, 5) - 2);
  answered_[index]->add();
}

HttpSession::HttpSession(std::shared_ptr<HttpService> service, std::shared_ptr<ByteStream> stream,
                         std::string_view first)
    : service_(std::move(service)),
      stream_(std::move(stream)),
      parser_(service_->limits()),
      in_(std::max(kReadBytes, first.size())),
      end_(first.size()) {
  std::memcpy(in_.data(), first.data(), first.size());
  enter(Phase::idle, service_->limits().idle);
}

void HttpSession::enter(Phase phase, Duration limit) {
  phase_ = phase;
  deadline_ = service_->clock().now() + limit;
}

asio::awaitable<void> HttpSession::run() {
  const auto self = shared_from_this();
  After after = After::keep;
  while (after == After::keep && co_await receive()) after = co_await answer();
  if (after == After::leave || phase_ == Phase::leaving) co_await leave();
  stream_->close();
}

/// Until a whole request is there. False: none will come; if it was refused, the phase is `leaving`.
asio::awaitable<bool> HttpSession::receive() {
  continued_ = false;
  for (;;) {
    const std::string_view unread(reinterpret_cast<const char*>(in_.data()) + begin_, end_ - begin_);
    HttpParsed parsed = parser_.put(unread);
    begin_ += parsed.consumed;
    if (parsed.refusal != 0) {
      co_await refuse(parsed.refusal, std::move(parsed.reason));
      co_return false;
    }
    if (parser_.complete()) co_return true;
    if (phase_ == Phase::idle && (parser_.started() || begin_ < end_))
      enter(Phase::receiving, service_->limits().request);
    if (parser_.expects_continue() && !continued_) {
      continued_ = true;
      if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
    }
    if (phase_ == Phase::idle && draining_) co_return false;
    if (!co_await fill()) co_return false;
  }
}

/// Reads more into the buffer. False: the connection has ended, or the deadline took the matter over meanwhile.
asio::awaitable<bool> HttpSession::fill() {
  if (begin_ > 0) {
    std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == in_.size()) in_.resize(in_.size() * 2);  // bounded: the parser refuses more than a header's worth
  const MutableBytes space = MutableBytes(in_).subspan(end_);
  const Result<std::size_t> n = co_await stream_->read_some(space);
  if (!n || *n == 0 || phase_ == Phase::leaving) co_return false;
  end_ += *n;
  if (*n == space.size() && in_.size() < kReadBytesMax) in_.resize(in_.size() * 2);
  co_return true;
}

asio::awaitable<HttpSession::After> HttpSession::answer() {
  const bool wants_more = parser_.keep_alive();
  const bool http_1_0 = parser_.http_1_0();
  HttpRequest request = parser_.take();
  request.peer = stream_->peer();
  request.local = stream_->local();
  request.secure = stream_->secure();
  const bool head = request.method == "HEAD";
  phase_ = Phase::handling;
  deadline_ = Monotonic::max();  // the handler's own deadlines hold
  const HttpResponse response = co_await service_->handler()(std::move(request));
  const bool keep_alive = wants_more && !draining_;
  enter(Phase::writing, service_->limits().request);
  if (!co_await send(response, head, keep_alive, http_1_0)) co_return After::broken;
  if (!keep_alive) co_return After::leave;
  enter(Phase::idle, service_->limits().idle);
  co_return After::keep;
}

asio::awaitable<bool> HttpSession::send(const HttpResponse& response, bool head, bool keep_alive, bool http_1_0) {
  service_->count(response.status);
  out_.clear();
  append_response_head(out_, response, {.date = service_->date(), .keep_alive = keep_alive, .http_1_0 = http_1_0});
  const std::string_view body = head || !may_have_body(response.status) ? std::string_view() : response.body;
  if (body.size() <= kJoinBytes) {
    out_ += body;
    co_return co_await write(out_);
  }
  if (!co_await write(out_)) co_return false;
  for (std::size_t at = 0; at < body.size(); at += kWriteBytes) {
    enter(phase_, service_->limits().request);
    if (!co_await write(body.substr(at, kWriteBytes))) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> HttpSession::write(std::string_view bytes) {
  co_return (co_await stream_->write_all(as_bytes(bytes))).has_value();
}

/// The request cannot be read to its end, so there is no way to find the next one: answer and leave.
asio::awaitable<void> HttpSession::refuse(int status, std::string reason) {
  log::debug("net.http.refused", {{"peer", stream_->peer()}, {"status", status}, {"reason", reason}});
  enter(Phase::leaving, service_->limits().request);
  const HttpResponse response = HttpResponse::text(status, reason + "\n");
  co_await send(response, false, false, false);
}

asio::awaitable<void> HttpSession::leave() {
  enter(Phase::leaving, kLeaveTime);
  if (!late_ && !co_await stream_->finish_writing()) co_return;
  in_.resize(kReadBytes);
  for (std::size_t thrown_away = 0; thrown_away < kLeaveBytes;) {
    const Result<std::size_t> n = co_await stream_->read_some(in_);
    if (!n || *n == 0) co_return;
    thrown_away += *n;
  }
}

/// 408, beside the read that still waits in fill(); that read's end is then the client's.
asio::awaitable<void> HttpSession::answer_late(std::shared_ptr<HttpSession> self) {
  const HttpResponse response = HttpResponse::text(408, "The request did not arrive in time.\n");
  const bool sent = co_await self->send(response, false, false, false) && co_await self->stream_->finish_writing();
  if (!sent) self->stream_->close();
  self->enter(Phase::leaving, kLeaveTime);
}

void HttpSession::sweep(Monotonic now) {
  if (now < deadline_) return;
  if (phase_ != Phase::receiving) return stream_->close();
  enter(Phase::leaving, service_->limits().request);
  late_ = true;
  asio::co_spawn(service_->executor(), answer_late(shared_from_this()), asio::detached);
}

void HttpSession::drain() {
  draining_ = true;
  if (phase_ == Phase::idle) stream_->close();
}

}  // namespace hf::net
