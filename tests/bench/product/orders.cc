#include <fmt/format.h>

#include <filesystem>
#include <unordered_map>

#include "net/http.h"
#include "server.h"
#include "sql/database.h"
#include "suites.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::bench {
namespace {

constexpr int kBuyers = 64, kWarmUp = 50;
constexpr Duration kPatience = 30s, kSettle = 120s;
/// Durable steps in sequence. Order: half message, order with marker and stock. Phone, besides: decision, event with
/// its delivery, ledger row.
constexpr int kOrderSyncs = 2, kPhoneSyncs = 5;
constexpr const char* kStock = "[shop]\nitems = [\"1;Kettle;7900;1000000000\"]\n";

/// Who orders: every order has a phone number of its own, by which it is found again at the phone.
class Buyers {
 public:
  Buyers(sys::World world, std::string shop) : world_(world), url_(std::move(shop) + "/orders"), http_(world, {}) {}

  asio::awaitable<void> order() {
    const std::uint64_t id = next_++;
    net::HttpRequest request;
    request.method = "POST";
    request.headers.add("Content-Type", "application/json");
    request.headers.add("Idempotency-Key", fmt::format("bench-{}", id));
    request.body = fmt::format(R"({{"buyer":"b{}","item":1,"quantity":1,"channel":"sms","phone":"+1415{:07}"}})",
                               id % 1000, 1'000'000 + id);
    const Monotonic begin = world_.clock.now();
    const auto answer = co_await http_.send(std::move(request), url_, begin + kPatience);
    us.push_back(std::chrono::duration<double, std::micro>(world_.clock.now() - begin).count());
    if (!answer || answer->status != 201) {
      ++failed;
      why = answer ? fmt::format("{} {}", answer->status, answer->body) : answer.error().to_string();
    }
  }
  asio::awaitable<void> order_until(Monotonic end) {
    while (world_.clock.now() < end) co_await order();
  }
  std::uint64_t placed() const { return next_; }

  std::vector<double> us{};  ///< of each answer
  std::uint64_t failed = 0;
  std::string why{};

 private:
  sys::World world_;
  const std::string url_;
  net::HttpClient http_;
  std::uint64_t next_ = 0;
};

Task<sql::Rows> read_all(sys::World& world, const std::string& folder, const std::string& file, std::string query) {
  HF_CO_TRY(const auto database, sql::open(world, "sqlite:" + file + "?mode=ro", folder));
  std::function<Result<sql::Rows>(sql::Reader&)> work = [query](sql::Reader& reader) { return reader.query(query); };
  Result<sql::Rows> rows = co_await database->read<sql::Rows>(std::move(work));
  co_await database->close();
  co_return rows;
}

/// Until the phone has as many messages as orders were placed.
Task<> settle(sys::World& world, const std::string& data, std::uint64_t orders) {
  const Monotonic limit = world.clock.now() + kSettle;
  while (world.clock.now() < limit) {
    HF_CO_TRY(const sql::Rows rows, co_await read_all(world, data, "phone.db", "SELECT COUNT(*) FROM phone_resource"));
    if (static_cast<std::uint64_t>(rows.at(0).integer(0)) >= orders) co_return ok();
    co_await world.clock.sleep_for(50ms);
  }
  co_return Error{Code::timeout, "the phone did not get all messages in time"};
}

/// ms from the shop's receipt of an order to its creation at the phone, of all orders. Both are this machine's clock.
Task<std::vector<double>> order_to_phone(sys::World& world, const std::string& data) {
  HF_CO_TRY(const sql::Rows orders,
            co_await read_all(world, data, "shop.db", "SELECT phone, received_at_us FROM orders"));
  HF_CO_TRY(const sql::Rows created,
            co_await read_all(world, data, "phone.db", "SELECT to_address, created_at_us FROM phone_resource"));
  std::unordered_map<std::string, std::int64_t> received;
  for (const sql::Row& row : orders) received[row.text(0)] = row.integer(1);
  std::vector<double> ms;
  for (const sql::Row& row : created) {
    const auto order = received.find(row.text(0));
    if (order != received.end()) ms.push_back(static_cast<double>(row.integer(1) - order->second) / 1e3);
  }
  if (ms.size() != orders.size()) co_return Error{Code::internal, "orders and messages at the phone do not match"};
  co_return ms;
}

Result<void> check(const Buyers& buyers) {
  if (buyers.failed == 0) return ok();
  return Error{Code::internal, fmt::format("{} orders failed, the last one: {}", buyers.failed, buyers.why)};
}

Result<void> idle(const Plan& plan, const Limits& limits, Report& report) {
  const Server::Setup setup{.binary = plan.binary, .folder = plan.folder + "/idle", .config = kStock};
  HF_TRY(Server server, Server::start(setup));
  sys::Loop loop;
  sys::World& world = loop.world();
  Buyers buyers(world, server.url("shop"));
  const auto one_by_one = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < plan.idle_orders; ++i) {
      co_await buyers.order();
      co_await world.clock.sleep_for(30ms);  // until it is through
    }
  };
  loop.run_until_done(one_by_one());
  HF_TRY(check(buyers));
  HF_TRY(loop.run_until_done(settle(world, server.data(), buyers.placed())));
  HF_TRY(const std::vector<double> ms, loop.run_until_done(order_to_phone(world, server.data())));
  const double limit = (kPhoneSyncs * limits.sync_4k + 2 * limits.round_trip) / 1e3;
  report.add({"order answered, one at a time, p50", "ms", Better::lower, median(buyers.us) / 1e3,
              (kOrderSyncs * limits.sync_4k + limits.round_trip) / 1e3});
  report.add({"order → phone, one at a time, p50", "ms", Better::lower, median(ms), limit, 5});
  report.add({"order → phone, one at a time, p99", "ms", Better::lower, quantile(ms, 0.99)});
  HF_TRY(server.stop());
  loop.drain(1s);
  std::filesystem::remove_all(setup.folder);
  return ok();
}

Result<void> loaded(const Plan& plan, const Limits& limits, Report& report) {
  const Server::Setup setup{.binary = plan.binary, .folder = plan.folder + "/orders", .config = kStock};
  HF_TRY(Server server, Server::start(setup));
  sys::Loop loop;
  sys::World& world = loop.world();
  Buyers buyers(world, server.url("shop"));
  sys::TaskGroup tasks(loop.executor(), world.clock);
  for (int i = 0; i < kWarmUp; ++i) loop.run_until_done(buyers.order());
  buyers.us.clear();
  const std::uint64_t before = buyers.placed();
  const Monotonic begin = world.clock.now();
  const auto span = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(2 * plan.seconds));
  for (int i = 0; i < kBuyers; ++i) tasks.spawn("buyer", buyers.order_until(begin + span));
  loop.run_until_done(tasks.join());
  const double seconds = std::chrono::duration<double>(world.clock.now() - begin).count();
  HF_TRY(check(buyers));
  HF_TRY(loop.run_until_done(settle(world, server.data(), buyers.placed())));
  const double through = std::chrono::duration<double>(world.clock.now() - begin).count();
  HF_TRY(const std::vector<double> ms, loop.run_until_done(order_to_phone(world, server.data())));
  const auto orders = static_cast<double>(buyers.placed() - before);
  report.add(
      {"orders, 64 clients", "orders/s", Better::higher, orders / seconds, limits.rate(kBuyers, kOrderSyncs, 1)});
  report.add({"orders, 64 clients, answer p50", "ms", Better::lower, median(buyers.us) / 1e3});
  report.add({"orders, 64 clients, answer p99", "ms", Better::lower, quantile(buyers.us, 0.99) / 1e3});
  report.add({"order → phone, 64 clients, p50", "ms", Better::lower, median(ms)});
  report.add({"order → phone, 64 clients, p99", "ms", Better::lower, quantile(ms, 0.99)});
  report.add({"orders through to the phone, 64 clients", "orders/s", Better::higher, orders / through});
  HF_TRY(server.stop());
  loop.drain(1s);
  std::filesystem::remove_all(setup.folder);
  return ok();
}

}  // namespace

Result<void> measure_orders(const Plan& plan, const Limits& limits, Report& report) {
  HF_TRY(idle(plan, limits, report));
  return loaded(plan, limits, report);
}

Result<void> measure_start(const Plan& plan, Report& report) {
  const Server::Setup setup{.binary = plan.binary, .folder = plan.folder + "/start", .config = kStock};
  {
    HF_TRY(Server server, Server::start(setup));
    report.add({"start, all roles, no data", "ms", Better::lower, server.start_ms(), 0, 100});
    sys::Loop loop;
    Buyers buyers(loop.world(), server.url("shop"));
    for (int i = 0; i < kWarmUp; ++i) loop.run_until_done(buyers.order());
    HF_TRY(check(buyers));
    HF_TRY(loop.run_until_done(settle(loop.world(), server.data(), buyers.placed())));
    HF_TRY(server.stop());
    loop.drain(1s);
  }
  HF_TRY(Server again, Server::start(setup));
  report.add(
      {fmt::format("start, all roles, data of {} orders", kWarmUp), "ms", Better::lower, again.start_ms(), 0, 100});
  sys::Loop loop;
  loop.run_until_done(loop.world().clock.sleep_for(500ms));
  report.add({"memory at rest, all roles", "MiB", Better::lower, again.resident_mib(), 0, 50});
  HF_TRY(again.stop());
  std::filesystem::remove_all(setup.folder);
  return ok();
}

}  // namespace hf::bench
