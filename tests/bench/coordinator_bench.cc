/// The coordinator's figures (checks 47 and 48 of two-phase commit): decisions per second that are durable when they
/// are told, and the time from the commit call to its answer with two participants over loopback HTTP.
///
///   coordinator_bench [database URL]      default: SQLite in a temporary folder

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/log.h"
#include "coordinator/coordinator.h"
#include "net/listener.h"
#include "sys/loop.h"
#include "sys/wait.h"
#include "wire/two_phase/messages.h"

namespace hf {
namespace {

namespace wire = hf::wire::two_phase;

/// Says yes to everything, at once: what is measured is the coordinator.
asio::awaitable<net::HttpResponse> agree(net::HttpRequest request) {
  const bool prepare = request.path().ends_with("/prepare");
  co_return net::HttpResponse::json(200, wire::encode(wire::Message{prepare ? "prepared" : "committed", {}}));
}

double ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

void print_latencies(std::vector<Duration>& all) {
  std::ranges::sort(all);
  const auto at = [&](double share) {
    return ms(all[std::min(all.size() - 1, static_cast<std::size_t>(share * static_cast<double>(all.size())))]);
  };
  fmt::print("    commit call: p50 {:.2f} ms  p90 {:.2f}  p99 {:.2f}  max {:.2f}\n", at(0.5), at(0.9), at(0.99),
             ms(all.back()));
}

class Bench {
 public:
  Bench(sys::Loop& loop, std::string url, std::string dir) : loop_(loop), world_(loop.world()), client_(world_, {}) {
    auto opened = sql::open(world_, url, dir);
    if (!opened) {
      fmt::print("{}\n", opened.error().to_string());
      std::exit(2);
    }
    db_ = std::move(*opened);
    for (auto& listener : participants_) listener = listen(agree);
    front_ = listen([this](net::HttpRequest request) { return coordinator_->http()(std::move(request)); });
    coordinator::CoordinatorConfig config;
    config.base_url = at(*front_);
    coordinator::SendHttp send = [this](net::HttpRequest request, std::string to,
                                        Monotonic deadline) -> Task<net::HttpResponse> {
      if (to.starts_with("http://nowhere")) {
        request.target = to;
        co_return co_await agree(std::move(request));
      }
      co_return co_await client_.send(std::move(request), std::move(to), deadline);
    };
    coordinator_ = std::make_unique<coordinator::Coordinator>(world_, config, *db_, std::move(send));
    const Result<void> started = loop_.run_until_done(coordinator_->start());
    HF_ASSERT(started.has_value());
  }
  ~Bench() {
    loop_.run_until_done(coordinator_->stop());
    loop_.run_until_done(db_->close());
  }

  /// `workers` transactions at a time, participants in this process: the decision log's rate.
  void decisions(std::size_t workers, Duration length) {
    samples_.clear();
    const Monotonic begun = world_.clock.now();
    sys::TaskGroup tasks(world_.executor, world_.clock);
    for (std::size_t i = 0; i < workers; ++i) tasks.spawn("worker", work(begun + length));
    loop_.run_until_done(tasks.join());
    const double seconds = std::chrono::duration<double>(world_.clock.now() - begun).count();
    fmt::print("decisions, {} at a time, 2 participants in process: {:.0f}/s\n", workers,
               static_cast<double>(samples_.size()) / seconds);
    print_latencies(samples_);
  }

  /// `rate` transactions a second begin, whatever the earlier ones do; all calls over loopback HTTP.
  void paced(int rate, Duration length) {
    samples_.clear();
    sys::TaskGroup tasks(world_.executor, world_.clock);
    loop_.run_until_done(pace(tasks, rate, length));
    fmt::print("{} transactions/s over loopback HTTP, 2 participants:\n", rate);
    print_latencies(samples_);
  }

 private:
  std::unique_ptr<net::Listener> listen(net::HttpHandler handler) {
    net::ListenerOptions options;
    options.name = "bench";
    options.http = std::move(handler);
    options.http_limits.connections = 10'000;
    auto listener = net::Listener::start(world_, std::move(options));
    HF_ASSERT(listener.has_value());
    return std::move(*listener);
  }
  static std::string at(const net::Listener& listener) { return fmt::format("http://127.0.0.1:{}", listener.port()); }

  asio::awaitable<void> work(Monotonic until) {
    const net::HttpHandler direct = coordinator_->http();
    while (world_.clock.now() < until) {
      co_await transaction(
          [&](net::HttpRequest request, std::string target) -> Task<net::HttpResponse> {
            request.target = std::move(target);
            co_return co_await direct(std::move(request));
          },
          {"http://nowhere:1", "http://nowhere:2"});
    }
  }
  asio::awaitable<void> pace(sys::TaskGroup& tasks, int rate, Duration length) {
    const Monotonic begun = world_.clock.now();
    const Duration step = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1.0 / rate));
    for (Monotonic next = begun; next < begun + length; next += step) {
      if (next > world_.clock.now()) co_await world_.clock.sleep_until(next);
      tasks.spawn("transaction", over_http());
    }
    co_await tasks.join();
  }
  asio::awaitable<void> over_http() {
    co_await transaction(
        [this](net::HttpRequest request, std::string target) -> Task<net::HttpResponse> {
          std::string url = at(*front_) + target;
          co_return co_await client_.send(std::move(request), std::move(url), world_.clock.now() + 30s);
        },
        {at(*participants_[0]), at(*participants_[1])});
  }

  using Send = std::function<Task<net::HttpResponse>(net::HttpRequest request, std::string target)>;
  asio::awaitable<void> transaction(Send send, std::vector<std::string> participants) {
    const auto post = [&](std::string target, std::string body) -> Task<net::HttpResponse> {
      net::HttpRequest request;
      request.method = "POST";
      request.body = std::move(body);
      co_return co_await send(std::move(request), std::move(target));
    };
    const auto begun = co_await post("/2pc/v1/tx", "{}");
    if (!begun || begun->status != 201) co_return;
    const auto parsed = wire::parse_begun(begun->body);
    HF_ASSERT(parsed.has_value());
    const std::string gtrid = parsed->gtrid;
    for (std::size_t i = 0; i < participants.size(); ++i) {
      wire::RegisterRequest request{gtrid, fmt::format("participant-{}", i), {}};
      request.protocols.push_back({wire::Protocol::durable, wire::participant_url(participants[i], gtrid)});
      std::string body = wire::encode(request);
      const auto enrolled = co_await post("/balcoordinator/initiator/" + gtrid + "/register", std::move(body));
      if (!enrolled || enrolled->status != 200) co_return;
    }
    const Monotonic asked = world_.clock.now();
    const auto ended = co_await post("/2pc/v1/tx/" + gtrid + "/commit", "{}");
    if (!ended || ended->status != 200) co_return;
    samples_.push_back(world_.clock.now() - asked);
  }

  sys::Loop& loop_;
  sys::World& world_;
  net::HttpClient client_;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<net::Listener> participants_[2], front_;
  std::unique_ptr<coordinator::Coordinator> coordinator_;
  std::vector<Duration> samples_;
};

int run(int argc, char** argv) {
  log::set_level(log::Level::error);
  char dir[] = "/tmp/hf_coordinator_bench_XXXXXX";
  HF_ASSERT(::mkdtemp(dir) != nullptr);
  const std::string url = argc > 1 ? argv[1] : "sqlite:coordinator.db";
  {
    sys::Loop loop;
    Bench bench(loop, url, dir);
    fmt::print("database: {}\n", url);
    for (const std::size_t workers : {1U, 8U, 64U, 256U}) bench.decisions(workers, 3s);
    for (const int rate : {100, 500, 1000}) bench.paced(rate, 4s);
  }
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace hf

int main(int argc, char** argv) { return hf::run(argc, argv); }
