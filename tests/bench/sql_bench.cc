/// Business transactions per second through sql::Database: read a stock row, update it guarded, insert an outbox row,
/// durable before the answer. On SQLite, and on a MariaDB server of our own with the binary log on (sync_binlog=1),
/// there all on one hot row: group commit against one transaction per unit, as plain services do it, and against two XA
/// branches per unit. Beside it, the disk's own figure: one 4 KiB write made durable.
///
/// usage: sql_bench [folder] [seconds per line]

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>
#include <thread>

#include "sql/mysql/connection.h"
#include "sql/mysql/local_server.h"
#include "sql/xa.h"
#include "sys/loop.h"

namespace hf::sql {
namespace {

struct Figures {
  double per_second;
  Duration p50, p99;
};

Figures figures_of(std::vector<Duration>& latencies, Duration elapsed) {
  HF_ASSERT(!latencies.empty());
  std::sort(latencies.begin(), latencies.end());
  const double seconds = std::chrono::duration<double>(elapsed).count();
  return {static_cast<double>(latencies.size()) / seconds, latencies[latencies.size() / 2],
          latencies[latencies.size() * 99 / 100]};
}

double us(Duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

/// fdatasync of a zero-filled file: what no commit can beat alone.
Result<Figures> measure_sync(sys::World& world, const std::string& dir, Duration span) {
  HF_TRY(const auto file, world.files.open(dir + "/probe", sys::OpenMode::create_or_open));
  const std::string block(4096, '\0');
  const std::string zeros(4 << 20, '\0');
  HF_TRY(file->write_at(0, as_bytes(zeros)));
  HF_TRY(file->sync());
  std::vector<Duration> latencies;
  const Monotonic start = world.clock.now();
  for (Monotonic now = start; now < start + span;) {
    HF_TRY(file->write_at((latencies.size() % 1024) * 4096, as_bytes(block)));
    HF_TRY(file->sync());
    const Monotonic after = world.clock.now();
    latencies.push_back(after - now);
    now = after;
  }
  return figures_of(latencies, world.clock.now() - start);
}

Result<bool> business_transaction(Transaction& tx, std::int64_t item, std::int64_t order) {
  HF_TRY(const auto stock, tx.query_one("SELECT avail FROM items WHERE id = ?", {item}));
  if (!stock || stock->integer(0) < 1) return false;
  HF_TRY(tx.execute("UPDATE items SET avail = avail - 1, sold = sold + 1 WHERE id = ? AND avail >= 1", {item}));
  HF_TRY(tx.execute("INSERT INTO outbox (id, body) VALUES (?, ?)", {order, std::string(200, 'x')}));
  return true;
}

struct Run {
  Database& db;
  sys::World& world;
  Monotonic end;
  std::int64_t items;  ///< orders are spread over so many rows
  std::int64_t next_order = 0;
  std::vector<Duration> latencies;
};

asio::awaitable<void> buyer(Run& run) {
  while (run.world.clock.now() < run.end) {
    const std::int64_t order = ++run.next_order;
    const Monotonic start = run.world.clock.now();
    std::function<Result<bool>(Transaction&)> work = [order, item = order % run.items](Transaction& tx) {
      return business_transaction(tx, item, order);
    };
    const Result<bool> done = co_await run.db.write<bool>(std::move(work));
    HF_ASSERT(done.has_value() && *done);
    run.latencies.push_back(run.world.clock.now() - start);
  }
}

const std::vector<Migration> kTables = {
    {1,
     "bench",
     {"CREATE TABLE items (id INTEGER PRIMARY KEY, avail BIGINT NOT NULL, sold BIGINT NOT NULL)",
      "CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
      "INSERT INTO items VALUES (0, 1000000000, 0), (1, 1000000000, 0), (2, 1000000000, 0), (3, 1000000000, 0)"}}};

Result<Figures> measure(const std::string& url, const std::string& dir, std::int64_t items, int in_flight,
                        Duration span) {
  sys::Loop loop;
  HF_TRY(const auto db, sql::open(loop.world(), url, dir));
  HF_TRY(loop.run_until_done(db->migrate("bench", kTables)));
  Run run{*db, loop.world(), loop.world().clock.now() + span, items, 0, {}};
  const Monotonic start = loop.world().clock.now();
  for (int i = 0; i < in_flight; ++i) asio::co_spawn(loop.executor(), buyer(run), asio::detached);
  HF_ASSERT(loop.drain(span + 10s));
  const Duration elapsed = loop.world().clock.now() - start;
  loop.run_until_done(db->close());
  return figures_of(run.latencies, elapsed);
}

void print(const std::string& what, const Figures& f) {
  fmt::print("{:<52} {:>9.0f}/s  p50 {:>6.0f} us  p99 {:>6.0f} us\n", what, f.per_second, us(f.p50), us(f.p99));
}

/// As most services do it: a pool of connections, a transaction per order.
Result<Figures> measure_plain(const std::string& url, int connections, Duration span) {
  sys::Loop loop;
  {
    HF_TRY(const auto db, sql::open(loop.world(), url, "."));
    HF_TRY(loop.run_until_done(db->migrate("bench", kTables)));
    loop.run_until_done(db->close());
  }
  HF_TRY(const mysql::Settings settings, mysql::parse_url(url));
  sys::Clock& clock = loop.world().clock;
  const Monotonic start = clock.now();
  std::vector<std::vector<Duration>> latencies(static_cast<std::size_t>(connections));
  std::vector<std::thread> threads;
  for (int c = 0; c < connections; ++c) {
    threads.emplace_back([&, c] {
      auto connection = mysql::Connection::open(settings, mysql::Purpose::write);
      HF_ASSERT(connection.has_value());
      for (std::int64_t n = 0; clock.now() < start + span; ++n) {
        const Monotonic began = clock.now();
        HF_ASSERT((*connection)->begin("START TRANSACTION"));
        HF_ASSERT(business_transaction(**connection, 0, c * 10'000'000LL + n).has_value());
        HF_ASSERT((*connection)->control("COMMIT", mysql::Phase::commit));
        latencies[static_cast<std::size_t>(c)].push_back(clock.now() - began);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Duration elapsed = clock.now() - start;
  std::vector<Duration> all;
  for (const auto& some : latencies) all.insert(all.end(), some.begin(), some.end());
  return figures_of(all, elapsed);
}

/// Stock in one database, outbox in another, both prepared, then both committed. Each client has rows of its own: on
/// one hot row the branches would stand in line for each other's whole two phases.
asio::awaitable<void> xa_client(XaResource& stock, XaResource& outbox, Run& run, std::int64_t item) {
  while (run.world.clock.now() < run.end) {
    const std::int64_t order = ++run.next_order;
    const Monotonic start = run.world.clock.now();
    const Xid a{fmt::format("bench-{}", order), "stock"}, b{fmt::format("bench-{}", order), "outbox"};
    auto first = co_await stock.start(a), second = co_await outbox.start(b);
    HF_ASSERT(first.has_value() && second.has_value());
    std::function<Result<std::int64_t>(Transaction&)> take = [item](Transaction& tx) {
      return tx.execute("UPDATE items SET avail = avail - 1, sold = sold + 1 WHERE id = ? AND avail >= 1", {item});
    };
    std::function<Result<std::int64_t>(Transaction&)> note = [order](Transaction& tx) {
      return tx.execute("INSERT INTO outbox (id, body) VALUES (?, ?)", {order, std::string(200, 'x')});
    };
    HF_ASSERT((co_await (*first)->run<std::int64_t>(take)).has_value());
    HF_ASSERT((co_await (*second)->run<std::int64_t>(note)).has_value());
    HF_ASSERT((co_await (*first)->prepare()).has_value());
    HF_ASSERT((co_await (*second)->prepare()).has_value());
    HF_ASSERT((co_await (*first)->commit_prepared()).value() == XaEnd::done);
    HF_ASSERT((co_await (*second)->commit_prepared()).value() == XaEnd::done);
    run.latencies.push_back(run.world.clock.now() - start);
  }
}

Result<Figures> measure_xa(const mysql::LocalServer& server, int in_flight, Duration span) {
  sys::Loop loop;
  HF_TRY(const auto stock, sql::open(loop.world(), server.url(fmt::format("xa_stock_{}", in_flight)), "."));
  HF_TRY(const auto outbox, sql::open(loop.world(), server.url(fmt::format("xa_outbox_{}", in_flight)), "."));
  HF_TRY(loop.run_until_done(stock->migrate("bench", kTables)));
  HF_TRY(loop.run_until_done(outbox->migrate("bench", kTables)));
  std::function<Result<std::int64_t>(Transaction&)> more = [](Transaction& tx) -> Result<std::int64_t> {
    for (int i = 4; i < 64; ++i) HF_TRY(tx.execute("INSERT INTO items VALUES (?, 1000000000, 0)", {i}));
    return 0;
  };
  HF_TRY(loop.run_until_done(stock->write<std::int64_t>(std::move(more))));
  Run run{*stock, loop.world(), loop.world().clock.now() + span, 0, 0, {}};
  const Monotonic start = loop.world().clock.now();
  for (int i = 0; i < in_flight; ++i) {
    asio::co_spawn(loop.executor(), xa_client(*stock->xa(), *outbox->xa(), run, i), asio::detached);
  }
  HF_ASSERT(loop.drain(span + 10s));
  const Duration elapsed = loop.world().clock.now() - start;
  loop.run_until_done(stock->close());
  loop.run_until_done(outbox->close());
  return figures_of(run.latencies, elapsed);
}

Result<void> report_mariadb(const std::string& dir, Duration span) {
  mysql::LocalServerOptions options;
  options.folder = dir + "/mariadb";
  Result<std::unique_ptr<mysql::LocalServer>> server = mysql::LocalServer::start(std::move(options));
  if (!server && server.error().code == Code::invalid) {
    fmt::print("MariaDB is not measured: {}\n", server.error().message);
    return ok();
  }
  if (!server) return server.error();
  for (const int connections : {1, 8, 32}) {
    HF_TRY(const Figures f, measure_plain((*server)->url(fmt::format("plain_{}", connections)), connections, span));
    print(fmt::format("mariadb, one hot row, {} connections, plain", connections), f);
  }
  for (const int in_flight : {1, 32, 128, 512}) {
    HF_TRY(const Figures f, measure((*server)->url(fmt::format("group_{}", in_flight)), dir, 1, in_flight, span));
    print(fmt::format("mariadb, one hot row, {} in flight, group commit", in_flight), f);
  }
  for (const int in_flight : {1, 8, 32}) {
    HF_TRY(const Figures f, measure_xa(**server, in_flight, span));
    print(fmt::format("mariadb, two XA branches each, {} in flight", in_flight), f);
  }
  return ok();
}

Result<void> report(const std::string& dir, Duration span) {
  sys::Loop loop;
  HF_TRY(const Figures sync, measure_sync(loop.world(), dir, std::chrono::seconds(1)));
  print("fdatasync, 4 KiB, zero-filled file", sync);
  for (const int in_flight : {1, 32, 128, 512}) {
    HF_TRY(const Figures f, measure(fmt::format("sqlite:bench-{}.db", in_flight), dir, 4, in_flight, span));
    print(fmt::format("sqlite WAL FULL, {} in flight", in_flight), f);
  }
  return report_mariadb(dir, span);
}

}  // namespace
}  // namespace hf::sql

int main(int argc, char** argv) {
  const std::string base = argc > 1 ? argv[1] : "/tmp";
  const double seconds = argc > 2 ? std::stod(argv[2]) : 2;
  const std::string dir = base + "/hf_sql_bench";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  const auto span = std::chrono::duration_cast<hf::Duration>(std::chrono::duration<double>(seconds));
  const hf::Result<void> done = hf::sql::report(dir, span);
  std::filesystem::remove_all(dir);
  if (!done) fmt::print(stderr, "{}\n", done.error().to_string());
  return done ? 0 : 1;
}
