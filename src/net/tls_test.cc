#include "net/tls.h"

#include "sys/sim.h"

namespace hf::net {
namespace {

/// Both ends of TLS over the in-memory pair, in virtual time.
class TlsTest : public testing::Test {
 protected:
  void start(const std::string& offered, std::vector<std::string> spoken, std::size_t capacity = 64 << 10) {
    StreamPair pair = make_stream_pair(world_.clock(), capacity);
    const TlsClientConfig trusting{.ca_file = {}, .verify = false};
    client_ =
        make_tls_client(*TlsContext::client(trusting), std::move(pair.client), "localhost", offered, world_.clock());
    raw_ = pair.server.get();
    server_ = make_tls_server(*TlsContext::server({}, std::move(spoken)), std::move(pair.server), "", world_.clock());
    world_.spawn(handshake(*client_, client_outcome_));
    world_.spawn(handshake(*server_, server_outcome_));
    world_.run_ready();
  }
  static asio::awaitable<void> handshake(TlsStream& stream, std::string& outcome) {
    const Result<void> done = co_await stream.handshake();
    outcome = done ? "done" : done.error().to_string();
  }
  static asio::awaitable<void> write(ByteStream& stream, std::string text) {
    EXPECT_TRUE(co_await stream.write_all(as_bytes(text)));
  }
  static asio::awaitable<void> read(ByteStream& stream, std::size_t size, std::string& into) {
    std::array<std::uint8_t, 1000> buffer;
    while (into.size() < size) {
      const Result<std::size_t> n = co_await stream.read_some(buffer);
      if (!n || *n == 0) {
        into += n ? "<end>" : "<" + std::string(to_string(n.error().code)) + ">";
        co_return;
      }
      into += as_text(Bytes(buffer).first(*n));
    }
  }

  sys::SimWorld world_{1};
  std::unique_ptr<TlsStream> client_, server_;
  ByteStream* raw_ = nullptr;
  std::string client_outcome_, server_outcome_;
};

TEST_F(TlsTest, AgreesOnTheProtocol) {
  start("h2", {"h2", "http/1.1"});
  EXPECT_EQ(client_outcome_ + server_outcome_, "donedone");
  EXPECT_EQ(client_->alpn(), "h2");
  EXPECT_EQ(server_->alpn(), "h2");
  EXPECT_TRUE(server_->secure());
  start("h2", {"http/1.1"});
  EXPECT_EQ(client_outcome_ + server_outcome_ + client_->alpn(), "donedone");
  start("", {"h2"});
  EXPECT_EQ(client_outcome_ + server_outcome_ + server_->alpn(), "donedone");
}

TEST_F(TlsTest, CarriesMuchBothWaysThroughANarrowPipe) {
  start("", {}, 100);
  ASSERT_EQ(client_outcome_ + server_outcome_, "done") << "the server's session tickets wait for a reader";
  std::string up(300'000, 'u'), down(200'000, 'd'), got_up, got_down;
  world_.spawn(write(*client_, up));
  world_.spawn(write(*server_, down));
  world_.spawn(read(*server_, up.size(), got_up));
  world_.spawn(read(*client_, down.size(), got_down));
  world_.run_ready();
  EXPECT_EQ(server_outcome_, "done");
  EXPECT_EQ(got_up, up);
  EXPECT_EQ(got_down, down);
}

TEST_F(TlsTest, TellsAnOrderlyEndFromACut) {
  start("", {});
  std::string got;
  world_.spawn(write(*client_, "bye"));
  world_.spawn([](ByteStream& stream) -> asio::awaitable<void> { (void)co_await stream.finish_writing(); }(*client_));
  world_.spawn(read(*server_, 100, got));
  world_.run_ready();
  EXPECT_EQ(got, "bye<end>");
  start("", {});
  got.clear();
  world_.spawn(write(*client_, "bye"));
  world_.run_ready();
  client_->close();
  world_.spawn(read(*server_, 100, got));
  world_.run_ready();
  EXPECT_EQ(got, "bye<unavailable>") << "whoever can cut the wire must not be able to end a message";
}

TEST_F(TlsTest, TryReadPassesOverTicketsAndSeesTheEnd) {
  start("", {});
  std::array<std::uint8_t, 100> buffer;
  EXPECT_EQ(client_->try_read(buffer), std::nullopt) << "session tickets are no data";
  world_.spawn(write(*server_, "abc"));
  world_.run_ready();
  EXPECT_EQ(**client_->try_read(buffer), 3u);
  world_.spawn([](ByteStream& stream) -> asio::awaitable<void> { (void)co_await stream.finish_writing(); }(*server_));
  world_.run_ready();
  EXPECT_EQ(**client_->try_read(buffer), 0u);
}

TEST_F(TlsTest, GarbageEndsTheHandshake) {
  StreamPair pair = make_stream_pair(world_.clock());
  server_ = make_tls_server(*TlsContext::server({}, {}), std::move(pair.server), "\x16\x03 and then nonsense",
                            world_.clock());
  world_.spawn(handshake(*server_, server_outcome_));
  world_.run_ready();
  EXPECT_TRUE(server_outcome_.starts_with("unavailable: TLS handshake")) << server_outcome_;
  std::array<std::uint8_t, 100> buffer;
  const auto alert = pair.client->try_read(buffer);
  ASSERT_TRUE(alert && *alert && **alert > 0) << "it is told why";
  EXPECT_EQ(buffer[0], 0x15);
}

TEST_F(TlsTest, CloseEndsAHandshakeThatWaits) {
  StreamPair pair = make_stream_pair(world_.clock());
  server_ = make_tls_server(*TlsContext::server({}, {}), std::move(pair.server), "", world_.clock());
  world_.spawn(handshake(*server_, server_outcome_));
  world_.run_ready();
  EXPECT_EQ(server_outcome_, "");
  server_->close();
  world_.run_ready();
  EXPECT_NE(server_outcome_, "");
}

TEST(TlsContext, NamesTheFileThatCannotBeUsed) {
  const auto client = TlsContext::client({.ca_file = "/nowhere/ca.pem"});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Code::invalid);
  EXPECT_NE(client.error().message.find("/nowhere/ca.pem"), std::string::npos);
}

}  // namespace
}  // namespace hf::net
