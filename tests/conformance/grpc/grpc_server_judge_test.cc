// gRPC C++'s server judges our client.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "echo.grpc.pb.h"
#include "net/grpc.h"
#include "sys/loop.h"

namespace hf::net {
namespace {

using echo::Echo;
using echo::Note;

constexpr int kCompress = 77, kGzipAnyway = 78;

class JudgeService final : public Echo::Service {
 public:
  grpc::Status Say(grpc::ServerContext* context, const Note* request, Note* answer) override {
    *answer = *request;
    const auto& metadata = context->client_metadata();
    if (const auto found = metadata.find("x-mq-client-id"); found != metadata.end()) {
      answer->set_text(std::string(found->second.data(), found->second.size()));
    }
    if (const auto found = metadata.find("trace-bin"); found != metadata.end()) {
      answer->set_body(std::string(found->second.data(), found->second.size()));
    }
    if (request->number() == kCompress) context->set_compression_level(GRPC_COMPRESS_LEVEL_HIGH);
    if (request->number() == kGzipAnyway) context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
    return grpc::Status::OK;
  }
  grpc::Status Repeat(grpc::ServerContext*, const Note* request, grpc::ServerWriter<Note>* writer) override {
    Note note = *request;
    for (int i = 0; i < request->number(); ++i) {
      note.set_number(i);
      if (!writer->Write(note)) break;
    }
    return grpc::Status::OK;
  }
  grpc::Status Chat(grpc::ServerContext*, grpc::ServerReaderWriter<Note, Note>* stream) override {
    Note note;
    while (stream->Read(&note)) stream->Write(note);
    return {grpc::ALREADY_EXISTS, "adiós, 100%"};
  }
  grpc::Status Fail(grpc::ServerContext*, const Note* request, Note*) override {
    return {static_cast<grpc::StatusCode>(request->number()), request->text()};
  }
  grpc::Status Hang(grpc::ServerContext* context, const Note*, Note*) override {
    while (!context->IsCancelled()) std::this_thread::yield();
    cancelled = true;
    return grpc::Status::CANCELLED;
  }
  std::atomic<bool> cancelled{false};
};

class GrpcServerJudge : public testing::Test {
 protected:
  GrpcServerJudge() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    builder.SetMaxReceiveMessageSize(-1);
    server = builder.BuildAndStart();
    GrpcChannel::Options options;
    options.host = "127.0.0.1";
    options.port = static_cast<std::uint16_t>(port);
    channel = std::make_unique<GrpcChannel>(loop.world(), std::move(options));
  }
  ~GrpcServerJudge() override {
    channel.reset();
    loop.drain(5s);
    if (server) server->Shutdown(std::chrono::system_clock::now() + 1s);
  }
  Monotonic in(Duration d) { return loop.world().clock.now() + d; }
  Result<Note> call(const std::string& method, const Note& request, GrpcMetadata metadata = {},
                    Duration timeout = 10s) {
    Task<std::string> task =
        channel->call("/hf.echo.Echo/" + method, std::move(metadata), request.SerializeAsString(), in(timeout));
    const Result<std::string> bytes = loop.run_until_done(std::move(task));
    if (!bytes) return bytes.error();
    Note note;
    EXPECT_TRUE(note.ParseFromString(*bytes));
    return note;
  }
  static Note note_of(std::string text, int number = 0) {
    Note note;
    note.set_text(std::move(text));
    note.set_number(number);
    return note;
  }

  sys::Loop loop;
  JudgeService service;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<GrpcChannel> channel;
};

TEST_F(GrpcServerJudge, UnaryAndMetadata) {
  const auto plain = call("Say", note_of("hello", 3));
  ASSERT_TRUE(plain) << plain.error().to_string();
  EXPECT_EQ(plain->text(), "hello");
  const auto annotated =
      call("Say", note_of("x"), {{"x-mq-client-id", "me@1"}, {"trace-bin", std::string("\0\xff", 2)}});
  ASSERT_TRUE(annotated);
  EXPECT_EQ(annotated->text(), "me@1");
  EXPECT_EQ(annotated->body(), std::string("\0\xff", 2));
}

TEST_F(GrpcServerJudge, LargeMessages) {
  Note note;
  note.set_body(std::string(20 << 20, 'b'));
  const auto answer = call("Say", note);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->body(), note.body());
}

TEST_F(GrpcServerJudge, ServerKnowsThatWeTakeNothingCompressed) {
  const auto answer = call("Say", note_of(std::string(10'000, 'z'), kCompress));
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->text().size(), 10'000u);
  EXPECT_EQ(call("Say", note_of(std::string(10'000, 'z'), kGzipAnyway)).error().code, Code::internal);
}

TEST_F(GrpcServerJudge, EveryStatus) {
  for (int code = 1; code <= 16; ++code) {
    const auto answer = call("Fail", note_of("warum, 100%?\n", code));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, to_error({static_cast<GrpcCode>(code), ""}).code) << code;
    EXPECT_THAT(answer.error().message, testing::HasSubstr("warum, 100%?\n"));
  }
  EXPECT_EQ(call("Nothing", note_of("x")).error().code, Code::invalid);
}

TEST_F(GrpcServerJudge, Streams) {
  auto main = [this]() -> asio::awaitable<void> {
    auto repeat = co_await channel->open_stream("/hf.echo.Echo/Repeat", {}, in(10s));
    EXPECT_TRUE(repeat);
    (void)co_await (*repeat)->write(note_of(std::string(1000, 'r'), 5000).SerializeAsString());
    (void)co_await (*repeat)->finish_writing();
    int n = 0;
    while (true) {
      auto message = co_await (*repeat)->read();
      if (!message || !*message) break;
      ++n;
    }
    EXPECT_EQ(n, 5000);
    EXPECT_EQ((*repeat)->status().code, GrpcCode::ok);

    auto chat = co_await channel->open_stream("/hf.echo.Echo/Chat", {}, in(10s));
    for (int i = 0; i < 200; ++i) {
      (void)co_await (*chat)->write(note_of("word", i).SerializeAsString());
      auto answer = co_await (*chat)->read();
      EXPECT_TRUE(answer && *answer);
    }
    (void)co_await (*chat)->finish_writing();
    EXPECT_FALSE(co_await (*chat)->read());
    EXPECT_EQ((*chat)->status().code, GrpcCode::already_exists);
    EXPECT_EQ((*chat)->status().message, "adiós, 100%");
  };
  loop.run_until_done(main());
}

TEST_F(GrpcServerJudge, DeadlineReachesTheServer) {
  Code code = Code::unavailable;
  for (auto limit = 200ms; !service.cancelled && limit < 1min; limit *= 4) {  // until one gets there in its time
    code = call("Hang", note_of("x"), {}, limit).error().code;
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!service.cancelled && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  }
  EXPECT_EQ(code, Code::timeout);
  EXPECT_TRUE(service.cancelled);
}

TEST_F(GrpcServerJudge, ShutDownServerIsUnavailable) {
  ASSERT_TRUE(call("Say", note_of("x")));
  server->Shutdown(std::chrono::system_clock::now() + 1s);
  server.reset();
  EXPECT_EQ(call("Say", note_of("x")).error().code, Code::unavailable);
}

}  // namespace
}  // namespace hf::net
