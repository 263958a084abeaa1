// Group commit of the message log beside what the disk itself can do, in the same run.
//   log_bench [--dir D] [--seconds S] [--size BYTES]
// Closed loop: N producers, each appends again as soon as its record is durable; all on one strand, as in the broker.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "log/log.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf {
namespace {

struct Settings {
  std::string dir = std::filesystem::temp_directory_path() / "hf_log_bench";
  double seconds = 2;
  std::size_t size = 1024;
};

double to_us(Duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

double percentile(std::vector<double>& values, double p) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(p * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

void print(const std::string& what, double rate, std::vector<double>& latency, double per_sync) {
  const double p50 = percentile(latency, 0.5), p99 = percentile(latency, 0.99);
  fmt::print("{:<34} {:>11.0f} {:>9.0f} {:>9.0f} {:>12.1f}\n", what, rate, p50, p99, per_sync);
}

/// The disk alone: `bytes` written over zeros, then fdatasync.
void probe(const Settings& settings, sys::Loop& loop, std::size_t bytes, std::size_t records) {
  constexpr std::size_t kFile = 64 << 20;
  const std::string path = settings.dir + "/probe";
  const auto file = std::move(*loop.world().files.open(path, sys::OpenMode::create_or_open));
  const std::vector<std::uint8_t> zeros(kFile), data(bytes, 7);
  if (!file->write_at(0, zeros) || !file->sync()) std::exit(1);
  std::vector<double> latency;
  const Monotonic begin = loop.world().clock.now();
  Monotonic last = begin;
  std::size_t at = 0;
  while (std::chrono::duration<double>(last - begin).count() < settings.seconds) {
    if (!file->write_at(at, data) || !file->sync()) std::exit(1);
    at = at + 2 * bytes > kFile ? 0 : at + bytes;
    const Monotonic now = loop.world().clock.now();
    latency.push_back(to_us(now - last));
    last = now;
  }
  const double elapsed = std::chrono::duration<double>(last - begin).count();
  print(fmt::format("disk: {} KiB write + fdatasync", bytes >> 10),
        static_cast<double>(latency.size() * records) / elapsed, latency, static_cast<double>(records));
  std::filesystem::remove(path);
}

/// Producers as callbacks: the cheapest way in, as the broker uses it.
void by_callback(const Settings& settings, std::size_t producers) {
  const std::string dir = settings.dir + "/log";
  std::filesystem::remove_all(dir);
  sys::Loop loop;
  sys::Clock& clock = loop.world().clock;
  const log::Visitor nothing = [](const log::RecordView&) { return ok(); };
  log::Options options;
  options.spare_segments = 2;
  auto log = std::move(*log::Log::open(loop.world(), dir, options, std::nullopt, nothing));
  const std::string body(settings.size, 'x');
  struct Open {
    log::Position position;
    Monotonic since;
  };
  std::deque<Open> open;
  std::vector<double> latency;
  latency.reserve(8 << 20);
  std::uint64_t refused = 0;
  log::Position kept{};
  bool stopping = false;
  const std::function<void()> produce = [&] {
    const Monotonic now = clock.now();
    while (!stopping && open.size() < producers) {
      const Result<log::Position> position = log->append(1, {as_bytes(body)});
      if (!position) {
        ++refused;
        return;
      }
      open.push_back({*position, now});
    }
  };
  log->on_durable([&](log::Position end) {
    const Monotonic now = clock.now();
    while (!open.empty() && open.front().position < end) {
      latency.push_back(to_us(now - open.front().since));
      open.pop_front();
    }
    if (end.value - kept.value > (256U << 20)) log->remove_before(kept = log::Position{end.value - (128U << 20)});
    produce();
  });
  const auto drive = [&]() -> asio::awaitable<void> {
    // Past the first, small segment and the first filling, so that recycling is at work.
    const Monotonic begin = clock.now();
    const Monotonic warm = begin + std::chrono::milliseconds(300);
    const Monotonic end = warm + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(settings.seconds));
    log::Stats before;
    Monotonic from{};
    while (clock.now() < end) {
      produce();  // after a refusal nobody else would call it
      co_await clock.sleep_for(5ms);
      if (from == Monotonic{} && clock.now() >= warm) {
        before = log->stats();
        from = clock.now();
        latency.clear();
        refused = 0;
      }
    }
    const log::Stats after = log->stats();
    const double elapsed = std::chrono::duration<double>(clock.now() - from).count();
    stopping = true;
    (void)co_await log->flush();
    const double records = static_cast<double>(after.records - before.records);
    print(fmt::format("log: {} in flight{}", producers, refused > 0 ? fmt::format(" ({} waits)", refused) : ""),
          records / elapsed, latency, records / static_cast<double>(after.batches - before.batches));
  };
  loop.run_until_done(drive());
}

/// Producers as coroutines that co_await durable().
void by_coroutine(const Settings& settings, std::size_t producers) {
  const std::string dir = settings.dir + "/log";
  std::filesystem::remove_all(dir);
  sys::Loop loop;
  sys::Clock& clock = loop.world().clock;
  const log::Visitor nothing = [](const log::RecordView&) { return ok(); };
  auto log = std::move(*log::Log::open(loop.world(), dir, {}, std::nullopt, nothing));
  const std::string body(settings.size, 'x');
  std::vector<double> latency;
  latency.reserve(8 << 20);
  log::Position kept{};
  const Monotonic begin = clock.now();
  const Monotonic end = begin + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(settings.seconds));
  const auto produce = [&]() -> asio::awaitable<void> {
    for (Monotonic start = clock.now(); start < end; start = clock.now()) {
      const Result<log::Position> position = log->append(1, {as_bytes(body)});
      if (!position) {
        (void)co_await log->wait_for_room(body.size(), end);
        continue;
      }
      (void)co_await log->durable(*position);
      latency.push_back(to_us(clock.now() - start));
      const std::uint64_t at = position->value;
      if (at > kept.value + (256U << 20)) log->remove_before(kept = log::Position{at - (128U << 20)});
    }
  };
  sys::TaskGroup group(loop.executor(), clock);
  const auto drive = [&]() -> asio::awaitable<void> {
    for (std::size_t i = 0; i < producers; ++i) group.spawn("producer", produce());
    co_await group.join();
  };
  loop.run_until_done(drive());
  const double elapsed = std::chrono::duration<double>(clock.now() - begin).count();
  const log::Stats stats = log->stats();
  print(fmt::format("log: {} coroutines", producers), static_cast<double>(latency.size()) / elapsed, latency,
        static_cast<double>(stats.records) / static_cast<double>(std::max<std::uint64_t>(1, stats.batches)));
}

void reopen(const Settings& settings) {
  sys::Loop loop;
  std::uint64_t records = 0;
  const log::Visitor count = [&](const log::RecordView&) {
    ++records;
    return ok();
  };
  const Monotonic begin = loop.world().clock.now();
  auto log = std::move(*log::Log::open(loop.world(), settings.dir + "/log", {}, std::nullopt, count));
  const double seconds = std::chrono::duration<double>(loop.world().clock.now() - begin).count();
  fmt::print("reopen: {} records in {:.0f} ms ({:.0f} records/s)\n", records, seconds * 1e3,
             static_cast<double>(records) / seconds);
  std::vector<log::Position> positions;
  log::Log::Cursor cursor = log->scan(log->oldest());
  const Monotonic scan_begin = loop.world().clock.now();
  for (;;) {
    const Result<std::optional<log::RecordView>> next = cursor.next();
    if (!next || !*next) break;
    positions.push_back((*next)->position);
  }
  const double scanned = std::chrono::duration<double>(loop.world().clock.now() - scan_begin).count();
  sys::Random& random = loop.world().random;
  const Monotonic read_begin = loop.world().clock.now();
  constexpr std::size_t kReads = 200'000;
  for (std::size_t i = 0; i < kReads && !positions.empty(); ++i) {
    if (!log->read(positions[(i * 7919 + random.below(2)) % positions.size()])) std::exit(1);
  }
  const double read = std::chrono::duration<double>(loop.world().clock.now() - read_begin).count();
  fmt::print("scan: {:.0f} records/s; read by position (page cache): {:.0f} records/s\n",
             static_cast<double>(positions.size()) / scanned, kReads / read);
}

void first_open(const Settings& settings) {
  const std::string dir = settings.dir + "/log";
  std::filesystem::remove_all(dir);
  sys::Loop loop;
  const log::Visitor nothing = [](const log::RecordView&) { return ok(); };
  for (const char* what : {"a new log", "the same, empty, again"}) {
    const Monotonic begin = loop.world().clock.now();
    const auto log = std::move(*log::Log::open(loop.world(), dir, {}, std::nullopt, nothing));
    fmt::print("open {}: {:.1f} ms\n", what, to_us(loop.world().clock.now() - begin) / 1e3);
  }
}

int run(const Settings& settings) {
  log::set_level(log::Level::warn);
  std::filesystem::create_directories(settings.dir);
  fmt::print("{:<34} {:>11} {:>9} {:>9} {:>12}\n", fmt::format("{} bytes", settings.size), "records/s", "p50 µs",
             "p99 µs", "per sync");
  {
    sys::Loop loop;
    probe(settings, loop, 4096, 1);
    probe(settings, loop, 100 << 10, 100);
    probe(settings, loop, 1 << 20, 1024);
  }
  for (const std::size_t producers : {1UL, 16UL, 128UL, 1024UL}) by_callback(settings, producers);
  for (const std::size_t producers : {1UL, 16UL, 128UL, 1024UL}) by_coroutine(settings, producers);
  reopen(settings);
  first_open(settings);
  std::filesystem::remove_all(settings.dir);
  return 0;
}

}  // namespace
}  // namespace hf

int main(int argc, char** argv) {
  hf::Settings settings;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--dir") {
      settings.dir = argv[i + 1];
    } else if (option == "--seconds") {
      settings.seconds = std::atof(argv[i + 1]);
    } else if (option == "--size") {
      settings.size = static_cast<std::size_t>(std::atoll(argv[i + 1]));
    } else {
      fmt::print(stderr, "log_bench [--dir D] [--seconds S] [--size BYTES]\n");
      return 2;
    }
  }
  return hf::run(settings);
}
