// The message client against our broker on a real disk: sends, transactions (half message, executor, commit), and what
// a push consumer takes and acknowledges; in one process, and over loopback gRPC (broker and client on one thread
// each).
//   mq_bench DIR     DIR is emptied.
// Every send and decision waits for fdatasync; broker_bench measures the same calls without a client around them.

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/grpc_binding.h"
#include "mq/client.h"
#include "net/listener.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::mq {
namespace {

constexpr Duration kMeasured = 2s;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

struct Outcome {
  std::uint64_t done = 0, failed = 0;
  std::vector<float> microseconds;
};

Message message() { return {.topic = "bench", .body = std::string(1024, 'x')}; }

asio::awaitable<void> keep_sending(Producer& producer, sys::Clock& clock, Monotonic end, Outcome& out) {
  for (Monotonic at = clock.now(); at < end;) {
    const auto sent = co_await producer.send(message());
    ++(sent ? out.done : out.failed);
    const Monotonic now = clock.now();
    out.microseconds.push_back(std::chrono::duration<float, std::micro>(now - at).count());
    at = now;
  }
}

asio::awaitable<void> keep_transacting(TransactionProducer& producer, sys::Clock& clock, Monotonic end, Outcome& out) {
  const LocalExecutor executor = [](const HalfMessage&, const std::any&) -> Task<Resolution> {
    co_return Resolution::commit;
  };
  for (Monotonic at = clock.now(); at < end;) {
    const auto outcome = co_await producer.send_message_in_transaction(message(), executor, {});
    ++(outcome && outcome->decided == Decided::taken ? out.done : out.failed);
    const Monotonic now = clock.now();
    out.microseconds.push_back(std::chrono::duration<float, std::micro>(now - at).count());
    at = now;
  }
}

void print(const char* way, const char* what, int in_flight, Outcome out, double seconds, double cpu) {
  std::sort(out.microseconds.begin(), out.microseconds.end());
  const auto at = [&](double q) {
    if (out.microseconds.empty()) return 0.0;
    return static_cast<double>(
        out.microseconds[static_cast<std::size_t>(q * static_cast<double>(out.microseconds.size() - 1))]);
  };
  const double done = static_cast<double>(std::max<std::uint64_t>(1, out.done));
  std::printf("%-12s %-13s %4d in flight  %8.0f /s  p50 %6.0f us  p99 %6.0f us  CPU %5.1f us  failed %lu\n", way, what,
              in_flight, done / seconds, at(0.5), at(0.99), cpu * 1e6 / done, static_cast<unsigned long>(out.failed));
  std::fflush(stdout);
}

/// `worker`: one of those in flight, until its time is over.
template <class Worker>
void measure(const char* way, const char* what, sys::Loop& loop, int in_flight, Worker worker) {
  Outcome out;
  sys::Clock& clock = loop.world().clock;
  sys::TaskGroup tasks(loop.executor(), clock);
  const Monotonic start = clock.now();
  const double cpu = cpu_seconds();
  for (int i = 0; i < in_flight; ++i) tasks.spawn("bench", worker(clock, start + kMeasured, out));
  loop.run_until_done(tasks.join());
  const double seconds = std::chrono::duration<double>(clock.now() - start).count();
  print(way, what, in_flight, std::move(out), seconds, cpu_seconds() - cpu);
}

/// What was sent before is consumed, with a listener that does nothing.
void measure_push(const char* way, sys::Loop& loop, Client& client) {
  Outcome out;
  const Listener listener = [&out](const ReceivedMessage&) -> Task<> {
    ++out.done;
    co_return ok();
  };
  ConsumerConfig config{.group = "bench", .subscriptions = {{.topic = "bench"}}};
  config.concurrency = 128;
  auto consumer = client.push_consumer(config, listener);
  must(loop.run_until_done(consumer->start(10s)));
  const double cpu = cpu_seconds();
  loop.run_until_done(loop.world().clock.sleep_for(kMeasured));
  print(way, "receive + ack", 128, out, std::chrono::duration<double>(kMeasured).count(), cpu_seconds() - cpu);
  loop.run_until_done(consumer->close());
}

void measure_all(const char* way, sys::Loop& loop, Client& client) {
  // The group begins before the first message.
  auto group = client.simple_consumer({.group = "bench", .subscriptions = {{.topic = "bench"}}, .polling = 5s});
  must(loop.run_until_done(group->start(10s)));
  auto producer = client.producer({.topics = {"bench"}});
  must(loop.run_until_done(producer->start(10s)));
  for (const int in_flight : {1, 16, 128, 512}) {
    measure(way, "send", loop, in_flight,
            [&](sys::Clock& clock, Monotonic end, Outcome& out) { return keep_sending(*producer, clock, end, out); });
  }
  measure_push(way, loop, client);
  const Checker checker = [](const HalfMessage&) -> Task<Resolution> { co_return Resolution::unknown; };
  auto transactions = client.transaction_producer({.topics = {"bench"}}, checker);
  must(loop.run_until_done(transactions->start(10s)));
  for (const int in_flight : {1, 16, 128, 512}) {
    measure(way, "transaction", loop, in_flight, [&](sys::Clock& clock, Monotonic end, Outcome& out) {
      return keep_transacting(*transactions, clock, end, out);
    });
  }
  loop.run_until_done(group->close());
  loop.run_until_done(producer->close());
  loop.run_until_done(transactions->close());
}

void measure_in_process(const std::string& dir) {
  std::filesystem::remove_all(dir);
  sys::Loop loop;
  auto broker = must(broker::Broker::open(loop.world(), {}, dir));
  auto client = must(Client::make(loop.world(), {}, &broker->service()));
  measure_all("in process", loop, *client);
  client.reset();
  must(loop.run_until_done(broker->stop()));
  loop.drain(1s);
}

void measure_over_grpc(const std::string& dir) {
  std::filesystem::remove_all(dir);
  sys::Loop server;
  auto broker = must(broker::Broker::open(server.world(), {}, dir));
  auto grpc = std::make_shared<net::GrpcService>();
  broker::register_messaging_service(*grpc, broker->service(), server.world());
  net::ListenerOptions options;
  options.name = "broker";
  options.grpc = grpc;
  auto listener = must(net::Listener::start(server.world(), std::move(options)));
  std::thread thread([&] { server.run(); });
  {
    sys::Loop loop;
    ClientConfig config;
    config.url = "rocketmq://127.0.0.1:" + std::to_string(listener->port());
    auto client = must(Client::make(loop.world(), config));
    measure_all("over gRPC", loop, *client);
    client.reset();
    loop.drain(1s);
  }
  server.stop();
  thread.join();
  server.run_until_done(listener->drain(server.world().clock.now() + 1s));
  must(server.run_until_done(broker->stop()));
  server.drain(1s);
}

}  // namespace
}  // namespace hf::mq

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: mq_bench DIR\n");
    return 2;
  }
  const std::string dir = std::string(argv[1]) + "/mq_bench";
  hf::log::set_level(hf::log::Level::error);
  hf::mq::measure_in_process(dir);
  hf::mq::measure_over_grpc(dir);
  std::filesystem::remove_all(dir);
}
