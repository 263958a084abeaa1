#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "net/http.h"
#include "net/transport.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::net {
namespace {

/// A server of bytes: each connection runs a script against a client that must draw the right conclusions.
class HttpClientTest : public testing::Test {
 protected:
  using Script = std::function<asio::awaitable<void>(ByteStream&)>;

  ~HttpClientTest() override {
    client_.reset();
    if (acceptor_) acceptor_->close();
    EXPECT_TRUE(loop_.drain(30s));
  }

  sys::World& world() { return loop_.world(); }
  Monotonic in(Duration d) { return world().clock.now() + d; }

  /// Connection n runs script n; the last one serves all further ones.
  void serve(std::vector<Script> scripts) {
    acceptor_ = std::move(*Acceptor::open(world(), "127.0.0.1", 0));
    url_ = "http://127.0.0.1:" + std::to_string(acceptor_->port()) + "/x";
    asio::co_spawn(loop_.executor(), accept_all(acceptor_, std::move(scripts)), asio::detached);
  }

  asio::awaitable<void> accept_all(std::shared_ptr<Acceptor> acceptor, std::vector<Script> scripts) {
    for (;;) {
      Result<std::unique_ptr<ByteStream>> stream = co_await acceptor->accept();
      if (!stream) co_return;
      const Script script = scripts[std::min(accepted_++, scripts.size() - 1)];
      asio::co_spawn(loop_.executor(), run(script, std::move(*stream)), asio::detached);
    }
  }
  static asio::awaitable<void> run(Script script, std::unique_ptr<ByteStream> stream) {
    co_await script(*stream);
    stream->close();
  }

  static asio::awaitable<std::string> hear_request(ByteStream& stream) {
    std::string text;
    std::array<std::uint8_t, 4096> buffer;
    while (text.find("\r\n\r\n") == std::string::npos) {
      const Result<std::size_t> n = co_await stream.read_some(buffer);
      if (!n || *n == 0) break;
      text += as_text(Bytes(buffer).first(*n));
    }
    co_return text;
  }
  static asio::awaitable<void> wait_for_end(ByteStream& stream) {
    std::array<std::uint8_t, 4096> buffer;
    for (;;) {
      const Result<std::size_t> n = co_await stream.read_some(buffer);
      if (!n || *n == 0) co_return;
    }
  }
  /// Answers one request with these bytes, then goes on as `then` says.
  enum class Then { close, stay };
  Script answer(std::string bytes, Then then) {
    return [this, bytes, then](ByteStream& stream) -> asio::awaitable<void> {
      heard_ += co_await hear_request(stream);
      (void)co_await stream.write_all(as_bytes(bytes));
      if (then == Then::stay) co_await wait_for_end(stream);
    };
  }

  Result<HttpResponse> ask(std::string method, Duration limit = 5s, std::string body = {}) {
    HttpRequest request;
    request.method = std::move(method);
    request.body = std::move(body);
    return loop_.run_until_done(client_->send(std::move(request), url_, in(limit)));
  }

  static std::string outcome(const Result<HttpResponse>& result) {
    return result ? std::to_string(result->status) + " " + result->body : std::string(to_string(result.error().code));
  }

  sys::Loop loop_;
  HttpClient::Options options_;
  std::unique_ptr<HttpClient> client_ = std::make_unique<HttpClient>(loop_.world(), options_);
  std::shared_ptr<Acceptor> acceptor_;
  std::string url_;
  std::string heard_;
  std::size_t accepted_ = 0;
};

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST_F(HttpClientTest, AnswersOfEveryShape) {
  struct Case {
    const char *what, *method, *bytes, *want;
    Then then;
  };
  const Case kCases[] = {
      {"by length", "GET", kOk, "200 ok", Then::stay},
      {"in chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n",
       "200 ok", Then::stay},
      {"until the end", "GET", "HTTP/1.1 200 OK\r\n\r\nok", "200 ok", Then::close},
      {"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nok", "200 ok", Then::close},
      {"after interim ones", "POST",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: "
       "0\r\n\r\n",
       "201 ", Then::stay},
      {"to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "200 ", Then::stay},
      {"without content", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n", "204 ", Then::stay},
      {"an error is an answer", "GET", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "503 ", Then::stay},
  };
  for (const Case& c : kCases) {
    serve({answer(c.bytes, c.then)});
    EXPECT_EQ(outcome(ask(c.method)), c.want) << c.what;
    acceptor_->close();
  }
}

// P5 stands on this: `unavailable` is certainly not processed, `timeout` may have been.
TEST_F(HttpClientTest, WhatBrokeAfterTheRequestWentOutMayHaveHappened) {
  struct Case {
    const char *what, *bytes;
  };
  constexpr Case kCases[] = {
      {"closed before answering", ""},
      {"closed in the status line", "HTTP/1.1 20"},
      {"closed in the header", "HTTP/1.1 200 OK\r\nContent-Le"},
      {"closed in the body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"},
      {"closed in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok"},
      {"closed after an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"},
      {"not HTTP", "hello\r\n\r\n"},
      {"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"another protocol", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"},
  };
  for (const Case& c : kCases) {
    serve({answer(c.bytes, Then::close)});
    EXPECT_EQ(outcome(ask("POST", 5s, "x")), "timeout") << c.what;
    acceptor_->close();
  }
}

TEST_F(HttpClientTest, ClosedWithTheRequestUnreadMayHaveHappened) {
  serve({[](ByteStream& stream) -> asio::awaitable<void> {  // closing over unread bytes resets the connection
    std::array<std::uint8_t, 1> one;
    (void)co_await stream.read_some(one);
  }});
  EXPECT_EQ(outcome(ask("POST", 5s, "x")), "timeout");
}

TEST_F(HttpClientTest, RefusedIsCertainlyNotProcessed) {
  serve({answer(kOk, Then::stay)});
  acceptor_->close();
  EXPECT_EQ(outcome(ask("POST", 5s, "x")), "unavailable");
  url_ = "http://no..such.name/";
  EXPECT_EQ(outcome(ask("POST", 5s, "x")), "unavailable");
}

TEST_F(HttpClientTest, ADeadlineThatPassesWhileTheServerThinks) {
  serve({[](ByteStream& stream) { return wait_for_end(stream); }});
  EXPECT_EQ(outcome(ask("POST", 1s, "x")), "timeout");
}

TEST_F(HttpClientTest, ADeadlineThatHasPassedSendsNothing) {
  serve({answer(kOk, Then::stay)});
  EXPECT_EQ(outcome(ask("POST", -1s, "x")), "unavailable");
  EXPECT_EQ(accepted_, 0u);
}

TEST_F(HttpClientTest, BadUrlsAndHeadersAreInvalid) {
  url_ = "gopher://x";
  EXPECT_EQ(outcome(ask("GET")), "invalid");
  url_ = "http://127.0.0.1:1/";
  EXPECT_EQ(outcome(ask("G T")), "invalid");
}

TEST_F(HttpClientTest, KeepsConnections) {
  serve({[this](ByteStream& stream) -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      heard_ += co_await hear_request(stream);
      (void)co_await stream.write_all(as_bytes(kOk));
    }
  }});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(outcome(ask("GET")), "200 ok");
  EXPECT_EQ(accepted_, 1u);
  const std::string request = "GET /x HTTP/1.1\r\nHost: " + url_.substr(7, url_.size() - 9) + "\r\n\r\n";
  EXPECT_EQ(heard_, request + request + request);
}

TEST_F(HttpClientTest, AnIdleConnectionThatTheServerClosedIsReplacedUnseen) {
  serve({answer(kOk, Then::close), answer(kOk, Then::stay)});
  EXPECT_EQ(outcome(ask("POST")), "200 ok");
  EXPECT_EQ(outcome(ask("POST")), "200 ok") << "no byte of it went to the closed one";
  EXPECT_EQ(accepted_, 2u);
}

TEST_F(HttpClientTest, BytesThatNobodyAskedForEndTheConnection) {
  serve({answer(std::string(kOk) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", Then::stay),
         answer(kOk, Then::stay)});
  EXPECT_EQ(outcome(ask("GET")), "200 ok");
  EXPECT_EQ(outcome(ask("GET")), "200 ok");
  EXPECT_EQ(accepted_, 2u);
}

TEST_F(HttpClientTest, ConnectionCloseIsHonoured) {
  serve({answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", Then::stay)});
  EXPECT_EQ(outcome(ask("GET")), "200 ok");
  EXPECT_EQ(outcome(ask("GET")), "200 ok");
  EXPECT_EQ(accepted_, 2u);
}

TEST_F(HttpClientTest, ConnectionsPerOriginAreBounded) {
  options_.connections_per_origin = 2;
  client_ = std::make_unique<HttpClient>(world(), options_);
  serve({[](ByteStream& stream) { return wait_for_end(stream); }});
  std::vector<std::string> outcomes;
  const auto one = [&](Duration limit) -> asio::awaitable<void> {
    HttpRequest request;
    request.method = "POST";
    outcomes.push_back(outcome(co_await client_->send(std::move(request), url_, in(limit))));
  };
  const auto all = [&]() -> asio::awaitable<void> {
    sys::TaskGroup tasks(loop_.executor(), world().clock);
    tasks.spawn("a", one(2s));
    tasks.spawn("b", one(2s));
    tasks.spawn("c", one(500ms));
    co_await tasks.join();
  };
  loop_.run_until_done(all());
  EXPECT_EQ(outcomes, (std::vector<std::string>{"unavailable", "timeout", "timeout"}));
  EXPECT_EQ(accepted_, 2u);
}

TEST_F(HttpClientTest, AnEarlyAnswerToALargeBodyIsHeard) {
  serve({[](ByteStream& stream) -> asio::awaitable<void> {
    co_await hear_request(stream);  // and none of the body
    (void)co_await stream.write_all(as_bytes("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"));
    (void)co_await stream.finish_writing();
    sys::RealClock clock;
    co_await clock.sleep_for(50ms);
  }});
  EXPECT_EQ(outcome(ask("POST", 5s, std::string(8 << 20, 'x'))), "413 no");
}

TEST_F(HttpClientTest, TooLargeAnAnswerIsNotHeld) {
  options_.response_bytes = 10;
  client_ = std::make_unique<HttpClient>(world(), options_);
  serve({answer("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", Then::stay)});
  EXPECT_EQ(outcome(ask("GET")), "timeout");
}

TEST_F(HttpClientTest, FaultPointsMakeEitherOutcome) {
  serve({answer(kOk, Then::stay)});
  ASSERT_TRUE(world().faults.arm("net.http_before_send=error:1"));
  EXPECT_EQ(outcome(ask("POST")), "unavailable");
  EXPECT_EQ(accepted_, 0u);
  ASSERT_TRUE(world().faults.arm("net.http_after_answer=error:1"));
  EXPECT_EQ(outcome(ask("POST")), "timeout");
  EXPECT_NE(heard_, "") << "it happened";
  const std::string metrics = world().metrics.expose();
  EXPECT_NE(metrics.find("holdfast_net_http_client_requests_total{outcome=\"unavailable\"} 1"), std::string::npos);
  EXPECT_NE(metrics.find("holdfast_net_http_client_requests_total{outcome=\"timeout\"} 1"), std::string::npos);
}

TEST_F(HttpClientTest, MayGoBeforeItsRequests) {
  serve({[](ByteStream& stream) { return wait_for_end(stream); }});
  const auto main = [&]() -> asio::awaitable<std::string> {
    HttpRequest request;
    request.method = "POST";
    Task<HttpResponse> sending = client_->send(std::move(request), url_, in(1s));
    client_.reset();
    co_return outcome(co_await std::move(sending));
  };
  EXPECT_EQ(loop_.run_until_done(main()), "timeout");
}

}  // namespace
}  // namespace hf::net
