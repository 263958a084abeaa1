// gRPC over loopback: our client against our server, one thread each, 1 KiB echo.
//   grpc_bench                  requests/s and latency at 1, 16, 128 and 512 in flight, and over a bidirectional stream
//   grpc_bench serve PORT       the server alone, for h2load; prints its CPU time per request when interrupted

#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <csignal>
#include <cstdio>
#include <future>
#include <string>
#include <thread>

#include "net/grpc.h"
#include "net/listener.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::net {
namespace {

constexpr Duration kMeasured = 2s;

double thread_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// An echo server; everything in it happens on the thread that runs its loop.
struct EchoServer {
  explicit EchoServer(std::uint16_t port) : service(std::make_shared<GrpcService>()), wake(loop.world().clock) {
    service->unary("/bench.Echo/Say", [this](GrpcCallPtr, std::string request) -> Task<std::string> {
      ++served;
      co_return request;
    });
    // As a durable send does it: waits, and a batch of waiters is released at once.
    service->unary("/bench.Echo/Wait", [this](GrpcCallPtr, std::string request) -> Task<std::string> {
      ++served;
      release_later();
      co_await wake.wait();
      co_return request;
    });
    service->stream("/bench.Echo/Chat", [this](GrpcCallPtr, GrpcServerStream& stream) -> asio::awaitable<GrpcStatus> {
      while (true) {
        auto message = co_await stream.read();
        if (!message || !*message) break;
        ++served;
        if (!co_await stream.write(std::move(**message))) break;
      }
      co_return GrpcStatus{};
    });
    ListenerOptions options;
    options.name = "bench";
    options.port = port;
    options.grpc = service;
    auto started = Listener::start(loop.world(), std::move(options));
    if (!started) {
      std::fprintf(stderr, "%s\n", started.error().to_string().c_str());
      std::exit(1);
    }
    listener = std::move(*started);
  }
  void release_later() {
    if (std::exchange(releasing, true)) return;
    timer = loop.world().clock.call_at(loop.executor(), loop.world().clock.now(), [this] {
      releasing = false;
      wake.notify_all();
    });
  }

  sys::Loop loop;
  std::shared_ptr<GrpcService> service;
  std::unique_ptr<Listener> listener;
  sys::Event wake;
  bool releasing = false;
  std::unique_ptr<sys::Timer> timer;
  std::uint64_t served = 0;
};

struct Outcome {
  std::uint64_t done = 0, failed = 0;
  std::vector<double> microseconds;
};

asio::awaitable<void> caller(GrpcChannel& channel, sys::Clock& clock, std::string path, Monotonic end, Outcome& out) {
  const std::string body(1024, 'x');
  for (Monotonic at = clock.now(); at < end;) {
    const auto answer = co_await channel.call(path, {}, body, at + 10s);
    const Monotonic now = clock.now();
    answer ? ++out.done : ++out.failed;
    out.microseconds.push_back(std::chrono::duration<double, std::micro>(now - at).count());
    at = now;
  }
}

asio::awaitable<void> chatter(GrpcChannel& channel, sys::Clock& clock, std::string path, Monotonic end, Outcome& out) {
  const std::string body(1024, 'x');
  auto stream = co_await channel.open_stream(path, {}, Monotonic::max());
  if (!stream) co_return;
  for (Monotonic at = clock.now(); at < end;) {
    (void)co_await (*stream)->write(body);
    const auto answer = co_await (*stream)->read();
    const Monotonic now = clock.now();
    answer && *answer ? ++out.done : ++out.failed;
    out.microseconds.push_back(std::chrono::duration<double, std::micro>(now - at).count());
    at = now;
  }
}

using Client = asio::awaitable<void> (*)(GrpcChannel&, sys::Clock&, std::string, Monotonic, Outcome&);

void measure(const char* name, EchoServer& server, Client client, const std::string& path, int in_flight) {
  sys::Loop loop;
  GrpcChannel::Options options;
  options.host = "127.0.0.1";
  options.port = server.listener->port();
  GrpcChannel channel(loop.world(), options);
  sys::TaskGroup tasks(loop.executor(), loop.world().clock);
  Outcome out;
  std::thread thread;
  std::promise<double> cpu;
  const std::uint64_t before = server.served;
  thread = std::thread([&] {
    const double start = thread_cpu_seconds();
    server.loop.run();
    cpu.set_value(thread_cpu_seconds() - start);
  });
  const double client_start = thread_cpu_seconds();
  const Monotonic start = loop.world().clock.now();
  for (int i = 0; i < in_flight; ++i) {
    tasks.spawn("bench", client(channel, loop.world().clock, path, start + kMeasured, out));
  }
  loop.run_until_done(tasks.join());
  const double client_cpu = thread_cpu_seconds() - client_start;
  const double seconds = std::chrono::duration<double>(loop.world().clock.now() - start).count();
  channel.close();
  loop.drain(1s);
  server.loop.stop();
  thread.join();
  std::sort(out.microseconds.begin(), out.microseconds.end());
  const auto at = [&](double q) {
    return out.microseconds.empty()
               ? 0
               : out.microseconds[static_cast<std::size_t>(q * static_cast<double>(out.microseconds.size() - 1))];
  };
  const auto served = static_cast<double>(server.served - before);
  std::printf(
      "%-24s %5d in flight  %8.0f /s  p50 %6.0f us  p99 %6.0f us  server CPU %5.2f us  client CPU %5.2f us  failed "
      "%lu\n",
      name, in_flight, static_cast<double>(out.done) / seconds, at(0.5), at(0.99),
      cpu.get_future().get() / served * 1e6, client_cpu / served * 1e6, static_cast<unsigned long>(out.failed));
}

void measure_all() {
  EchoServer server(0);
  for (const int in_flight : {1, 16, 128, 512}) measure("unary", server, caller, "/bench.Echo/Say", in_flight);
  for (const int in_flight : {128, 512}) measure("unary, handler waits", server, caller, "/bench.Echo/Wait", in_flight);
  for (const int streams : {1, 16}) measure("bidirectional stream", server, chatter, "/bench.Echo/Chat", streams);
}

void serve(std::uint16_t port) {
  static EchoServer* serving = nullptr;
  EchoServer server(port);
  serving = &server;
  std::signal(SIGINT, [](int) { serving->loop.stop(); });
  server.loop.run();
  std::printf("%lu requests, %.2f us of CPU each\n", static_cast<unsigned long>(server.served),
              thread_cpu_seconds() / static_cast<double>(server.served) * 1e6);
}

}  // namespace
}  // namespace hf::net

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "serve") {
    hf::net::serve(static_cast<std::uint16_t>(std::atoi(argv[2])));
  } else {
    hf::net::measure_all();
  }
}
