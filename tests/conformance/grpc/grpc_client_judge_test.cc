// gRPC C++'s client judges our server.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <future>
#include <thread>

#include "echo.grpc.pb.h"
#include "net/grpc.h"
#include "net/listener.h"
#include "sys/loop.h"

namespace hf::net {
namespace {

using echo::Echo;
using echo::Note;

Note parse(const std::string& bytes) {
  Note note;
  EXPECT_TRUE(note.ParseFromString(bytes));
  return note;
}
Note note_of(std::string text, int number = 0) {
  Note note;
  note.set_text(std::move(text));
  note.set_number(number);
  return note;
}

/// Our server on a thread of its own.
class EchoServer {
 public:
  explicit EchoServer(GrpcLimits limits = {}) : service_(std::make_shared<GrpcService>()) {
    service_->unary("/hf.echo.Echo/Say", [this](GrpcCallPtr call, std::string bytes) -> Task<std::string> {
      Note note = parse(bytes);
      if (const auto id = find_metadata(call->metadata, "x-mq-client-id")) note.set_text(std::string(*id));
      if (const auto binary = find_metadata(call->metadata, "trace-bin")) note.set_body(std::string(*binary));
      if (note.number() == 77) note.set_number(call->deadline == Monotonic::max() ? -1 : 1);
      ++said_;
      co_return note.SerializeAsString();
    });
    service_->unary("/hf.echo.Echo/Fail", [](GrpcCallPtr, std::string bytes) -> Task<std::string> {
      co_return Error{Code::not_found, parse(bytes).text()};
    });
    service_->unary("/hf.echo.Echo/Hang", [this](GrpcCallPtr call, std::string) -> Task<std::string> {
      ++hanging_;
      while (!call->cancelled) co_await call->on_cancel->wait();
      ++cancelled_;
      co_return "";
    });
    service_->stream("/hf.echo.Echo/Repeat", [](GrpcCallPtr, GrpcServerStream& stream) -> asio::awaitable<GrpcStatus> {
      auto first = co_await stream.read();
      if (!first || !*first) co_return GrpcStatus{GrpcCode::internal, "no request"};
      Note note = parse(**first);
      const int times = note.number();
      for (int i = 0; i < times; ++i) {
        note.set_number(i);
        if (!co_await stream.write(note.SerializeAsString())) break;
      }
      co_return GrpcStatus{};
    });
    service_->stream("/hf.echo.Echo/Chat",
                     [this](GrpcCallPtr, GrpcServerStream& stream) -> asio::awaitable<GrpcStatus> {
                       ++hanging_;
                       while (true) {
                         auto message = co_await stream.read();
                         if (!message) {
                           ++cancelled_;
                           co_return to_grpc_status(message.error());
                         }
                         if (!*message) break;
                         if (!co_await stream.write(std::move(**message))) break;
                       }
                       co_return GrpcStatus{GrpcCode::already_exists, "auf Wiedersehen, 100% für heute"};
                     });
    ListenerOptions options;
    options.name = "judge";
    options.grpc = service_;
    options.grpc_limits = limits;
    options.tls = TlsServerConfig{};
    auto started = Listener::start(loop_.world(), std::move(options));
    HF_ASSERT(started);
    listener_ = std::move(*started);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~EchoServer() {
    drain();
    loop_.stop();
    thread_.join();
    listener_.reset();
    loop_.drain(1s);
  }
  /// Returns when the server has ended its connections.
  void drain() {
    std::promise<void> done;
    auto main = [this, &done]() -> asio::awaitable<void> {
      co_await listener_->drain(loop_.world().clock.now() + 30s);
      done.set_value();
    };
    asio::co_spawn(loop_.executor(), main(), asio::detached);
    done.get_future().wait();
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", listener_->port()); }
  int said() const { return said_; }
  int hanging() const { return hanging_; }
  /// Waits until that many handlers saw their cancellation.
  bool cancelled(int n) const { return reaches(cancelled_, n); }
  bool hanging(int n) const { return reaches(hanging_, n); }

 private:
  static bool reaches(const std::atomic<int>& counter, int n) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (counter < n && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return counter >= n;
  }
  sys::Loop loop_;
  std::shared_ptr<GrpcService> service_;
  std::unique_ptr<Listener> listener_;
  std::atomic<int> said_{0}, hanging_{0}, cancelled_{0};
  std::thread thread_;
};

std::unique_ptr<Echo::Stub> connect_to(const EchoServer& server, grpc::ChannelArguments arguments = {}) {
  arguments.SetMaxReceiveMessageSize(-1);
  return Echo::NewStub(grpc::CreateCustomChannel(server.address(), grpc::InsecureChannelCredentials(), arguments));
}

TEST(GrpcClientJudge, Unary) {
  EchoServer server;
  const auto stub = connect_to(server);
  for (int i = 100; i < 200; ++i) {
    grpc::ClientContext context;
    Note answer;
    const grpc::Status status = stub->Say(&context, note_of("hello", i), &answer);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(answer.text(), "hello");
    EXPECT_EQ(answer.number(), i);
  }
}

TEST(GrpcClientJudge, LargeMessages) {
  EchoServer server;
  const auto stub = connect_to(server);
  Note note;
  note.set_body(std::string(20 << 20, 'b'));
  grpc::ClientContext context;
  Note answer;
  const grpc::Status status = stub->Say(&context, note, &answer);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer.body(), note.body());
}

TEST(GrpcClientJudge, MessageOverTheLimit) {
  GrpcLimits limits;
  limits.message_bytes = 100'000;
  EchoServer server(limits);
  const auto stub = connect_to(server);
  Note note;
  note.set_body(std::string(4 << 20, 'b'));
  grpc::ClientContext context;
  Note answer;
  EXPECT_EQ(stub->Say(&context, note, &answer).error_code(), grpc::RESOURCE_EXHAUSTED);
}

TEST(GrpcClientJudge, MetadataAndDeadline) {
  EchoServer server;
  const auto stub = connect_to(server);
  grpc::ClientContext context;
  context.AddMetadata("x-mq-client-id", "host@1@2");
  context.AddMetadata("trace-bin", std::string("\0\1\xff", 3));
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::hours(24 * 365 * 60));
  Note answer;
  ASSERT_TRUE(stub->Say(&context, note_of("x", 77), &answer).ok());
  EXPECT_EQ(answer.text(), "host@1@2");
  EXPECT_EQ(answer.body(), std::string("\0\1\xff", 3));
  EXPECT_EQ(answer.number(), 1);
}

TEST(GrpcClientJudge, ErrorMessageIsDecoded) {
  EchoServer server;
  const auto stub = connect_to(server);
  grpc::ClientContext context;
  Note answer;
  const grpc::Status status = stub->Fail(&context, note_of("100% »müde«\n\ttopic"), &answer);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "100% »müde«\n\ttopic");
}

TEST(GrpcClientJudge, UnknownMethodIsUnimplemented) {
  EchoServer server;
  const auto stub = echo::Absent::NewStub(grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  Note answer;
  const grpc::Status status = stub->Nothing(&context, note_of("x"), &answer);
  EXPECT_EQ(status.error_code(), grpc::UNIMPLEMENTED);
}

TEST(GrpcClientJudge, CompressedRequestIsUnimplemented) {
  EchoServer server;
  const auto stub = connect_to(server);
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    Note answer;
    EXPECT_EQ(stub->Say(&context, note_of(std::string(10'000, 'z')), &answer).error_code(), grpc::UNIMPLEMENTED);
  }
}

TEST(GrpcClientJudge, ServerStream) {
  EchoServer server;
  const auto stub = connect_to(server);
  grpc::ClientContext context;
  Note request = note_of(std::string(1000, 'r'), 5000);
  const auto reader = stub->Repeat(&context, request);
  Note answer;
  int n = 0;
  while (reader->Read(&answer)) EXPECT_EQ(answer.number(), n++);
  EXPECT_EQ(n, 5000);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST(GrpcClientJudge, BidirectionalStreamWithTrailers) {
  EchoServer server;
  const auto stub = connect_to(server);
  grpc::ClientContext context;
  const auto chat = stub->Chat(&context);
  chat->WaitForInitialMetadata();  // sent before any message: RocketMQ's Rust client waits for it
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(chat->Write(note_of("word", i)));
    Note answer;
    ASSERT_TRUE(chat->Read(&answer));
    EXPECT_EQ(answer.number(), i);
  }
  chat->WritesDone();
  Note answer;
  EXPECT_FALSE(chat->Read(&answer));
  const grpc::Status status = chat->Finish();
  EXPECT_EQ(status.error_code(), grpc::ALREADY_EXISTS);
  EXPECT_EQ(status.error_message(), "auf Wiedersehen, 100% für heute");
}

TEST(GrpcClientJudge, DeadlineCancelsTheHandler) {
  EchoServer server;
  const auto stub = connect_to(server);
  for (auto limit = 200ms; server.hanging() == 0 && limit < 1min; limit *= 4) {  // until one gets so far in its time
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + limit);
    Note answer;
    EXPECT_EQ(stub->Hang(&context, note_of("x"), &answer).error_code(), grpc::DEADLINE_EXCEEDED);
  }
  ASSERT_GE(server.hanging(), 1);
  EXPECT_TRUE(server.cancelled(server.hanging()));
}

TEST(GrpcClientJudge, CancelReachesTheHandler) {
  EchoServer server;
  const auto stub = connect_to(server);
  grpc::ClientContext unary, stream;
  const auto chat = stub->Chat(&stream);
  auto hanging = std::async(std::launch::async, [&] {
    Note answer;
    return stub->Hang(&unary, note_of("x"), &answer).error_code();
  });
  ASSERT_TRUE(server.hanging(2));
  unary.TryCancel();
  stream.TryCancel();
  EXPECT_EQ(hanging.get(), grpc::CANCELLED);
  EXPECT_EQ(chat->Finish().error_code(), grpc::CANCELLED);
  EXPECT_TRUE(server.cancelled(2));
}

TEST(GrpcClientJudge, ManyThreadsOnOneConnection) {
  EchoServer server;
  const auto stub = connect_to(server);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        grpc::ClientContext context;
        Note answer;
        if (stub->Say(&context, note_of(std::string(static_cast<std::size_t>(i) * 500, 'x'), i), &answer).ok()) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 1600);
}

TEST(GrpcClientJudge, DrainEndsNoRunningCall) {
  EchoServer server;
  const auto stub = connect_to(server);
  grpc::ClientContext context;
  const auto chat = stub->Chat(&context);
  ASSERT_TRUE(server.hanging(1));
  std::thread draining([&] { server.drain(); });
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(chat->Write(note_of("still", i)));
    Note answer;
    ASSERT_TRUE(chat->Read(&answer));
  }
  chat->WritesDone();
  EXPECT_EQ(chat->Finish().error_code(), grpc::ALREADY_EXISTS);
  draining.join();
}

TEST(GrpcClientJudge, Tls) {
  EchoServer server;
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  const auto stub = Echo::NewStub(grpc::CreateChannel(server.address(), grpc::experimental::TlsCredentials(options)));
  grpc::ClientContext context;
  Note answer;
  const grpc::Status status = stub->Say(&context, note_of("over TLS"), &answer);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer.text(), "over TLS");
}

}  // namespace
}  // namespace hf::net
