/// Orders per second through the shop's handler, with broker, message client and database in one process: half message,
/// local transaction and decision, each durable, before the answer. No HTTP parsing: that is measured in net.
///
/// usage: shop_bench [folder] [seconds per line]

#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>

#include "base/log.h"
#include "broker/broker.h"
#include "mq/client.h"
#include "shop/shop.h"
#include "sys/loop.h"

namespace hf {
namespace {

double us(Duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

/// Processor time of all threads: what an order costs, however busy the machine is.
double cpu_us() {
  rusage usage{};
  HF_ASSERT(::getrusage(RUSAGE_SELF, &usage) == 0);
  const auto us_of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us_of(usage.ru_utime) + us_of(usage.ru_stime);
}

struct Run {
  sys::World& world;
  net::HttpHandler handler;
  Monotonic end;
  std::uint64_t next_key = 0;
  std::vector<Duration> latencies;
};

asio::awaitable<void> buyer(Run& run) {
  while (run.world.clock.now() < run.end) {
    net::HttpRequest request;
    request.method = "POST";
    request.target = "/orders";
    request.headers.add("Idempotency-Key", fmt::format("key-{}", ++run.next_key));
    request.body = R"({"buyer":"b1","item":1,"quantity":1,"channel":"sms","phone":"+15551234567"})";
    const Monotonic start = run.world.clock.now();
    const net::HttpResponse response = co_await run.handler(std::move(request));
    HF_ASSERT(response.status == 201);
    run.latencies.push_back(run.world.clock.now() - start);
  }
}

Result<void> measure(const std::string& dir, int in_flight, Duration span) {
  sys::Loop loop;
  shop::ShopConfig shop_config;
  shop_config.items = {"1;Kettle;7900;1000000000"};
  broker::BrokerConfig broker_config;
  broker_config.topics = {{shop_config.topic, broker::TopicType::transaction}};
  HF_TRY(const auto broker, broker::Broker::open(loop.world(), broker_config, dir + "/broker"));
  HF_TRY(const auto client, mq::Client::make(loop.world(), {}, &broker->service()));
  HF_TRY(const auto db, sql::open(loop.world(), "sqlite:shop.db", dir));
  shop::Shop shop(loop.world(), shop_config, *db, *client);
  HF_TRY(loop.run_until_done(shop.start()));

  Run run{loop.world(), shop.handler(), loop.world().clock.now() + span, 0, {}};
  int left = in_flight;
  const double cpu_before = cpu_us();
  const Monotonic start = loop.world().clock.now();
  auto one = [&]() -> asio::awaitable<void> {
    co_await buyer(run);
    if (--left == 0) loop.stop();
  };
  for (int i = 0; i < in_flight; ++i) asio::co_spawn(loop.executor(), one(), asio::detached);
  loop.run();
  const double seconds = std::chrono::duration<double>(loop.world().clock.now() - start).count();
  const double cpu = cpu_us() - cpu_before;
  loop.run_until_done(shop.close());
  loop.run_until_done(db->close());
  HF_TRY(loop.run_until_done(broker->stop()));

  std::sort(run.latencies.begin(), run.latencies.end());
  fmt::print("{:<28} {:>9.0f}/s  p50 {:>6.0f} us  p99 {:>6.0f} us  cpu {:>4.0f} us an order\n",
             fmt::format("orders, {} in flight", in_flight), static_cast<double>(run.latencies.size()) / seconds,
             us(run.latencies[run.latencies.size() / 2]), us(run.latencies[run.latencies.size() * 99 / 100]),
             cpu / static_cast<double>(run.latencies.size()));
  return ok();
}

}  // namespace
}  // namespace hf

int main(int argc, char** argv) {
  hf::log::set_level(hf::log::Level::warn);
  const std::string base = argc > 1 ? argv[1] : "/tmp";
  const double seconds = argc > 2 ? std::stod(argv[2]) : 2;
  const auto span = std::chrono::duration_cast<hf::Duration>(std::chrono::duration<double>(seconds));
  for (const int in_flight : {1, 16, 128}) {
    const std::string dir = base + "/hf_shop_bench";
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    const hf::Result<void> done = hf::measure(dir, in_flight, span);
    std::filesystem::remove_all(dir);
    if (done) continue;
    fmt::print(stderr, "{}\n", done.error().to_string());
    return 1;
  }
  return 0;
}
