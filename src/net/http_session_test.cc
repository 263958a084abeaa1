#include "net/http_session.h"

#include "net/byte_stream.h"
#include "sys/sim.h"
#include "sys/wait.h"

namespace hf::net {
namespace {

asio::awaitable<HttpResponse> echo(HttpRequest request) {
  std::string body = request.method + " " + request.target + " " + request.body;
  HttpResponse response = HttpResponse::text(200, std::move(body));
  response.headers.set("Content-Type", "x");
  co_return response;
}

/// A session at one end of an in-memory connection, in virtual time; the test speaks at the other.
class HttpSessionTest : public testing::Test {
 protected:
  void start(HttpLimits limits = {}, HttpHandler handler = echo) {
    StreamPair pair = make_stream_pair(world_.clock());
    client_ = std::move(pair.client);
    service_ = std::make_shared<HttpService>(world_.world(), "test", std::move(handler), limits);
    session_ = std::make_shared<HttpSession>(service_, std::move(pair.server), "");
    world_.spawn(session_->run());
    world_.run_ready();
  }

  void say(std::string_view bytes) {
    world_.spawn([](ByteStream& stream, std::string text) -> asio::awaitable<void> {
      (void)co_await stream.write_all(as_bytes(text));
    }(*client_, std::string(bytes)));
    world_.run_ready();
  }

  /// What has arrived by now, without the Date header.
  std::string heard() {
    world_.run_ready();
    std::string text;
    std::array<std::uint8_t, 4096> buffer;
    for (;;) {
      const std::optional<Result<std::size_t>> n = client_->try_read(buffer);
      if (!n || !*n || **n == 0) {
        ended_ = n.has_value();
        break;
      }
      text += as_text(Bytes(buffer).first(**n));
      world_.run_ready();
    }
    for (std::size_t at = text.find("Date: "); at != std::string::npos; at = text.find("Date: ", at)) {
      text.erase(at, text.find("\r\n", at) + 2 - at);
    }
    return text;
  }

  static std::string answer(std::string_view body, std::string_view extra = "") {
    return "HTTP/1.1 200 OK\r\nContent-Type: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string(extra) + "\r\n" + std::string(body);
  }

  void sweep_after(Duration d) {
    world_.run_for(d);
    session_->sweep(world_.clock().now());
    world_.run_ready();
  }

  sys::SimWorld world_{1};
  std::unique_ptr<ByteStream> client_;
  std::shared_ptr<HttpService> service_;
  std::shared_ptr<HttpSession> session_;
  bool ended_ = false;  ///< heard() came to the end of the server's direction
};

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kPost = "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
constexpr std::string_view kChunked =
    "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3;ext=\"1\"\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: dropped\r\n\r\n";

TEST_F(HttpSessionTest, AnswersOneAfterTheOther) {
  start();
  say(kGet);
  EXPECT_EQ(heard(), answer("GET /a "));
  say(kPost);
  EXPECT_EQ(heard(), answer("POST /b hello"));
  EXPECT_FALSE(ended_);
}

TEST_F(HttpSessionTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  say(std::string(kPost) + std::string(kGet) + std::string(kChunked) + std::string(kGet));
  EXPECT_EQ(heard(),
            answer("POST /b hello") + answer("GET /a ") + answer("POST /c abc0123456789abcdef") + answer("GET /a "));
}

TEST_F(HttpSessionTest, SplitAtEveryByteItMeansTheSame) {
  const std::string all = std::string(kPost) + std::string(kChunked) + std::string(kGet);
  const std::string want = answer("POST /b hello") + answer("POST /c abc0123456789abcdef") + answer("GET /a ");
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    start();
    say(std::string_view(all).substr(0, cut));
    const std::string first = heard();
    say(std::string_view(all).substr(cut));
    ASSERT_EQ(first + heard(), want) << cut;
  }
  start();
  std::string bytewise;
  for (const char c : all) {
    say({&c, 1});
    bytewise += heard();
  }
  EXPECT_EQ(bytewise, want);
}

TEST_F(HttpSessionTest, RefusesAndCloses) {
  struct Case {
    const char* what;
    std::string request;
    int status;
  };
  const std::string line = "POST / HTTP/1.1\r\nHost: x\r\n";
  const Case kCases[] = {
      {"not HTTP", "hello\r\n\r\n", 400},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"space before colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
      {"bare line feed", "GET / HTTP/1.1\r\nHost: x\n\n", 400},
      {"bare line feed after the version", "GET / HTTP/1.1\nHost: x\n\n", 505},
      {"bad target", "GET nonsense HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"HTTP/3", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505},
      {"length and chunked", line + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunked and length", line + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
      {"two lengths", line + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
      {"list of lengths", line + "Content-Length: 3, 4\r\n\r\nabc", 400},
      {"negative length", line + "Content-Length: -1\r\n\r\n", 400},
      {"signed length", line + "Content-Length: +1\r\n\r\na", 400},
      {"huge length", line + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
      {"unknown coding", line + "Transfer-Encoding: gzip\r\n\r\n", 501},
      {"unknown coding last", line + "Transfer-Encoding: chunked, gzip\r\n\r\n", 501},
      {"disguised coding", line + "Transfer-Encoding: xchunked\r\n\r\n", 501},
      {"identity and length", line + "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", 501},
      {"coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"bad chunk size", line + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"chunk without its end", line + "Transfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n", 400},
      {"body by length too large", line + "Content-Length: 101\r\n\r\n", 413},
      {"body by chunks too large", line + "Transfer-Encoding: chunked\r\n\r\n65\r\n", 413},
      {"header too large", line + "A: " + std::string(2000, 'a'), 431},
      {"header too large in small fields",
       line +
           [] {
             std::string s;
             for (int i = 0; i < 300; ++i) s += "a: b\r\n";
             return s;
           }(),
       431},
      {"endless chunk extension", line + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(2000, 'a'), 431},
      {"endless trailers", line + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + std::string(2000, 'a'), 431},
      {"unknown expectation", line + "Expect: miracles\r\nContent-Length: 1\r\n\r\n", 417},
  };
  int handled = 0;
  for (const Case& c : kCases) {
    start({.header_bytes = 1000, .body_bytes = 100}, [&](HttpRequest request) {
      ++handled;
      return echo(std::move(request));
    });
    say(c.request);
    const std::string got = heard();
    EXPECT_TRUE(got.starts_with("HTTP/1.1 " + std::to_string(c.status) + " ")) << c.what << ": " << got;
    EXPECT_NE(got.find("Connection: close\r\n"), std::string::npos) << c.what;
    EXPECT_TRUE(ended_) << c.what;
  }
  EXPECT_EQ(handled, 0);
}

TEST_F(HttpSessionTest, NothingAfterARefusalIsServed) {
  start();
  say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
      std::string(kGet));
  const std::string got = heard();
  EXPECT_TRUE(got.starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(got.find("200 OK"), std::string::npos);
}

TEST_F(HttpSessionTest, ContinueIsSaidOnceAndOnlyWhenTheBodyIsWanted) {
  start({.body_bytes = 10});
  say("POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(heard(), "HTTP/1.1 100 Continue\r\n\r\n");
  say("he");
  EXPECT_EQ(heard(), "");
  say("llo");
  EXPECT_EQ(heard(), answer("POST /b hello"));
  say("POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(heard(), answer("POST /b hello")) << "the body is here: nothing to wait for";
  say("POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n");
  EXPECT_TRUE(heard().starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpSessionTest, HeadHasTheLengthButNotTheBody) {
  start();
  say("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(kGet));
  EXPECT_EQ(heard(), "HTTP/1.1 200 OK\r\nContent-Type: x\r\nContent-Length: 8\r\n\r\n" + answer("GET /a "));
}

TEST_F(HttpSessionTest, ConnectionCloseAndHttp10) {
  start();
  say("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + std::string(kGet));
  EXPECT_EQ(heard(), answer("GET /a ", "Connection: close\r\n"));
  EXPECT_TRUE(ended_);
  start();
  say("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_EQ(heard(), answer("GET /a ", "Connection: close\r\n"));
  EXPECT_TRUE(ended_);
  start();
  say("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(heard(), answer("GET /a ", "Connection: keep-alive\r\n"));
  EXPECT_FALSE(ended_);
}

TEST_F(HttpSessionTest, TakesAbsoluteTargetsAndEmptyLinesBefore) {
  start();
  say("\r\n\r\nGET http://x:80/a?b HTTP/1.1\r\nHost: x\r\n\r\n\r\n");
  EXPECT_EQ(heard(), answer("GET /a?b "));
  say("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(heard(), answer("OPTIONS * "));
}

TEST_F(HttpSessionTest, ASlowRequestIsAnswered408) {
  start({.idle = 60s, .request = 10s});
  say(kPost.substr(0, kPost.size() - 1));
  sweep_after(9s);
  EXPECT_EQ(heard(), "");
  EXPECT_FALSE(ended_);
  sweep_after(2s);
  EXPECT_TRUE(heard().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(ended_);
  say("o");
  EXPECT_EQ(heard(), "") << "too late";
  sweep_after(3s);
}

TEST_F(HttpSessionTest, AByteNowAndThenDoesNotBuyTime) {
  start({.idle = 60s, .request = 10s});
  for (int i = 0; i < 11; ++i) {
    say(kPost.substr(static_cast<std::size_t>(i), 1));
    sweep_after(1s);
  }
  EXPECT_TRUE(heard().starts_with("HTTP/1.1 408 "));
}

TEST_F(HttpSessionTest, AnIdleConnectionIsClosedWithoutAWord) {
  start({.idle = 60s, .request = 10s});
  say(kGet);
  heard();
  sweep_after(59s);
  EXPECT_EQ(heard(), "");
  EXPECT_FALSE(ended_);
  sweep_after(2s);
  EXPECT_EQ(heard(), "");
  EXPECT_TRUE(ended_);
  EXPECT_EQ(session_.use_count(), 1) << "its coroutine is gone";
}

TEST_F(HttpSessionTest, AReaderThatStopsIsCutOff) {
  start({.request = 10s}, [](HttpRequest) -> asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, std::string(1 << 20, 'x'));
  });
  say(kGet);
  sweep_after(11s);
  EXPECT_EQ(session_.use_count(), 1);
}

TEST_F(HttpSessionTest, ALargeBodyArrivesWhole) {
  start({.body_bytes = 4 << 20}, [](HttpRequest request) -> asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, std::move(request.body));
  });
  std::string body(3 << 20, 'b');
  for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + i / 1000 % 26);
  say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string got = heard();
  EXPECT_EQ(got.substr(got.find("\r\n\r\n") + 4), body);
}

TEST_F(HttpSessionTest, DrainingClosesIdleOnesAtOnceAndBusyOnesAfterTheirAnswer) {
  start();
  say(kGet);
  heard();
  session_->drain();
  heard();
  EXPECT_TRUE(ended_);

  sys::Event go(world_.clock());
  start({}, [&go](HttpRequest request) -> asio::awaitable<HttpResponse> {
    co_await go.wait();
    co_return co_await echo(std::move(request));
  });
  say(kGet);
  session_->drain();
  EXPECT_EQ(heard(), "");
  EXPECT_FALSE(ended_);
  go.notify_all();
  EXPECT_EQ(heard(), answer("GET /a ", "Connection: close\r\n"));
  EXPECT_TRUE(ended_);
}

TEST_F(HttpSessionTest, AClientThatLeavesMidRequestLeavesNothingBehind) {
  for (const std::size_t cut : {std::size_t{0}, std::size_t{10}, kPost.size() - 1}) {
    start();
    say(kPost.substr(0, cut));
    client_->close();
    world_.run_ready();
    EXPECT_EQ(session_.use_count(), 1) << cut;
  }
}

}  // namespace
}  // namespace hf::net
