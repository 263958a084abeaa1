// Our HTTP client against our HTTP server, one thread each, over loopback.
//   http_bench [--seconds S]
// Closed loop: N requests in flight, each a 170-byte POST with a 90-byte answer (stack.md §5). Where generator and
// server share few cores, CPU per request is the better figure to compare.

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "net/listener.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf {
namespace {

using net::HttpRequest;
using net::HttpResponse;

double thread_cpu_us() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

asio::awaitable<HttpResponse> answer(HttpRequest) { co_return HttpResponse::json(200, std::string(90, 'a')); }

/// A server on its own thread until destroyed; its CPU time.
class Server {
 public:
  Server() : thread_([this] { run(); }) { port = port_known_.get_future().get(); }
  double stop() {
    loop_.stop();
    thread_.join();
    return cpu_us_;
  }
  std::uint16_t port = 0;

 private:
  void run() {
    net::ListenerOptions options;
    options.name = "bench";
    options.http = answer;
    options.tls.emplace();
    const auto listener = std::move(*net::Listener::start(loop_.world(), std::move(options)));
    const double before = thread_cpu_us();
    port_known_.set_value(listener->port());
    loop_.run();
    cpu_us_ = thread_cpu_us() - before;
  }

  sys::Loop loop_;
  std::promise<std::uint16_t> port_known_;
  double cpu_us_ = 0;
  std::thread thread_;
};

void measure(const std::string& scheme, int in_flight, double seconds) {
  Server server;
  const std::string url = fmt::format("{}://127.0.0.1:{}/orders", scheme, server.port);
  sys::Loop loop;
  sys::Clock& clock = loop.world().clock;
  net::HttpClient::Options options;
  options.tls.verify = false;
  net::HttpClient client(loop.world(), options);
  std::vector<double> latency;
  std::size_t failed = 0;
  const Monotonic end = clock.now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  const auto one = [&]() -> asio::awaitable<void> {
    while (clock.now() < end) {
      HttpRequest request;
      request.method = "POST";
      request.headers.add("Content-Type", "application/json");
      request.body.assign(170, 'q');
      const Monotonic since = clock.now();
      const Result<HttpResponse> response = co_await client.send(std::move(request), url, since + 5s);
      if (!response || response->status != 200) ++failed;
      latency.push_back(std::chrono::duration<double, std::micro>(clock.now() - since).count());
    }
  };
  const auto all = [&]() -> asio::awaitable<void> {
    sys::TaskGroup tasks(loop.executor(), clock);
    for (int i = 0; i < in_flight; ++i) tasks.spawn("one", one());
    co_await tasks.join();
  };
  const double before = thread_cpu_us();
  loop.run_until_done(all());
  const double client_us = thread_cpu_us() - before, server_us = server.stop();
  const auto n = static_cast<double>(latency.size());
  std::ranges::sort(latency);
  const auto at = [&](double p) { return latency[static_cast<std::size_t>(p * (n - 1))]; };
  fmt::print("{:<6} {:>9} {:>11.0f} {:>9.0f} {:>9.0f} {:>13.2f} {:>13.2f} {:>7}\n", scheme, in_flight, n / seconds,
             at(0.5), at(0.99), server_us / n, client_us / n, failed);
}

}  // namespace
}  // namespace hf

int main(int argc, char** argv) {
  hf::log::set_level(hf::log::Level::warn);
  double seconds = 2;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--seconds") seconds = std::atof(argv[i + 1]);
  }
  fmt::print("{:<6} {:>9} {:>11} {:>9} {:>9} {:>13} {:>13} {:>7}\n", "HTTP", "in flight", "requests/s", "p50 µs",
             "p99 µs", "server CPU µs", "client CPU µs", "failed");
  for (const char* scheme : {"http", "https"}) {
    for (const int in_flight : {1, 16, 64}) hf::measure(scheme, in_flight, seconds);
  }
}
