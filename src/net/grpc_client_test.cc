// The client: against our server for what works, against a bare peer for what goes wrong on the wire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "net/grpc.h"
#include "net/h2_test_peer.h"
#include "sys/sim.h"

namespace hf::net {
namespace {

using test::framed;
using test::H2Peer;
using test::Headers;
using testing::HasSubstr;

const Headers kOkHeaders = {{":status", "200"}, {"content-type", "application/grpc"}};

/// A channel whose connections end at our server or, with `bare`, at a peer of the test.
class GrpcClient : public testing::Test {
 protected:
  GrpcClient() : draining(std::make_shared<sys::Event>(sim.clock())) {
    service.unary("/t/Echo", [this](GrpcCallPtr call, std::string request) -> Task<std::string> {
      last = call;
      co_return "echo " + request;
    });
    service.unary("/t/Fail", [](GrpcCallPtr, std::string request) -> Task<std::string> {
      co_return Error{Code::conflict, std::move(request)};
    });
    service.unary("/t/WaitCancel", [this](GrpcCallPtr call, std::string) -> Task<std::string> {
      last = call;
      ++waiting;
      co_await call->on_cancel->wait();
      --waiting;
      co_return "";
    });
    service.stream("/t/Chat", [this](GrpcCallPtr call, GrpcServerStream& stream) -> asio::awaitable<GrpcStatus> {
      last = call;
      ++waiting;
      while (true) {
        Result<std::optional<std::string>> message = co_await stream.read();
        if (!message || !*message) break;
        if (!co_await stream.write("you said " + **message)) break;
      }
      --waiting;
      co_return GrpcStatus{GrpcCode::aborted, "that's all"};
    });
    service.stream("/t/Count", [](GrpcCallPtr, GrpcServerStream& stream) -> asio::awaitable<GrpcStatus> {
      for (int i = 0; i < 1000; ++i) {
        if (!co_await stream.write(std::string(10'000, 'c'))) co_return GrpcStatus{GrpcCode::aborted, ""};
      }
      co_return GrpcStatus{};
    });
  }
  ~GrpcClient() override {
    channel.reset();
    bare_peer.reset();
    sim.run_for(1min);
    EXPECT_EQ(serving, 0);
  }

  GrpcChannel& open() {
    GrpcChannel::Options options = base;
    options.host = "test";
    options.connector = [this](Monotonic) -> Task<std::unique_ptr<ByteStream>> {
      ++connects;
      if (connect_takes > 0s) co_await sim.clock().sleep_for(connect_takes);
      if (refuse) co_return Error{Code::unavailable, "connection refused"};
      StreamPair pair = make_stream_pair(sim.clock());
      if (bare) {
        bare_peer = std::make_unique<H2Peer>(sim, std::move(pair.server), H2Peer::Role::server);
      } else {
        ++serving;
        sim.spawn(serve(std::move(pair.server)));
      }
      co_return std::move(pair.client);
    };
    channel = std::make_unique<GrpcChannel>(sim.world(), std::move(options));
    return *channel;
  }
  asio::awaitable<void> serve(std::unique_ptr<ByteStream> stream) {
    co_await serve_grpc(std::move(stream), "", service, limits, sim.world(), draining);
    --serving;
  }

  Result<std::string> call(const std::string& path, std::string request = "x", Duration timeout = 3s) {
    return sim.run_until_done(channel->call(path, {}, std::move(request), sim.clock().now() + timeout));
  }
  /// A call that goes on while the test does.
  void start_call(const std::string& path, std::optional<Result<std::string>>& outcome, Duration timeout = 3s) {
    const auto run = [](GrpcChannel& on, std::string to, Monotonic deadline,
                        std::optional<Result<std::string>>& into) -> asio::awaitable<void> {
      into.emplace(co_await on.call(std::move(to), {}, "x", deadline));
    };
    sim.spawn(run(*channel, path, sim.clock().now() + timeout, outcome));
    sim.run_ready();
  }
  std::unique_ptr<GrpcClientStream> stream(const std::string& path, Duration timeout = 24h) {
    auto opened = sim.run_until_done(channel->open_stream(path, {}, sim.clock().now() + timeout));
    EXPECT_TRUE(opened);
    return std::move(*opened);
  }
  static Code code_of(const std::optional<Result<std::string>>& outcome) {
    return outcome && !*outcome ? outcome->error().code : Code::corrupt;
  }

  sys::SimWorld sim{7};
  GrpcService service;
  GrpcLimits limits;
  GrpcChannel::Options base;
  std::shared_ptr<sys::Event> draining;
  GrpcCallPtr last;
  int serving = 0, waiting = 0, connects = 0;
  bool refuse = false, bare = false;
  Duration connect_takes{};
  std::unique_ptr<H2Peer> bare_peer;
  std::unique_ptr<GrpcChannel> channel;
};

TEST_F(GrpcClient, CallsAndIsAnswered) {
  open();
  const Result<std::string> answer = call("/t/Echo", "hello");
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(*answer, "echo hello");
  EXPECT_TRUE(call("/t/Echo", ""));
  EXPECT_EQ(call("/t/Echo", std::string(5 << 20, 'x'))->size(), (5u << 20) + 5);
  EXPECT_EQ(connects, 1);
}

TEST_F(GrpcClient, SendsMetadataAndDeadline) {
  open();
  const GrpcMetadata metadata = {{"x-mq-client-id", "me@1"}, {"trace-bin", std::string("\0\xff", 2)}};
  const Monotonic deadline = sim.clock().now() + 2500ms;
  ASSERT_TRUE(sim.run_until_done(channel->call("/t/Echo", metadata, "x", deadline)));
  EXPECT_EQ(find_metadata(last->metadata, "x-mq-client-id"), "me@1");
  EXPECT_EQ(find_metadata(last->metadata, "trace-bin"), std::string_view("\0\xff", 2));
  EXPECT_EQ(last->deadline, deadline);
  ASSERT_TRUE(sim.run_until_done(channel->call("/t/Echo", {}, "x", Monotonic::max())));
  EXPECT_EQ(last->deadline, Monotonic::max());
}

TEST_F(GrpcClient, StatusBecomesAnError) {
  open();
  const Result<std::string> answer = call("/t/Fail", "déjà 100%");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::conflict);
  EXPECT_THAT(answer.error().message, HasSubstr("déjà 100%"));
  EXPECT_EQ(call("/t/Nothing").error().code, Code::invalid);
}

TEST_F(GrpcClient, ManyCallsShareTheConnection) {
  limits.streams_per_connection = 50;
  open();
  std::vector<std::optional<Result<std::string>>> outcomes(300);
  for (auto& outcome : outcomes) start_call("/t/Echo", outcome);
  sim.run_for(1s);
  for (const auto& outcome : outcomes) EXPECT_TRUE(outcome && *outcome);
  EXPECT_EQ(connects, 1);
}

TEST_F(GrpcClient, BidirectionalStream) {
  open();
  const auto chat = stream("/t/Chat");
  for (const std::string word : {"one", "two"}) {
    ASSERT_TRUE(sim.run_until_done(chat->write(word)));
    const auto answer = sim.run_until_done(chat->read());
    ASSERT_TRUE(answer && *answer);
    EXPECT_EQ(**answer, "you said " + word);
  }
  ASSERT_TRUE(sim.run_until_done(chat->finish_writing()));
  EXPECT_FALSE(sim.run_until_done(chat->read()));
  EXPECT_EQ(chat->status().code, GrpcCode::aborted);
  EXPECT_EQ(chat->status().message, "that's all");
  EXPECT_FALSE(sim.run_until_done(chat->write("late")));
}

TEST_F(GrpcClient, ServerStreamArrivesWholeAndEnds) {
  open();
  const auto count = stream("/t/Count");
  ASSERT_TRUE(sim.run_until_done(count->finish_writing()));
  sim.run_for(1s);  // 10 MB against a window of 1 MiB: the server waits for us
  int messages = 0;
  while (true) {
    const auto message = sim.run_until_done(count->read());
    ASSERT_TRUE(message);
    if (!*message) break;
    EXPECT_EQ((*message)->size(), 10'000u);
    ++messages;
  }
  EXPECT_EQ(messages, 1000);
  EXPECT_EQ(count->status().code, GrpcCode::ok);
}

TEST_F(GrpcClient, DeadlineIsKeptHereAndThere) {
  open();
  const Result<std::string> answer = call("/t/WaitCancel", "x", 2s);
  EXPECT_EQ(answer.error().code, Code::timeout);
  sim.run_for(10ms);
  EXPECT_TRUE(last->cancelled);
  EXPECT_EQ(waiting, 0);
}

TEST_F(GrpcClient, DroppedStreamIsReset) {
  open();
  auto chat = stream("/t/Chat");
  sim.run_ready();
  EXPECT_EQ(waiting, 1);
  chat.reset();
  sim.run_ready();
  EXPECT_TRUE(last->cancelled);
  EXPECT_EQ(waiting, 0);
}

TEST_F(GrpcClient, CancelledCoroutineResetsItsStream) {
  using namespace asio::experimental::awaitable_operators;  // NOLINT
  open();
  const auto race = [this]() -> asio::awaitable<void> {
    co_await (channel->call("/t/WaitCancel", {}, "x", Monotonic::max()) || sim.clock().sleep_for(1s));
  };
  sim.run_until_done(race());
  sim.run_ready();
  EXPECT_TRUE(last->cancelled);
  EXPECT_EQ(waiting, 0);
}

TEST_F(GrpcClient, NoServerIsUnavailableAndCallsMeanwhileFailAtOnce) {
  refuse = true;
  open();
  EXPECT_EQ(call("/t/Echo").error().code, Code::unavailable);
  EXPECT_EQ(connects, 1);
  const Monotonic before = sim.clock().now();
  EXPECT_EQ(call("/t/Echo").error().code, Code::unavailable);
  EXPECT_EQ(connects, 1) << "backing off";
  EXPECT_EQ(sim.clock().now(), before);
  for (int i = 0; i < 600; ++i) {
    (void)call("/t/Echo");
    sim.run_for(100ms);
  }
  EXPECT_GE(connects, 8);
  EXPECT_LE(connects, 40) << "a minute of refusals, 5 s apart at most";
  refuse = false;
  sim.run_for(5s);
  EXPECT_TRUE(call("/t/Echo"));
}

TEST_F(GrpcClient, ConnectionThatTakesLongerThanTheDeadlineIsUnavailable) {
  connect_takes = 2s;
  open();
  EXPECT_EQ(call("/t/Echo", "x", 1s).error().code, Code::unavailable);
  EXPECT_TRUE(call("/t/Echo", "x", 3s));
  EXPECT_EQ(connects, 1);
}

TEST_F(GrpcClient, BrokenConnectionIsTimeoutForWhatWentOutAndIsMadeAgain) {
  bare = true;
  open();
  std::optional<Result<std::string>> outcome;
  start_call("/t/Echo", outcome);
  EXPECT_FALSE(outcome);
  bare_peer->close();
  sim.run_ready();
  EXPECT_EQ(code_of(outcome), Code::timeout);
  bare = false;
  EXPECT_TRUE(call("/t/Echo"));
  EXPECT_EQ(connects, 2);
}

TEST_F(GrpcClient, RefusedStreamAndLowGoawayAreUnavailable) {
  bare = true;
  open();
  std::optional<Result<std::string>> refused, above, below;
  start_call("/t/Echo", refused);
  bare_peer->reset(1, NGHTTP2_REFUSED_STREAM);
  sim.run_ready();
  EXPECT_EQ(code_of(refused), Code::unavailable);
  start_call("/t/Echo", below);
  start_call("/t/Echo", above);
  bare_peer->goaway(3);
  sim.run_ready();
  EXPECT_EQ(code_of(above), Code::unavailable);
  EXPECT_FALSE(below) << "the server still works on it";
  auto* const old = bare_peer.release();  // the next call makes a connection of its own
  bare = false;
  EXPECT_TRUE(call("/t/Echo"));
  EXPECT_EQ(connects, 2);
  old->respond(3, kOkHeaders, framed("answer"), {{"grpc-status", "0"}});
  sim.run_ready();
  EXPECT_TRUE(below && *below);
  bare_peer.reset(old);
}

TEST_F(GrpcClient, AnswersThatAreNotRight) {
  bare = true;
  open();
  const struct {
    const char* what;
    std::string http, body;
    Headers trailers;
    Code want;
  } cases[] = {
      {"no grpc-status", "200", framed("a"), {{"x", "y"}}, Code::timeout},
      {"no message", "200", "", {{"grpc-status", "0"}}, Code::internal},
      {"two messages", "200", framed("a") + framed("b"), {{"grpc-status", "0"}}, Code::internal},
      {"cut message", "200", framed("abc").substr(0, 6), {{"grpc-status", "0"}}, Code::internal},
      {"compressed message", "200", std::string("\1\0\0\0\1z", 6), {{"grpc-status", "0"}}, Code::internal},
      {"HTTP 503", "503", "try later", {{"x", "y"}}, Code::unavailable},
      {"HTTP 404", "404", "", {{"x", "y"}}, Code::invalid},
      {"status out of range", "200", "", {{"grpc-status", "99"}}, Code::timeout},
      {"fine", "200", framed("a"), {{"grpc-status", "0"}}, Code::corrupt},  // no error at all
  };
  std::int32_t id = 1;
  for (const auto& c : cases) {
    std::optional<Result<std::string>> outcome;
    start_call("/t/Echo", outcome);
    bare_peer->respond(id, {{":status", c.http}, {"content-type", "application/grpc"}}, c.body, c.trailers);
    sim.run_ready();
    EXPECT_EQ(code_of(outcome), c.want) << c.what;
    id += 2;
  }
  std::optional<Result<std::string>> outcome;
  start_call("/t/Echo", outcome);
  bare_peer->respond_trailers_only(id, {{":status", "200"}, {"grpc-status", "7"}, {"grpc-message", "no%21"}});
  sim.run_ready();
  EXPECT_EQ(code_of(outcome), Code::denied);
  EXPECT_THAT(outcome->error().message, HasSubstr("no!"));
}

TEST_F(GrpcClient, ServerThatSpeaksNonsenseBreaksTheConnectionOnly) {
  bare = true;
  open();
  for (const std::string& nonsense : {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string(100, '\0'),
                                      std::string("\0\0\1\0\0\0\0\0\1x", 10)}) {
    std::optional<Result<std::string>> outcome;
    start_call("/t/Echo", outcome);
    bare_peer->raw(nonsense);
    sim.run_for(5s);
    EXPECT_EQ(code_of(outcome), Code::timeout);
  }
  bare = false;
  EXPECT_TRUE(call("/t/Echo"));
}

TEST_F(GrpcClient, AnswerOverTheLimitIsExhausted) {
  base.message_bytes = 1000;
  open();
  EXPECT_EQ(call("/t/Echo", std::string(2000, 'x')).error().code, Code::exhausted);
  EXPECT_TRUE(call("/t/Echo", "x"));
}

TEST_F(GrpcClient, KeepaliveFindsDeadServers) {
  bare = true;
  open();
  std::optional<Result<std::string>> outcome;
  start_call("/t/Echo", outcome, 24h);
  sim.run_for(5min);
  EXPECT_GE(bare_peer->pings, 8) << "one every 30 s with a call open";
  EXPECT_FALSE(outcome);
  bare_peer->deaf = true;
  sim.run_for(90s);
  EXPECT_EQ(code_of(outcome), Code::timeout);
}

TEST_F(GrpcClient, NoPingsWithoutCalls) {
  bare = true;
  open();
  std::optional<Result<std::string>> outcome;
  start_call("/t/Echo", outcome);
  bare_peer->respond(1, kOkHeaders, framed("a"), {{"grpc-status", "0"}});
  sim.run_for(1h);
  EXPECT_EQ(bare_peer->pings, 0);
}

TEST_F(GrpcClient, DrainingServerLosesNothing) {
  open();
  ASSERT_TRUE(call("/t/Echo"));
  std::optional<Result<std::string>> running;
  start_call("/t/WaitCancel", running, 5s);
  draining->notify_all();
  sim.run_ready();
  ASSERT_TRUE(call("/t/Echo"));
  EXPECT_EQ(connects, 2);
  EXPECT_FALSE(running);
  sim.run_for(6s);
  EXPECT_EQ(code_of(running), Code::timeout);
}

TEST_F(GrpcClient, CloseEndsEverything) {
  open();
  std::optional<Result<std::string>> running;
  start_call("/t/WaitCancel", running, 1h);
  channel->close();
  sim.run_ready();
  EXPECT_EQ(code_of(running), Code::timeout);
  EXPECT_EQ(call("/t/Echo").error().code, Code::unavailable);
}

TEST_F(GrpcClient, ChannelMayDieWhileCallsRun) {
  open();
  std::optional<Result<std::string>> running;
  start_call("/t/WaitCancel", running, 1h);
  auto chat = stream("/t/Chat");
  channel.reset();
  sim.run_ready();
  EXPECT_EQ(code_of(running), Code::timeout);
  EXPECT_FALSE(sim.run_until_done(chat->read()));
  EXPECT_EQ(chat->status().code, GrpcCode::unavailable);
}

}  // namespace
}  // namespace hf::net
