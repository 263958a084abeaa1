/// Business transactions per second through sql::Database on SQLite: read a stock row, update it guarded, insert an
/// outbox row, durable before the answer. Beside it, the disk's own figure: one 4 KiB write made durable.
///
/// usage: sql_bench [folder] [seconds per line]

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>

#include "sql/database.h"
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
  std::int64_t next_order = 0;
  std::vector<Duration> latencies;
};

asio::awaitable<void> buyer(Run& run) {
  while (run.world.clock.now() < run.end) {
    const std::int64_t order = ++run.next_order;
    const Monotonic start = run.world.clock.now();
    std::function<Result<bool>(Transaction&)> work = [order](Transaction& tx) {
      return business_transaction(tx, order % 4, order);
    };
    const Result<bool> done = co_await run.db.write<bool>(std::move(work));
    HF_ASSERT(done.has_value() && *done);
    run.latencies.push_back(run.world.clock.now() - start);
  }
}

Result<Figures> measure(const std::string& dir, int in_flight, Duration span) {
  sys::Loop loop;
  HF_TRY(const auto db, sql::open(loop.world(), fmt::format("sqlite:bench-{}.db", in_flight), dir));
  std::vector<Migration> tables = {
      {1,
       "bench",
       {"CREATE TABLE items (id INTEGER PRIMARY KEY, avail BIGINT NOT NULL, sold BIGINT NOT NULL)",
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        "INSERT INTO items VALUES (0, 1000000000, 0), (1, 1000000000, 0), (2, 1000000000, 0), (3, 1000000000, 0)"}}};
  HF_TRY(loop.run_until_done(db->migrate("bench", std::move(tables))));
  Run run{*db, loop.world(), loop.world().clock.now() + span, 0, {}};
  const Monotonic start = loop.world().clock.now();
  for (int i = 0; i < in_flight; ++i) asio::co_spawn(loop.executor(), buyer(run), asio::detached);
  HF_ASSERT(loop.drain(span + 10s));
  const Duration elapsed = loop.world().clock.now() - start;
  loop.run_until_done(db->close());
  return figures_of(run.latencies, elapsed);
}

Result<void> report(const std::string& dir, Duration span) {
  sys::Loop loop;
  HF_TRY(const Figures sync, measure_sync(loop.world(), dir, std::chrono::seconds(1)));
  fmt::print("{:<44} {:>9.0f}/s  p50 {:>6.0f} us  p99 {:>6.0f} us\n", "fdatasync, 4 KiB, zero-filled file",
             sync.per_second, us(sync.p50), us(sync.p99));
  for (const int in_flight : {1, 32, 128, 512}) {
    HF_TRY(const Figures f, measure(dir, in_flight, span));
    fmt::print("{:<44} {:>9.0f}/s  p50 {:>6.0f} us  p99 {:>6.0f} us\n",
               fmt::format("sqlite WAL FULL, {} in flight", in_flight), f.per_second, us(f.p50), us(f.p99));
  }
  return ok();
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
