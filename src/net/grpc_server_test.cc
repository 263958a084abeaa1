// The server against a peer that is nothing but nghttp2: what goes over the wire, and what bad input does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/grpc.h"
#include "net/h2_test_peer.h"
#include "sys/sim.h"

namespace hf::net {
namespace {

using test::framed;
using test::H2Peer;
using testing::ElementsAre;
using testing::HasSubstr;

/// A server on one end of a pair, a bare peer on the other, in virtual time.
class GrpcServer : public testing::Test {
 protected:
  GrpcServer() : draining(std::make_shared<sys::Event>(sim.clock())), release(sim.clock()) {
    service.unary("/t/Echo", [this](GrpcCallPtr call, std::string request) -> Task<std::string> {
      last = call;
      co_return "echo " + request;
    });
    service.unary("/t/Fail", [](GrpcCallPtr, std::string request) -> Task<std::string> {
      co_return Error{Code::not_found, std::move(request)};
    });
    service.unary("/t/Throw", [](GrpcCallPtr, std::string) -> Task<std::string> {
      throw std::runtime_error("boom");
      co_return "";
    });
    // Waits until the test releases it or it is cancelled.
    service.unary("/t/Hang", [this](GrpcCallPtr call, std::string request) -> Task<std::string> {
      last = call;
      ++hanging;
      while (!released && !call->cancelled) co_await release.wait_until(sim.clock().now() + 1s);
      --hanging;
      co_return "late " + request;
    });
    service.unary("/t/WaitCancel", [this](GrpcCallPtr call, std::string) -> Task<std::string> {
      last = call;
      co_await call->on_cancel->wait();
      ++cancelled;
      co_return "nobody reads this";
    });
    service.stream("/t/Chat", [this](GrpcCallPtr call, GrpcServerStream& stream) -> asio::awaitable<GrpcStatus> {
      last = call;
      while (true) {
        Result<std::optional<std::string>> message = co_await stream.read();
        if (!message) {
          ++cancelled;
          co_return to_grpc_status(message.error());
        }
        if (!*message) break;
        if (!co_await stream.write("you said " + **message)) break;
      }
      co_return GrpcStatus{GrpcCode::ok, ""};
    });
    service.stream("/t/Deaf", [this](GrpcCallPtr, GrpcServerStream& stream) -> asio::awaitable<GrpcStatus> {
      while (!released) co_await release.wait_until(sim.clock().now() + 1s);
      std::size_t bytes = 0;
      while (true) {
        Result<std::optional<std::string>> message = co_await stream.read();
        if (!message || !*message) break;
        bytes += (*message)->size();
      }
      co_return GrpcStatus{GrpcCode::ok, fmt::to_string(bytes)};
    });
    service.stream("/t/Flood", [this](GrpcCallPtr, GrpcServerStream& stream) -> asio::awaitable<GrpcStatus> {
      const std::string piece(64 << 10, 'f');
      for (written = 0; written < 64; ++written) {
        if (co_await stream.write(piece)) continue;
        ++gone;
        co_return GrpcStatus{GrpcCode::aborted, "gone"};
      }
      co_return GrpcStatus{GrpcCode::ok, ""};
    });
  }
  ~GrpcServer() override {
    released = true;
    release.notify_all();
    peer.reset();
    sim.run_for(10s);
    EXPECT_TRUE(served) << "serve_grpc must end when the connection has";
  }

  H2Peer& start() {
    StreamPair pair = make_stream_pair(sim.clock());
    sim.spawn(serve(std::move(pair.server)));
    peer = std::make_unique<H2Peer>(sim, std::move(pair.client), H2Peer::Role::client);
    sim.run_ready();
    return *peer;
  }
  asio::awaitable<void> serve(std::unique_ptr<ByteStream> stream) {
    co_await serve_grpc(std::move(stream), "", service, limits, sim.world(), draining);
    served = true;
  }
  const H2Peer::Seen& seen(std::int32_t id) { return peer->seen[id]; }

  sys::SimWorld sim{1};
  GrpcService service;
  GrpcLimits limits;
  std::shared_ptr<sys::Event> draining;
  sys::Event release;
  bool released = false, served = false;
  int hanging = 0, cancelled = 0, written = 0, gone = 0;
  GrpcCallPtr last;
  std::unique_ptr<H2Peer> peer;
};

TEST_F(GrpcServer, AnswersUnaryCallsWithHeadersDataAndTrailers) {
  start();
  const auto id = peer->call("/t/Echo", "hello");
  sim.run_ready();
  EXPECT_EQ(seen(id).at(":status"), "200");
  EXPECT_EQ(seen(id).at("content-type"), "application/grpc");
  EXPECT_EQ(seen(id).body, framed("echo hello"));
  EXPECT_EQ(seen(id).at("grpc-status"), "0");
  EXPECT_EQ(seen(id).frames, 3u);
  EXPECT_EQ(seen(id).closed, NGHTTP2_NO_ERROR);
}

TEST_F(GrpcServer, EmptyAndLargeMessagesPass) {
  start();
  const std::string large(5 << 20, 'x');  // over every window
  const auto a = peer->call("/t/Echo", "");
  const auto b = peer->call("/t/Echo", large);
  sim.run_ready();
  EXPECT_EQ(seen(a).body, framed("echo "));
  EXPECT_EQ(seen(b).body, framed("echo " + large));
}

TEST_F(GrpcServer, ErrorsAreTrailersOnlyAndPercentEncoded) {
  start();
  const auto id = peer->call("/t/Fail", "no topic 100% »müde«\n");
  sim.run_ready();
  EXPECT_EQ(seen(id).at(":status"), "200");
  EXPECT_EQ(seen(id).at("grpc-status"), "5");
  EXPECT_EQ(seen(id).at("grpc-message"), "no topic 100%25 %C2%BBm%C3%BCde%C2%AB%0A");
  EXPECT_EQ(seen(id).frames, 1u);
  EXPECT_TRUE(seen(id).ended);
}

TEST_F(GrpcServer, HandlerThatThrowsIsInternal) {
  start();
  const auto id = peer->call("/t/Throw", "");
  sim.run_ready();
  EXPECT_EQ(seen(id).at("grpc-status"), "13");
}

TEST_F(GrpcServer, CallSeesPathMetadataAndPeer) {
  start();
  auto headers = H2Peer::grpc_headers("/t/Echo");
  headers.insert(headers.end(), {{"x-mq-client-id", "host@1@2"}, {"trace-bin", "AAEC"}, {"grpc-timeout", "3S"}});
  peer->request(headers, framed("x"));
  sim.run_ready();
  EXPECT_EQ(last->path, "/t/Echo");
  EXPECT_EQ(find_metadata(last->metadata, "x-mq-client-id"), "host@1@2");
  EXPECT_EQ(find_metadata(last->metadata, "trace-bin"), std::string_view("\0\1\2", 3));
  EXPECT_EQ(find_metadata(last->metadata, "te"), std::nullopt);
  EXPECT_EQ(last->deadline, sim.clock().now() + 3s);
  EXPECT_EQ(last->peer, "client:1");
  EXPECT_EQ(last->local, "server:1");
}

TEST_F(GrpcServer, RefusesWhatIsNotGrpc) {
  start();
  const struct {
    const char* what;
    std::string name, value;
    std::string http, grpc;
  } cases[] = {
      {"wrong content-type", "content-type", "application/json", "415", "13"},
      {"not POST", ":method", "PUT", "405", "13"},
      {"unknown path", ":path", "/t/Nothing", "200", "12"},
      {"malformed grpc-timeout", "grpc-timeout", "3 seconds", "200", "3"},
      {"bad base64", "x-bin", "!!!", "200", "3"},
  };
  for (const auto& c : cases) {
    auto headers = H2Peer::grpc_headers("/t/Echo");
    std::erase_if(headers, [&](const auto& field) { return field.first == c.name; });
    headers.insert(c.name.starts_with(':') ? headers.begin() : headers.end(), {c.name, c.value});
    const auto id = peer->request(headers, framed("x"));
    sim.run_ready();
    EXPECT_EQ(seen(id).at(":status"), c.http) << c.what;
    EXPECT_EQ(seen(id).at("grpc-status"), c.grpc) << c.what;
    EXPECT_TRUE(seen(id).ended) << c.what;
  }
}

TEST_F(GrpcServer, RefusesBadMessages) {
  limits.message_bytes = 1000;
  start();
  const struct {
    const char* what;
    std::string body;
    std::string encoding;
    std::string grpc;
  } cases[] = {
      {"gzip", std::string("\1\0\0\0\2zz", 7), "gzip", "12"},
      {"compressed without encoding", std::string("\1\0\0\0\2zz", 7), "", "13"},
      {"unknown flag", std::string("\7\0\0\0\2zz", 7), "", "13"},
      {"too long", framed(std::string(1001, 'x')), "", "8"},
      {"no message", "", "", "13"},
      {"two messages", framed("a") + framed("b"), "", "13"},
      {"cut in the body", framed("abc").substr(0, 7), "", "13"},
      {"cut in the prefix", framed("abc").substr(0, 3), "", "13"},
      {"gzip announced, message plain", framed("x"), "gzip", "0"},
  };
  for (const auto& c : cases) {
    auto headers = H2Peer::grpc_headers("/t/Echo");
    if (!c.encoding.empty()) headers.emplace_back("grpc-encoding", c.encoding);
    const auto id = peer->request(headers, c.body);
    sim.run_ready();
    EXPECT_EQ(seen(id).at("grpc-status"), c.grpc) << c.what;
    if (c.grpc == "12") {
      EXPECT_EQ(seen(id).at("grpc-accept-encoding"), "identity");
    }
  }
  const auto id = peer->call("/t/Echo", "still there");
  sim.run_ready();
  EXPECT_EQ(seen(id).body, framed("echo still there"));
}

TEST_F(GrpcServer, TooLongIsRefusedBeforeTheBodyComes) {
  limits.message_bytes = 1000;
  start();
  const auto id =
      peer->request(H2Peer::grpc_headers("/t/Echo"), framed(std::string(1 << 20, 'x')).substr(0, 100), false);
  sim.run_ready();
  EXPECT_EQ(seen(id).at("grpc-status"), "8");
  EXPECT_EQ(seen(id).closed, NGHTTP2_NO_ERROR);  // RST_STREAM(NO_ERROR): do not send the rest
}

TEST_F(GrpcServer, HalfMessagesTogetherAreBounded) {
  limits.message_bytes = 1 << 20;
  limits.connection_window = 1 << 20;
  start();
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 3; ++i) {
    const std::string begun = framed(std::string(1 << 20, 'x')).substr(0, 10);
    ids.push_back(peer->request(H2Peer::grpc_headers("/t/Echo"), begun, false));
  }
  sim.run_ready();
  EXPECT_EQ(seen(ids[1]).at("grpc-status"), "");
  EXPECT_EQ(seen(ids[2]).at("grpc-status"), "8");
}

TEST_F(GrpcServer, HeaderListIsLimited) {
  start();
  auto headers = H2Peer::grpc_headers("/t/Echo");
  headers.emplace_back("x-large", std::string(17 << 10, 'x'));
  const auto id = peer->request(headers, framed("x"));
  sim.run_ready();
  EXPECT_EQ(seen(id).at("grpc-status"), "8");
  const auto next = peer->call("/t/Echo", "fine");
  sim.run_ready();
  EXPECT_EQ(seen(next).at("grpc-status"), "0");
}

TEST_F(GrpcServer, StreamsAreLimited) {
  limits.streams_per_connection = 10;
  start();
  sim.run_ready();
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 15; ++i) ids.push_back(peer->call("/t/Hang", "x"));
  sim.run_ready();
  EXPECT_EQ(hanging, 10);  // the others wait at the client, which knows SETTINGS_MAX_CONCURRENT_STREAMS
  released = true;
  release.notify_all();
  sim.run_for(1s);
  for (const auto id : ids) EXPECT_EQ(seen(id).at("grpc-status"), "0");
}

TEST_F(GrpcServer, StreamsSendTheirHeadersAtOnce) {
  start();
  const auto id = peer->request(H2Peer::grpc_headers("/t/Chat"), "", false);
  sim.run_ready();
  EXPECT_EQ(seen(id).at(":status"), "200");  // before any message in either direction
  EXPECT_FALSE(seen(id).ended);
  peer->more(id, framed("a") + framed("b"), false);
  sim.run_ready();
  EXPECT_EQ(seen(id).body, framed("you said a") + framed("you said b"));
  peer->more(id, "", true);
  sim.run_ready();
  EXPECT_EQ(seen(id).at("grpc-status"), "0");
}

TEST_F(GrpcServer, ResetCancelsTheCall) {
  start();
  const auto id = peer->call("/t/WaitCancel", "x");
  const auto chat = peer->request(H2Peer::grpc_headers("/t/Chat"), framed("a"), false);
  sim.run_ready();
  EXPECT_FALSE(last->cancelled);
  peer->reset(id);
  peer->reset(chat);
  sim.run_ready();
  EXPECT_TRUE(last->cancelled);
  EXPECT_EQ(cancelled, 2);
  const auto next = peer->call("/t/Echo", "goes on");
  sim.run_ready();
  EXPECT_EQ(seen(next).at("grpc-status"), "0");
}

TEST_F(GrpcServer, ConnectionLossCancelsTheCalls) {
  start();
  peer->call("/t/WaitCancel", "x");
  peer->request(H2Peer::grpc_headers("/t/Chat"), framed("a"), false);
  sim.run_ready();
  peer->close();
  sim.run_ready();
  EXPECT_EQ(cancelled, 2);
  EXPECT_TRUE(served);
}

TEST_F(GrpcServer, WaitsForHandlersThatOutliveTheConnection) {
  service.unary("/t/Slow", [this](GrpcCallPtr, std::string) -> Task<std::string> {
    co_await sim.clock().sleep_for(5s);
    co_return "too late";
  });
  start();
  peer->call("/t/Slow", "x");
  sim.run_ready();
  peer->close();
  sim.run_for(4s);
  EXPECT_FALSE(served);
  sim.run_for(2s);
  EXPECT_TRUE(served);
}

TEST_F(GrpcServer, DeadlineEndsTheCall) {
  start();
  auto headers = H2Peer::grpc_headers("/t/WaitCancel");
  headers.emplace_back("grpc-timeout", "2S");
  const auto id = peer->request(headers, framed("x"));
  sim.run_for(1900ms);
  EXPECT_EQ(cancelled, 0);
  sim.run_for(200ms);
  EXPECT_EQ(cancelled, 1);
  EXPECT_TRUE(last->cancelled);
  EXPECT_EQ(seen(id).at("grpc-status"), "4");
}

TEST_F(GrpcServer, DeadlinesOfYearsAreNoDeadlines) {
  start();
  for (const char* timeout : {"99999999H", "525600H", "99999999S"}) {
    auto headers = H2Peer::grpc_headers("/t/Echo");
    headers.emplace_back("grpc-timeout", timeout);
    const auto id = peer->request(headers, framed("x"));
    sim.run_for(1s);
    EXPECT_EQ(seen(id).at("grpc-status"), "0") << timeout;
    EXPECT_GT(last->deadline, sim.clock().now() + 24h * 365);
  }
}

TEST_F(GrpcServer, ReaderThatDoesNotReadMakesTheSenderWait) {
  start();
  std::string much;
  for (int i = 0; i < 64; ++i) much += framed(std::string(64 << 10, 'm'));  // 4 MiB against a window of 1
  const auto id = peer->request(H2Peer::grpc_headers("/t/Deaf"), much);
  sim.run_for(1s);
  EXPECT_GE(peer->unsent(id), std::size_t{(3 << 20) - (128 << 10)});
  const auto other = peer->call("/t/Echo", "not held up");
  sim.run_ready();
  EXPECT_EQ(seen(other).at("grpc-status"), "0");
  released = true;
  release.notify_all();
  sim.run_for(1s);
  EXPECT_EQ(peer->unsent(id), 0u);
  EXPECT_EQ(seen(id).at("grpc-status"), "0");
}

TEST_F(GrpcServer, UnaryBodiesInHandlersCountAgainstTheConnection) {
  limits.connection_window = 1 << 20;
  start();
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 16; ++i) {
    ids.push_back(peer->call("/t/Hang", std::string(256 << 10, 'b')));
    sim.run_for(100ms);
  }
  std::size_t unsent = 0;
  for (const auto id : ids) unsent += peer->unsent(id);
  EXPECT_GE(unsent, std::size_t{11 * (256 << 10)});  // four bodies fill the window; part of the fifth may be there
  EXPECT_LE(hanging, 4);
  released = true;
  release.notify_all();
  sim.run_for(1s);
  for (const auto id : ids) EXPECT_EQ(seen(id).at("grpc-status"), "0");
}

TEST_F(GrpcServer, ManyHalfMessagesDoNotBlockEachOther) {
  limits.connection_window = 1 << 20;
  start();
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 64; ++i)
    ids.push_back(peer->call("/t/Echo", std::string(200 << 10, 'h')));  // 12.5 MiB interleaved
  sim.run_for(1s);
  for (const auto id : ids) EXPECT_EQ(seen(id).at("grpc-status"), "0");
}

TEST_F(GrpcServer, WriterWaitsForAClientThatDoesNotTake) {
  StreamPair pair = make_stream_pair(sim.clock());
  sim.spawn(serve(std::move(pair.server)));
  peer = std::make_unique<H2Peer>(sim, std::move(pair.client), H2Peer::Role::client);
  sim.run_ready();
  peer->request(H2Peer::grpc_headers("/t/Flood"), framed("x"));
  peer->deaf = true;
  sim.run_for(1s);
  EXPECT_LT(written, 16);
}

TEST_F(GrpcServer, DeadlineFreesAWriterThatWaits) {
  start();
  auto headers = H2Peer::grpc_headers("/t/Flood");
  headers.emplace_back("grpc-timeout", "5S");
  peer->request(headers, framed("x"));
  peer->deaf = true;
  sim.run_for(4s);
  EXPECT_EQ(gone, 0);
  sim.run_for(2s);
  EXPECT_EQ(gone, 1);
}

TEST_F(GrpcServer, RapidResetsEndTheConnection) {
  limits.resets_per_second = 50;
  start();
  for (int i = 0; i < 60; ++i) {
    const auto id = peer->request(H2Peer::grpc_headers("/t/Chat"), "", false);
    sim.run_ready();
    if (peer->ended()) break;
    peer->reset(id);
  }
  sim.run_ready();
  EXPECT_THAT(peer->goaways, testing::Contains(NGHTTP2_ENHANCE_YOUR_CALM));
  EXPECT_TRUE(peer->ended());
}

TEST_F(GrpcServer, AnswersPingsAndNeverComplains) {
  start();
  for (int i = 0; i < 100; ++i) {
    peer->ping();
    sim.run_for(10s);
  }
  EXPECT_EQ(peer->pongs, 100);
  EXPECT_THAT(peer->goaways, ElementsAre());
  EXPECT_FALSE(peer->ended());
}

TEST_F(GrpcServer, IdleConnectionsEnd) {
  start();
  sim.run_for(119s);
  EXPECT_FALSE(peer->ended());
  sim.run_for(2s);
  EXPECT_THAT(peer->goaways, ElementsAre(NGHTTP2_NO_ERROR));
  EXPECT_TRUE(peer->ended());
  EXPECT_TRUE(served);
}

TEST_F(GrpcServer, SilentStreamsLiveWhileTheClientAnswersPings) {
  start();
  peer->request(H2Peer::grpc_headers("/t/Chat"), "", false);
  sim.run_for(1h);
  EXPECT_FALSE(peer->ended());
  EXPECT_GE(peer->pings, 30);
}

TEST_F(GrpcServer, DeadClientsAreLetGo) {
  start();
  peer->request(H2Peer::grpc_headers("/t/Chat"), "", false);
  sim.run_ready();
  peer->deaf = true;
  sim.run_for(3min);  // one answer may be under way when it goes deaf
  EXPECT_EQ(cancelled, 1);
}

TEST_F(GrpcServer, DrainLetsRunningCallsFinish) {
  start();
  const auto running = peer->call("/t/Hang", "x");
  sim.run_ready();
  draining->notify_all();
  sim.run_ready();
  EXPECT_THAT(peer->goaways, ElementsAre(NGHTTP2_NO_ERROR, NGHTTP2_NO_ERROR));  // the notice, then the last id
  EXPECT_FALSE(peer->ended());
  released = true;
  release.notify_all();
  sim.run_for(1s);
  EXPECT_EQ(seen(running).at("grpc-status"), "0");
  EXPECT_TRUE(peer->ended());
  EXPECT_TRUE(served);
}

TEST_F(GrpcServer, MalformedBytesEndTheConnection) {
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  const struct {
    const char* what;
    std::string bytes;
  } cases[] = {
      {"no preface", "GET / HTTP/1.1\r\n\r\n"},
      {"frame over the size limit", preface + settings + std::string("\377\377\377\0\0\0\0\0\1", 9)},
      {"DATA on stream 0", preface + settings + std::string("\0\0\1\0\0\0\0\0\0x", 10)},
      {"DATA on an idle stream", preface + settings + std::string("\0\0\1\0\0\0\0\0\5x", 10)},
      {"HEADERS on an even stream", preface + settings + std::string("\0\0\1\1\5\0\0\0\2\202", 10)},
      {"bad HPACK", preface + settings + std::string("\0\0\4\1\5\0\0\0\1\377\377\377\377", 13)},
      {"RST_STREAM of an idle stream", preface + settings + std::string("\0\0\4\3\0\0\0\0\7\0\0\0\0", 13)},
      {"WINDOW_UPDATE of 0", preface + settings + std::string("\0\0\4\10\0\0\0\0\0\0\0\0\0", 13)},
      {"SETTINGS of a wrong length", preface + std::string("\0\0\5\4\0\0\0\0\0aaaaa", 14)},
      {"PING of a wrong length", preface + settings + std::string("\0\0\1\6\0\0\0\0\0a", 10)},
  };
  for (const auto& c : cases) {
    served = false;
    StreamPair pair = make_stream_pair(sim.clock());
    sim.spawn(serve(std::move(pair.server)));
    bool ended = false;
    const auto poke = [](ByteStream& stream, std::string bytes, bool& flag) -> asio::awaitable<void> {
      (void)co_await stream.write_all(as_bytes(bytes));
      std::vector<std::uint8_t> buffer(4096);
      while (true) {
        const Result<std::size_t> n = co_await stream.read_some(buffer);
        if (!n || *n == 0) break;
      }
      flag = true;
    };
    sim.spawn(poke(*pair.client, c.bytes, ended));
    sim.run_for(5s);
    EXPECT_TRUE(ended) << c.what;
    EXPECT_TRUE(served) << c.what;
  }
}

TEST_F(GrpcServer, DamagedBytesNeverCrash) {
  const std::string good = test::client_bytes({"/t/Echo", "/t/Fail", "/t/Chat", "/t/Nothing"});
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    sys::SeededRandom random(seed);
    std::string bytes = good;
    for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips) {
      // Mostly behind the preface: damage there ends everything at once.
      const std::size_t at = seed % 10 == 0 ? random.below(bytes.size()) : 24 + random.below(bytes.size() - 24);
      bytes[at] = static_cast<char>(random.below(256));
    }
    bytes.resize(bytes.size() - random.below(20));
    served = false;
    StreamPair pair = make_stream_pair(sim.clock());
    sim.spawn(serve(std::move(pair.server)));
    const auto poke = [](ByteStream& stream, const std::string& all) -> asio::awaitable<void> {
      (void)co_await stream.write_all(as_bytes(all));
    };
    sim.spawn(poke(*pair.client, bytes));
    sim.run_ready();
    pair.client->close();
    sim.run_for(3s);
    EXPECT_TRUE(served) << "seed " << seed;
  }
}

}  // namespace
}  // namespace hf::net
