// The broker on a real disk: acknowledged sends, half + commit pairs, receive + ack; in process and over loopback gRPC
// (broker and client on one thread each); start-up time and memory with a backlog.
//   broker_bench DIR [BACKLOG]     DIR is emptied. BACKLOG: messages of 1 KiB, default 100000.
// Every answer waits for fdatasync; log_bench measures what the disk alone can do.

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/grpc_binding.h"
#include "net/listener.h"
#include "sys/loop.h"
#include "sys/wait.h"
#include "wire/rocketmq/times.h"

namespace hf::broker {
namespace {

namespace pb = wire::rocketmq::pb;
using wire::rocketmq::CallContext;

constexpr Duration kMeasured = 2s;

/// Of all threads: the log's committer included.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

pb::SendMessageRequest send_request(bool half) {
  pb::SendMessageRequest request;
  pb::Message& message = *request.add_messages();
  message.mutable_topic()->set_name("bench");
  message.set_body(std::string(1024, 'x'));
  message.mutable_system_properties()->set_message_id("01000000000000000000000000000000AB");
  message.mutable_system_properties()->set_message_type(half ? pb::TRANSACTION : pb::NORMAL);
  return request;
}

pb::EndTransactionRequest commit_request(const pb::SendMessageResponse& sent) {
  pb::EndTransactionRequest request;
  request.mutable_topic()->set_name("bench");
  request.set_resolution(pb::COMMIT);
  if (sent.entries_size() == 1) request.set_transaction_id(sent.entries(0).transaction_id());
  return request;
}

/// The two calls, in process or over the wire.
class Calls {
 public:
  virtual ~Calls() = default;
  virtual Task<pb::SendMessageResponse> send(const pb::SendMessageRequest& request) = 0;
  virtual Task<pb::EndTransactionResponse> end(const pb::EndTransactionRequest& request) = 0;
};

class InProcess final : public Calls {
 public:
  explicit InProcess(wire::rocketmq::MessagingService& service) : service_(service) {
    call_.client_id = "bench";
    call_.peer = call_.local = "in-process";
  }
  Task<pb::SendMessageResponse> send(const pb::SendMessageRequest& request) override {
    return service_.send_message(call_, request);
  }
  Task<pb::EndTransactionResponse> end(const pb::EndTransactionRequest& request) override {
    return service_.end_transaction(call_, request);
  }

 private:
  wire::rocketmq::MessagingService& service_;
  CallContext call_;
};

class OverGrpc final : public Calls {
 public:
  OverGrpc(net::GrpcChannel& channel, sys::Clock& clock) : channel_(channel), clock_(clock) {}
  Task<pb::SendMessageResponse> send(const pb::SendMessageRequest& request) override {
    return call<pb::SendMessageResponse>("/apache.rocketmq.v2.MessagingService/SendMessage", request);
  }
  Task<pb::EndTransactionResponse> end(const pb::EndTransactionRequest& request) override {
    return call<pb::EndTransactionResponse>("/apache.rocketmq.v2.MessagingService/EndTransaction", request);
  }

 private:
  template <class Response, class Request>
  Task<Response> call(const char* path, const Request& request) {
    HF_CO_TRY(const std::string bytes, co_await channel_.call(path, {{"x-mq-client-id", "bench"}},
                                                              request.SerializeAsString(), clock_.now() + 10s));
    Response response;
    if (!response.ParseFromString(bytes)) co_return Error{Code::internal, "not a response"};
    co_return response;
  }
  net::GrpcChannel& channel_;
  sys::Clock& clock_;
};

struct Outcome {
  std::uint64_t done = 0, failed = 0;
  std::vector<float> microseconds;
};

asio::awaitable<void> client(Calls& calls, sys::Clock& clock, bool pairs, Monotonic end, Outcome& out) {
  const pb::SendMessageRequest request = send_request(pairs);
  for (Monotonic at = clock.now(); at < end;) {
    auto sent = co_await calls.send(request);
    bool good = sent && sent->status().code() == pb::OK;
    if (pairs && good) {
      const auto ended = co_await calls.end(commit_request(*sent));
      good = ended && ended->status().code() == pb::OK;
    }
    const Monotonic now = clock.now();
    good ? ++out.done : ++out.failed;
    out.microseconds.push_back(std::chrono::duration<float, std::micro>(now - at).count());
    at = now;
  }
}

void measure(const char* name, sys::Loop& loop, Calls& calls, bool pairs, int in_flight) {
  Outcome out;
  sys::TaskGroup tasks(loop.executor(), loop.world().clock);
  const Monotonic start = loop.world().clock.now();
  const double cpu = cpu_seconds();
  for (int i = 0; i < in_flight; ++i) {
    tasks.spawn("bench", client(calls, loop.world().clock, pairs, start + kMeasured, out));
  }
  loop.run_until_done(tasks.join());
  const double seconds = std::chrono::duration<double>(loop.world().clock.now() - start).count();
  const double cpu_us = (cpu_seconds() - cpu) * 1e6 / static_cast<double>(std::max<std::uint64_t>(1, out.done));
  std::sort(out.microseconds.begin(), out.microseconds.end());
  const auto at = [&](double q) {
    return out.microseconds.empty()
               ? 0.0F
               : out.microseconds[static_cast<std::size_t>(q * static_cast<double>(out.microseconds.size() - 1))];
  };
  std::printf("%-12s %-13s %4d in flight  %8.0f /s  p50 %6.0f us  p99 %6.0f us  CPU %5.1f us  failed %lu\n", name,
              pairs ? "half + commit" : "send", in_flight, static_cast<double>(out.done) / seconds,
              static_cast<double>(at(0.5)), static_cast<double>(at(0.99)), cpu_us,
              static_cast<unsigned long>(out.failed));
  std::fflush(stdout);
}

std::unique_ptr<Broker> open(sys::World& world, const std::string& dir) {
  BrokerConfig config;
  config.retention.keep_consumed_bytes = 1ull << 30;
  auto opened = Broker::open(world, config, dir);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().to_string().c_str());
    std::exit(1);
  }
  return std::move(*opened);
}

void measure_in_process(const std::string& dir) {
  std::filesystem::remove_all(dir);
  sys::Loop loop;
  auto broker = open(loop.world(), dir);
  InProcess calls(broker->service());
  for (const bool pairs : {false, true}) {
    for (const int in_flight : {1, 16, 128, 512}) measure("in process", loop, calls, pairs, in_flight);
  }
  (void)loop.run_until_done(broker->stop());
  loop.drain(1s);
}

void measure_over_grpc(const std::string& dir) {
  std::filesystem::remove_all(dir);
  sys::Loop server;
  auto broker = open(server.world(), dir);
  auto grpc = std::make_shared<net::GrpcService>();
  register_messaging_service(*grpc, broker->service(), server.world());
  net::ListenerOptions options;
  options.name = "broker";
  options.grpc = grpc;
  auto listener = net::Listener::start(server.world(), std::move(options));
  if (!listener) std::exit(1);
  std::thread thread([&] { server.run(); });
  {
    sys::Loop loop;
    net::GrpcChannel::Options to;
    to.host = "127.0.0.1";
    to.port = (*listener)->port();
    net::GrpcChannel channel(loop.world(), to);
    OverGrpc calls(channel, loop.world().clock);
    for (const bool pairs : {false, true}) {
      for (const int in_flight : {1, 16, 128, 512}) measure("over gRPC", loop, calls, pairs, in_flight);
    }
    channel.close();
    loop.drain(1s);
  }
  server.stop();
  thread.join();
  server.run_until_done((*listener)->drain(server.world().clock.now() + 1s));
  (void)server.run_until_done(broker->stop());
  server.drain(1s);
}

struct Sink final : StreamWriter<pb::ReceiveMessageResponse> {
  Task<> write(pb::ReceiveMessageResponse frame) override {
    if (frame.has_message()) handles.push_back(frame.message().system_properties().receipt_handle());
    co_return ok();
  }
  std::vector<std::string> handles;
};

asio::awaitable<void> consume(wire::rocketmq::MessagingService& service, std::uint64_t& got) {
  CallContext call;
  call.client_id = "bench-consumer";
  while (true) {
    pb::ReceiveMessageRequest request;
    request.mutable_group()->set_name("group");
    request.mutable_message_queue()->mutable_topic()->set_name("bench");
    request.set_batch_size(32);
    wire::rocketmq::to_proto(30s, *request.mutable_invisible_duration());
    wire::rocketmq::to_proto(5s, *request.mutable_long_polling_timeout());
    Sink sink;
    (void)co_await service.receive_message(call, std::move(request), sink);
    if (sink.handles.empty()) co_return;
    pb::AckMessageRequest ack;
    ack.mutable_group()->set_name("group");
    ack.mutable_topic()->set_name("bench");
    for (std::string& handle : sink.handles) ack.add_entries()->set_receipt_handle(std::move(handle));
    got += sink.handles.size();
    (void)co_await service.ack_message(call, std::move(ack));
  }
}

void measure_backlog(const std::string& dir, std::uint64_t backlog) {
  std::filesystem::remove_all(dir);
  {
    sys::Loop loop;
    auto broker = open(loop.world(), dir);
    std::uint64_t none = 0;
    loop.run_until_done(consume(broker->service(), none));  // the group begins
    std::printf("memory at rest %.1f MiB\n", resident_mib());
    InProcess calls(broker->service());
    std::uint64_t left = backlog;
    const auto fill = [&]() -> asio::awaitable<void> {
      const pb::SendMessageRequest request = send_request(false);
      while (left > 0) {
        --left;
        (void)co_await calls.send(request);
      }
    };
    sys::TaskGroup tasks(loop.executor(), loop.world().clock);
    for (int i = 0; i < 512; ++i) tasks.spawn("fill", fill());
    loop.run_until_done(tasks.join());
    std::printf("memory with %lu messages of backlog, writer %.1f MiB\n", static_cast<unsigned long>(backlog),
                resident_mib());
    (void)loop.run_until_done(broker->stop());
    loop.drain(1s);
  }
  sys::Loop loop;
  const Monotonic before = loop.world().clock.now();
  auto broker = open(loop.world(), dir);
  const double start_ms = std::chrono::duration<double, std::milli>(loop.world().clock.now() - before).count();
  std::printf("start with the backlog %.1f ms\n", start_ms);
  std::uint64_t got = 0;
  const Monotonic begin = loop.world().clock.now();
  sys::TaskGroup tasks(loop.executor(), loop.world().clock);
  for (int i = 0; i < 8; ++i) tasks.spawn("consume", consume(broker->service(), got));
  loop.run_until_done(tasks.join());
  const double seconds = std::chrono::duration<double>(loop.world().clock.now() - begin).count() - 5;  // the last poll
  std::printf("receive + ack of the backlog, 8 consumers, batches of 32: %.0f /s (%lu)\n",
              static_cast<double>(got) / seconds, static_cast<unsigned long>(got));
  (void)loop.run_until_done(broker->stop());
  loop.drain(1s);
}

}  // namespace
}  // namespace hf::broker

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: broker_bench DIR [BACKLOG]\n");
    return 2;
  }
  const std::string dir = std::string(argv[1]) + "/broker_bench";
  hf::log::set_level(hf::log::Level::warn);
  hf::broker::measure_backlog(dir, argc > 2 ? std::stoull(argv[2]) : 100'000);
  hf::broker::measure_in_process(dir);
  hf::broker::measure_over_grpc(dir);
  std::filesystem::remove_all(dir);
}
