#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <sstream>

#include "net/http.h"
#include "server.h"
#include "suites.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::bench {
namespace {

namespace json = boost::json;

constexpr int kClients = 32, kCards = 32, kWarmUp = 20, kAlone = 40;
constexpr Duration kPatience = 30s, kLook = 2ms, kRepeatAfter = 20ms;
constexpr double kPatienceMs = 30'000;
/// One order in so many is watched until its final state: more would measure the watching.
constexpr std::uint64_t kWatched = 16;

/// One way to run the shop.
struct Mode {
  const char* name;   ///< of --shop
  const char* store;  ///< of --store
  const char* roles;
  const char* kind = "";  ///< of branches, where there is a choice
};
constexpr Mode kModes[] = {
    {"message", "sqlite", "broker,shop,console"},
    {"outbox", "sqlite", "broker,shop,inventory,console"},
    {"2pc", "sqlite", "broker,coordinator,shop,payment,inventory,console"},
    {"message", "mariadb", "broker,shop,console"},
    {"outbox", "mariadb", "broker,shop,inventory,console"},
    {"2pc", "mariadb", "broker,coordinator,shop,payment,inventory,console", "XA"},
    {"2pc", "mariadb", "broker,coordinator,shop,payment,inventory,console", "reservations"},
};

/// Stock and money that no run uses up: one hot item, a card for each buyer.
std::string plenty() {
  std::string cards;
  for (int i = 0; i < kCards; ++i) cards += fmt::format("{}\"card{};2000000000\"", i == 0 ? "" : ", ", i);
  return "[shop]\nitems = [\"1;Kettle;20;1000000000\"]\n[inventory]\nstock = "
         "[\"1;1000000000;20\"]\n[payment]\naccounts = [" +
         cards + "]\n";
}

/// Places orders in the shape that the mode's shop takes, and watches some until they are final.
class Buyers {
 public:
  Buyers(sys::World world, const Mode& mode, std::string shop)
      : world_(world), two_phase_(std::string_view(mode.name) == "2pc"), shop_(std::move(shop)), http_(world, {}) {}

  /// Until it is taken: a 503 says that nothing was ordered, and is repeated like buyers do.
  asio::awaitable<void> order(int client, bool watched) {
    const std::uint64_t number = next_++;
    const Monotonic begin = world_.clock.now();
    Result<net::HttpResponse> answer = co_await ask(client, number);
    for (; answer && answer->status == 503 && ms_since(begin) < kPatienceMs; answer = co_await ask(client, number)) {
      ++refused;
      co_await world_.clock.sleep_for(kRepeatAfter);
    }
    answered_ms.push_back(ms_since(begin));
    if (!answer || (answer->status != 200 && answer->status != 201 && answer->status != 202)) {
      ++failed;
      why = answer ? fmt::format("{} {}", answer->status, answer->body) : answer.error().to_string();
      co_return;
    }
    if (watched) co_await watch(id_in(*answer), begin);
  }
  asio::awaitable<void> order_until(int client, Monotonic end) {
    for (std::uint64_t n = 0; world_.clock.now() < end; ++n) co_await order(client, n % kWatched == kWatched - 1);
    co_await order(client, true);  // the last one ends when all that came before it are at least answered
  }
  std::uint64_t placed() const { return next_; }

  std::vector<double> answered_ms{}, final_ms{};
  std::uint64_t failed = 0, refused = 0;
  std::string why{};

 private:
  Task<net::HttpResponse> ask(int client, std::uint64_t number) {
    net::HttpRequest request = request_of(client, number);
    co_return co_await http_.send(std::move(request), shop_ + (two_phase_ ? "/placeOrder" : "/orders"),
                                  world_.clock.now() + kPatience);
  }
  double ms_since(Monotonic begin) const {
    return std::chrono::duration<double, std::milli>(world_.clock.now() - begin).count();
  }
  net::HttpRequest request_of(int client, std::uint64_t n) const {
    net::HttpRequest request;
    request.method = "POST";
    request.headers.add("Content-Type", "application/json");
    request.body = two_phase_
                       ? fmt::format(R"({{"cardNo":"card{}","itemId":1,"qty":1,"phone":"+1415{:07}"}})",
                                     client % kCards, n % 9'999'999)
                       : fmt::format(R"({{"buyer":"b{}","item":1,"quantity":1,"channel":"sms","phone":"+1415{:07}"}})",
                                     n % 1000, n % 9'999'999);
    return request;
  }
  std::string id_in(const net::HttpResponse& answer) const {
    if (two_phase_) return std::string(answer.headers.get("x-holdfast-order-id").value_or(""));
    boost::system::error_code error;
    const json::value body = json::parse(answer.body, error);
    if (error || !body.is_object() || !body.as_object().contains("order_id")) return "";
    return std::string(body.at("order_id").as_string());
  }
  asio::awaitable<void> watch(std::string id, Monotonic begin) {
    while (ms_since(begin) < kPatienceMs) {
      net::HttpRequest request;
      request.method = "GET";
      const auto answer =
          co_await http_.send(std::move(request), shop_ + "/orders/" + id, world_.clock.now() + kPatience);
      if (answer && answer->status == 200 && answer->body.find("\"processing\"") == std::string::npos) {
        final_ms.push_back(ms_since(begin));
        co_return;
      }
      co_await world_.clock.sleep_for(kLook);
    }
    ++failed;
    why = "order '" + id + "' was not final after 30 s";
  }

  sys::World world_;
  const bool two_phase_;
  const std::string shop_;
  net::HttpClient http_;
  std::uint64_t next_ = 0;
};

Result<void> check(const Buyers& buyers) {
  if (buyers.failed == 0) return ok();
  return Error{Code::internal, fmt::format("{} orders failed, the last one: {}", buyers.failed, buyers.why)};
}

/// Durable steps so far: syncs of the log, commits of every database, XA prepares and commits. One flush each; two of a
/// MariaDB server with its binary log and sync_binlog=1.
Task<double> flushes(sys::World world, net::HttpClient& http, std::string console) {
  net::HttpRequest request;
  request.method = "GET";
  HF_CO_TRY(const net::HttpResponse answer,
            co_await http.send(std::move(request), console + "/metrics", world.clock.now() + kPatience));
  double sum = 0;
  std::istringstream lines(answer.body);
  for (std::string line; std::getline(lines, line);) {
    const bool log = line.starts_with("holdfast_log_syncs_total");
    const bool sql =
        line.starts_with("holdfast_sql_commits_total") && line.find("outcome=\"done\"") != std::string::npos;
    const bool xa =
        line.starts_with("holdfast_sql_xa_total") &&
        (line.find("outcome=\"prepared\"") != std::string::npos || line.find("outcome=\"done\"") != std::string::npos);
    if (log || sql || xa) sum += std::stod(line.substr(line.rfind(' ')));
  }
  co_return sum;
}

Result<void> measure_mode(const Mode& mode, const Plan& plan, const Limits& limits, Report& report) {
  const std::string kind = mode.kind,
                    label = fmt::format("{}, {}{}{}", mode.name, mode.store, kind.empty() ? "" : " ", kind);
  Server::Setup setup{.binary = plan.binary,
                      .folder = fmt::format("{}/{}-{}{}", plan.folder, mode.name, mode.store, kind),
                      .roles = mode.roles,
                      .config = plenty(),
                      .more = {"--shop", mode.name, "--store", mode.store}};
  if (kind == "reservations") setup.more.insert(setup.more.end(), {"--set", "two_phase.xa=false"});
  HF_TRY(Server server, Server::start(setup));
  sys::Loop loop;
  sys::World& world = loop.world();
  net::HttpClient http(world, {});
  const auto flushed = [&] { return loop.run_until_done(flushes(world, http, server.url("console"))); };

  Buyers alone(world, mode, server.url("shop"));
  for (int i = 0; i < kWarmUp; ++i) loop.run_until_done(alone.order(0, true));
  HF_TRY(const double before_alone, flushed());
  for (int i = 0; i < kAlone; ++i) loop.run_until_done(alone.order(0, true));
  HF_TRY(const double after_alone, flushed());
  HF_TRY(check(alone));

  Buyers crowd(world, mode, server.url("shop"));
  sys::TaskGroup tasks(loop.executor(), world.clock);
  const auto span = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(2 * plan.seconds));
  const Monotonic begin = world.clock.now();
  for (int i = 0; i < kClients; ++i) tasks.spawn("buyer", crowd.order_until(i, begin + span));
  loop.run_until_done(tasks.join());
  const double seconds = std::chrono::duration<double>(world.clock.now() - begin).count();
  HF_TRY(const double after_crowd, flushed());
  HF_TRY(check(crowd));

  const auto orders = static_cast<double>(crowd.placed());
  report.add(
      {label + ": orders, 32 clients", "orders/s", Better::higher, orders / seconds, limits.rate(kClients, 2, 1)});
  report.add(
      {label + ": refused and repeated, per order", "", Better::lower, static_cast<double>(crowd.refused) / orders});
  report.add({label + ": answered, 32 clients, p50", "ms", Better::lower, median(crowd.answered_ms)});
  report.add({label + ": answered, 32 clients, p99", "ms", Better::lower, quantile(crowd.answered_ms, 0.99)});
  report.add({label + ": final, 32 clients, p50", "ms", Better::lower, median(crowd.final_ms)});
  report.add({label + ": final, 32 clients, p99", "ms", Better::lower, quantile(crowd.final_ms, 0.99)});
  report.add({label + ": answered, one at a time, p50", "ms", Better::lower, median(alone.answered_ms)});
  report.add({label + ": final, one at a time, p50", "ms", Better::lower, median(alone.final_ms)});
  report.add(
      {label + ": durable steps per order, one at a time", "", Better::lower, (after_alone - before_alone) / kAlone});
  report.add(
      {label + ": durable steps per order, 32 clients", "", Better::lower, (after_crowd - after_alone) / orders});
  HF_TRY(server.stop());
  loop.drain(1s);
  std::filesystem::remove_all(setup.folder);
  return ok();
}

}  // namespace

Result<void> measure_modes(const Plan& plan, const Limits& limits, Report& report) {
  for (const Mode& mode : kModes) {
    if (Result<void> done = measure_mode(mode, plan, limits, report); !done) {
      return done.error().with_context(fmt::format("{} on {}", mode.name, mode.store));
    }
  }
  return ok();
}

}  // namespace hf::bench
