#pragma once

/// One HTTP/1.1 connection on the server's side: requests one after the other, answers in their order.
///
///   idle ──first byte──▶ receiving ──last byte──▶ handling ──response──▶ writing ──sent──▶ idle
///     │ idle limit            │ request limit: 408                          │ close wanted, refused, draining
///     ▼                       ▼                                             ▼
///   closed ◀──── client's end, or 2 s ────── leaving (our end is sent; what still comes is read and thrown away,
///                                            because closing over unread bytes would reset the answer away)
///
/// There is one coarse deadline, moved at each arrow and enforced by whoever calls sweep() from time to time; no timer
/// per operation (stack.md §5).

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "net/byte_stream.h"
#include "net/http.h"
#include "net/http_parser.h"
#include "sys/world.h"

namespace hf::net {

/// What the sessions of one listener share. Strand only.
class HttpService {
 public:
  HttpService(sys::World world, const std::string& name, HttpHandler handler, HttpLimits limits);
  HttpService(const HttpService&) = delete;
  HttpService& operator=(const HttpService&) = delete;

  const HttpHandler& handler() const { return handler_; }
  const HttpLimits& limits() const { return limits_; }
  sys::Clock& clock() const { return world_.clock; }
  const sys::Executor& executor() const { return world_.executor; }
  /// The Date header of now; made once a second.
  std::string_view date();
  void count(int status);

 private:
  sys::World world_;
  HttpHandler handler_;
  HttpLimits limits_;
  std::array<metrics::Counter*, 4> answered_{};  ///< 2xx … 5xx
  WallTime date_at_{};
  std::string date_;
};

/// Strand only. Held by its own coroutine while that runs.
class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  /// `first`: bytes that were already read.
  HttpSession(std::shared_ptr<HttpService> service, std::shared_ptr<ByteStream> stream, std::string_view first);
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  /// Serves until the connection ends; closes it.
  asio::awaitable<void> run();
  /// Enforces the deadline.
  void sweep(Monotonic now);
  /// An idle connection is closed now, a busy one after its answer.
  void drain();
  /// Before run(): one request is answered, then the connection closes.
  void close_after_next() { draining_ = true; }

 private:
  enum class Phase { idle, receiving, handling, writing, leaving };
  enum class After { keep, leave, broken };

  asio::awaitable<bool> receive();
  asio::awaitable<bool> fill();
  asio::awaitable<After> answer();
  asio::awaitable<bool> send(const HttpResponse& response, bool head, bool keep_alive, bool http_1_0);
  asio::awaitable<bool> write(std::string_view bytes);
  asio::awaitable<void> refuse(int status, std::string reason);
  asio::awaitable<void> leave();
  static asio::awaitable<void> answer_late(std::shared_ptr<HttpSession> self);
  void enter(Phase phase, Duration limit);

  std::shared_ptr<HttpService> service_;
  std::shared_ptr<ByteStream> stream_;
  HttpRequestParser parser_;
  std::vector<std::uint8_t> in_;
  std::size_t begin_ = 0, end_ = 0;  ///< of what was read and not parsed
  std::string out_;
  Phase phase_ = Phase::idle;
  Monotonic deadline_ = Monotonic::max();
  bool continued_ = false;  ///< this request's "100 Continue" was sent
  bool late_ = false;       ///< the deadline answered 408, and finishes our direction itself
  bool draining_ = false;
};

}  // namespace hf::net
