#include "net/listener.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::net {
namespace {

asio::awaitable<HttpResponse> echo(HttpRequest request) {
  std::string body = request.method + " " + request.target + (request.secure ? " tls " : " plain ") + request.body;
  co_return HttpResponse::text(200, std::move(body));
}

bool has_program(const std::string& name) { return std::system(("command -v " + name + " >/dev/null").c_str()) == 0; }

class ListenerTest : public testing::Test {
 protected:
  ~ListenerTest() override {
    listener_.reset();
    EXPECT_TRUE(loop_.drain(30s)) << "something was left behind";
  }

  sys::World& world() { return loop_.world(); }
  Monotonic in(Duration d) { return world().clock.now() + d; }

  void start(ListenerOptions options) {
    options.name = "test";
    Result<std::unique_ptr<Listener>> listener = Listener::start(world(), std::move(options));
    ASSERT_TRUE(listener) << listener.error().to_string();
    listener_ = std::move(*listener);
  }
  static ListenerOptions http(HttpHandler handler = echo) {
    ListenerOptions options;
    options.http = std::move(handler);
    return options;
  }
  static ListenerOptions https() {
    ListenerOptions options = http();
    options.tls.emplace();
    return options;
  }
  std::string url(std::string scheme, std::string path = "/a") {
    return scheme + "://127.0.0.1:" + std::to_string(listener_->port()) + path;
  }

  /// Runs a shell command beside the loop; its output.
  std::string shell(std::string command) {
    const std::unique_ptr<sys::Worker> worker = world().make_worker("shell", 1);
    const std::function<Result<std::string>()> work = [command] {
      std::string output;
      FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
      std::array<char, 4096> buffer;
      for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), n);
      ::pclose(pipe);
      return Result<std::string>(output);
    };
    return *loop_.run_until_done(worker->run<std::string>(work));
  }

  Result<HttpResponse> ask(const std::string& address, TlsClientConfig tls = {}, std::string body = {}) {
    HttpClient::Options options;
    options.tls = std::move(tls);
    HttpClient client(world(), options);
    HttpRequest request;
    request.method = "POST";
    request.body = std::move(body);
    return loop_.run_until_done(client.send(std::move(request), address, in(30s)));
  }

  std::unique_ptr<ByteStream> dial() {
    return std::move(
        *loop_.run_until_done(connect(world(), "127.0.0.1", listener_->port(), std::nullopt, "", in(30s))));
  }
  void say(ByteStream& stream, std::string_view bytes) {
    ASSERT_TRUE(loop_.run_until_done(stream.write_all(as_bytes(bytes))));
  }
  /// All until the server's end of the connection.
  std::string hear(ByteStream& stream) { return loop_.run_until_done(hear_all(stream)); }
  static asio::awaitable<std::string> hear_all(ByteStream& stream) {
    std::string text;
    std::array<std::uint8_t, 4096> buffer;
    for (;;) {
      const Result<std::size_t> n = co_await stream.read_some(buffer);
      if (!n || *n == 0) co_return text;
      text += as_text(Bytes(buffer).first(*n));
    }
  }

  sys::Loop loop_;
  std::unique_ptr<Listener> listener_;
};

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(ListenerTest, ServesOurClientOverTcpAndTlsOnOnePort) {
  start(https());
  EXPECT_EQ(ask(url("http"), {}, "hi")->body, "POST /a plain hi");
  EXPECT_EQ(ask(url("https"), {.ca_file = {}, .verify = false}, "hi")->body, "POST /a tls hi");
  const std::string large(700 << 10, 'x');
  EXPECT_EQ(ask(url("https"), {.ca_file = {}, .verify = false}, large)->body, "POST /a tls " + large);
}

TEST_F(ListenerTest, ACertificateThatNobodyVouchesForIsNotTrusted) {
  start(https());
  const Result<HttpResponse> response = ask(url("https"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::unavailable) << "nothing of the request went out";
  EXPECT_NE(response.error().message.find("certificate"), std::string::npos) << response.error().message;
}

TEST_F(ListenerTest, CertificatesFromFiles) {
  if (!has_program("openssl")) GTEST_SKIP() << "needs openssl";
  const std::string folder = std::filesystem::temp_directory_path() / ("hf_net_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  shell(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x -addext "
      "subjectAltName=IP:127.0.0.1,DNS:localhost -keyout " +
      folder + "/key.pem -out " + folder + "/cert.pem");
  ListenerOptions options = http();
  options.tls = TlsServerConfig{folder + "/cert.pem", folder + "/key.pem"};
  start(std::move(options));
  const TlsClientConfig trust{.ca_file = folder + "/cert.pem"};
  EXPECT_EQ(ask(url("https"), trust)->body, "POST /a tls ");
  const std::string by_name = "https://localhost:" + std::to_string(listener_->port()) + "/a";
  EXPECT_EQ(ask(by_name, trust)->body, "POST /a tls ");
  const Result<HttpResponse> wrong = ask("https://127.0.0.2:" + std::to_string(listener_->port()) + "/a", trust);
  EXPECT_FALSE(wrong);
  std::filesystem::remove_all(folder);

  ListenerOptions missing = http();
  missing.tls = TlsServerConfig{folder + "/cert.pem", folder + "/key.pem"};
  const auto refused = Listener::start(world(), std::move(missing));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid);
  EXPECT_NE(refused.error().message.find("cert.pem"), std::string::npos);
}

TEST_F(ListenerTest, Curl) {
  if (!has_program("curl")) GTEST_SKIP() << "needs curl";
  start(https());
  EXPECT_EQ(shell("curl -sS " + url("http", "/a?b=c")), "GET /a?b=c plain ");
  EXPECT_EQ(shell("curl -sS -k " + url("https") + " " + url("https", "/b")), "GET /a tls GET /b tls ");
  EXPECT_EQ(shell("curl -sS -d hello " + url("http")), "POST /a plain hello");
  EXPECT_EQ(shell("curl -sS -H 'Transfer-Encoding: chunked' -d hello " + url("http")), "POST /a plain hello");
  EXPECT_EQ(shell("curl -sS -H 'Expect: 100-continue' -d hello " + url("http")), "POST /a plain hello");
  EXPECT_EQ(shell("curl -sS -0 " + url("http")), "GET /a plain ");
  EXPECT_EQ(shell("curl -sS -o /dev/null -w '%{http_code} %{size_download}' -I " + url("http")).substr(0, 4), "200 ");
  const std::string large = "head -c 3000000 /dev/zero | curl -sS -o /dev/null -w '%{http_code}' --data-binary @- ";
  EXPECT_EQ(shell(large + url("http")), "413");
  EXPECT_EQ(shell(large + "-k " + url("https")), "413");
  EXPECT_EQ(shell(large + "-H Expect: " + url("http")), "413");
}

TEST_F(ListenerTest, ATakenPortIsNamed) {
  start(http());
  ListenerOptions second = http();
  second.port = listener_->port();
  const auto refused = Listener::start(world(), std::move(second));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::conflict);
  EXPECT_NE(refused.error().message.find("127.0.0.1:" + std::to_string(listener_->port())), std::string::npos)
      << refused.error().message;
}

TEST_F(ListenerTest, AnAddressThatIsNotOursIsInvalid) {
  for (const char* host : {"localhost", "203.0.113.7", ""}) {
    ListenerOptions options = http();
    options.host = host;
    const auto refused = Listener::start(world(), std::move(options));
    ASSERT_FALSE(refused) << host;
    EXPECT_EQ(refused.error().code, Code::invalid) << refused.error().message;
  }
}

TEST_F(ListenerTest, APortIsFreeAgainAtOnce) {
  start(http());
  const std::uint16_t port = listener_->port();
  EXPECT_EQ(ask(url("http"))->status, 200);
  listener_.reset();
  ListenerOptions again = http();
  again.port = port;
  start(std::move(again));
  EXPECT_EQ(ask(url("http"))->status, 200);
}

TEST_F(ListenerTest, BeyondTheConnectionLimitIsAnswered503) {
  ListenerOptions options = http();
  options.http_limits.connections = 2;
  start(std::move(options));
  const auto a = dial(), b = dial(), c = dial();
  say(*c, kGet);
  const std::string refusal = hear(*c);
  EXPECT_TRUE(refusal.starts_with("HTTP/1.1 503 ")) << refusal;
  EXPECT_NE(refusal.find("Retry-After: 1\r\n"), std::string::npos);
  say(*a, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(hear(*a).starts_with("HTTP/1.1 200 "));
}

TEST_F(ListenerTest, AFloodOfConnectionsIsBounded) {
  ListenerOptions options = http();
  options.http_limits.connections = 4;
  start(std::move(options));
  std::vector<std::unique_ptr<ByteStream>> flood;
  for (int i = 0; i < 60; ++i) flood.push_back(dial());
  std::size_t closed = 0;
  for (const auto& stream : flood) {
    std::array<std::uint8_t, 16> buffer;
    if (stream->try_read(buffer)) ++closed;
  }
  EXPECT_GE(closed, 60u - 4 - 1 - 16 - 1);
}

TEST_F(ListenerTest, RefusesWhatItDoesNotSpeak) {
  start(http());
  const auto tls = dial();
  say(*tls, std::string_view("\x16\x03\x01\x02\x00\x01", 6));
  EXPECT_EQ(hear(*tls), std::string("\x15\x03\x01\x00\x02\x02\x28", 7));
  const auto http2 = dial();
  say(*http2, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  EXPECT_EQ(hear(*http2).size(), 26u);
  listener_.reset();
  ListenerOptions grpc;
  grpc.grpc = std::make_shared<GrpcService>();
  start(std::move(grpc));
  EXPECT_EQ(ask(url("http"))->status, 426);
}

TEST_F(ListenerTest, SilenceAndDripsEndAtTheLimit) {
  ListenerOptions options = https();
  options.http_limits.idle = 2s;
  options.http_limits.request = 2s;
  start(std::move(options));
  const auto silent = dial(), tls = dial(), slow = dial(), idle = dial();
  say(*tls, std::string_view("\x16\x03\x01\x02\x00\x01", 6));
  say(*slow, "GET /a HT");
  say(*idle, kGet);
  EXPECT_EQ(hear(*silent), "");
  EXPECT_EQ(hear(*tls), "");
  EXPECT_TRUE(hear(*slow).starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(hear(*idle).starts_with("HTTP/1.1 200 "));
}

TEST_F(ListenerTest, DrainLetsRunningRequestsFinish) {
  sys::Event changed(world().clock);
  bool arrived = false, go = false;
  start(http([&](HttpRequest request) -> asio::awaitable<HttpResponse> {
    arrived = true;
    changed.notify_all();
    while (!go) co_await changed.wait();
    co_return co_await echo(std::move(request));
  }));
  const auto idle = dial(), busy = dial();
  say(*busy, kGet);
  const auto main = [&]() -> asio::awaitable<std::string> {
    while (!arrived) co_await changed.wait();
    sys::TaskGroup tasks(loop_.executor(), world().clock);
    tasks.spawn("drain", listener_->drain(in(30s)));
    std::string idle_heard = co_await hear_all(*idle);  // closed while the other one is still at work
    go = true;
    changed.notify_all();
    std::string heard = co_await hear_all(*busy);
    busy->close();
    co_await tasks.join();
    co_return idle_heard + heard;
  };
  const std::string answer = loop_.run_until_done(main());
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  EXPECT_FALSE(loop_.run_until_done(connect(world(), "127.0.0.1", listener_->port(), std::nullopt, "", in(30s))));
}

ListenerOptions everything() {
  ListenerOptions options;
  options.http = echo;
  options.tls.emplace();
  auto service = std::make_shared<GrpcService>();
  service->unary("/t/Echo", [](GrpcCallPtr call, std::string request) -> Task<std::string> {
    co_return request + (call->secure ? " tls" : " plain");
  });
  options.grpc = std::move(service);
  return options;
}

TEST_F(ListenerTest, GrpcAndHttpOnOnePortWithAndWithoutTls) {
  start(everything());
  for (const bool tls : {false, true}) {
    GrpcChannel::Options options;
    options.host = "127.0.0.1";
    options.port = listener_->port();
    options.tls = tls;
    options.tls_config.verify = false;
    GrpcChannel channel(world(), std::move(options));
    const Result<std::string> answer = loop_.run_until_done(channel.call("/t/Echo", {}, "hi", in(30s)));
    ASSERT_TRUE(answer) << answer.error().to_string();
    EXPECT_EQ(*answer, tls ? "hi tls" : "hi plain");
    EXPECT_EQ(ask(url(tls ? "https" : "http"), {.ca_file = {}, .verify = false})->status, 200);
    channel.close();
  }
}

TEST_F(ListenerTest, DrainEndsGrpcConnectionsThatLieIdle) {
  start(everything());
  GrpcChannel::Options options;
  options.host = "127.0.0.1";
  options.port = listener_->port();
  GrpcChannel channel(world(), std::move(options));
  ASSERT_TRUE(loop_.run_until_done(channel.call("/t/Echo", {}, "hi", in(30s))));
  const Monotonic deadline = in(60s);
  loop_.run_until_done(listener_->drain(deadline));
  EXPECT_LT(world().clock.now(), deadline - 30s);
  channel.close();
}

TEST_F(ListenerTest, DrainCutsAtItsDeadlineButWaitsForHandlers) {
  sys::Event changed(world().clock);
  bool arrived = false, go = false, drained = false;
  start(http([&](HttpRequest request) -> asio::awaitable<HttpResponse> {
    arrived = true;
    changed.notify_all();
    while (!go) co_await changed.wait();
    co_return co_await echo(std::move(request));
  }));
  const auto busy = dial();
  say(*busy, kGet);
  const auto drain = [&]() -> asio::awaitable<void> {
    co_await listener_->drain(in(10ms));
    drained = true;
  };
  const auto main = [&]() -> asio::awaitable<std::string> {
    while (!arrived) co_await changed.wait();
    sys::TaskGroup tasks(loop_.executor(), world().clock);
    tasks.spawn("drain", drain());
    std::string heard = co_await hear_all(*busy);  // until the deadline cuts it
    EXPECT_FALSE(drained) << "the handler is still there";
    go = true;
    changed.notify_all();
    co_await tasks.join();
    co_return heard;
  };
  EXPECT_EQ(loop_.run_until_done(main()), "");
  EXPECT_TRUE(drained);
}

TEST_F(ListenerTest, MayBeDestroyedWithConnectionsOpen) {
  start(everything());
  const auto silent = dial(), half = dial(), served = dial(), tls = dial(), http2 = dial();
  say(*http2, std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 33));
  say(*half, "GET /a HT");
  say(*served, kGet);
  say(*tls, std::string_view("\x16\x03\x01\x02\x00\x01", 6));
  loop_.run_until_done(world().clock.sleep_for(10ms));
  listener_.reset();
  EXPECT_EQ(hear(*silent), "");
  EXPECT_EQ(hear(*half), "");
}

TEST(ListenerLifetime, TheLoopMayEndBeforeItsConnections) {
  sys::Loop loop;
  ListenerOptions options;
  options.http = echo;
  auto listener = std::move(*Listener::start(loop.world(), std::move(options)));
  const Monotonic soon = loop.world().clock.now() + 5s;
  auto stream =
      std::move(*loop.run_until_done(connect(loop.world(), "127.0.0.1", listener->port(), std::nullopt, "", soon)));
  ASSERT_TRUE(loop.run_until_done(stream->write_all(as_bytes("GET"))));
  loop.run_until_done(loop.world().clock.sleep_for(10ms));
  listener.reset();  // its coroutines are still there, and go with the loop
}

}  // namespace
}  // namespace hf::net
