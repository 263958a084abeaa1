// On the real disk: a child process appends and tells through a pipe what is durable; it is killed at a random moment.

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "log/log.h"
#include "sys/eventually.h"
#include "sys/loop.h"

namespace hf::log {
namespace {

class TempDir {
 public:
  TempDir() {
    std::string pattern = "hf_log_XXXXXX";
    path = (std::filesystem::temp_directory_path() / pattern).string();
    HF_ASSERT(::mkdtemp(path.data()) != nullptr);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string path;
};

Options small() {
  Options options;
  options.segment_bytes = options.first_segment_bytes = 256 << 10;
  options.batch_bytes_max = 64 << 10;
  return options;
}

std::string body_of(std::uint64_t number) {
  std::string body = fmt::format("{} ", number);
  body.resize(20 + number * 7919 % 900, static_cast<char>('a' + number % 26));
  return body;
}

/// Appends numbered records until it is killed; retention follows 300 records behind.
[[noreturn]] void child(const std::string& dir, int pipe) {
  sys::Loop loop;
  std::uint64_t number = 0;
  std::unique_ptr<Log> log =
      std::move(*Log::open(loop.world(), dir, small(), std::nullopt, [&](const RecordView& view) {
        number = std::stoull(std::string(as_text(view.body))) + 1;
        return ok();
      }));
  std::deque<std::pair<Position, std::uint64_t>> open;
  const std::function<void()> produce = [&] {
    while (open.size() < 64) {
      const std::string body = body_of(number);
      const Result<Position> position = log->append(1, {as_bytes(body)});
      if (!position) break;  // goes on with the next batch
      open.emplace_back(*position, number++);
    }
  };
  std::deque<Position> kept;
  log->on_durable([&](Position end) {
    std::uint64_t last = UINT64_MAX;
    while (!open.empty() && open.front().first < end) {
      last = open.front().second;
      kept.push_back(open.front().first);
      open.pop_front();
    }
    if (last != UINT64_MAX) HF_ASSERT(::write(pipe, &last, sizeof last) == sizeof last);
    while (kept.size() > 300) kept.pop_front();
    log->remove_before(kept.front());
    produce();
  });
  const auto refill = [&]() -> asio::awaitable<void> {
    for (;;) {
      produce();
      co_await loop.world().clock.sleep_for(5ms);  // when a segment was not ready, no batch comes that would call us
    }
  };
  loop.run_until_done(refill());
  ::_exit(3);
}

TEST(LogProcess, KillMinusNineLosesNothingAcknowledged) {
  set_level(Level::off);
  TempDir dir;
  std::uint64_t seen_last = 0;
  for (int round = 0; round < 12; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::close(ends[0]);
      child(dir.path, ends[1]);
    }
    ::close(ends[1]);
    std::uint64_t acknowledged = 0, value = 0;
    const int batches = 20 + round * 37;
    for (int i = 0; i < batches && ::read(ends[0], &value, sizeof value) == sizeof value; ++i) acknowledged = value;
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    while (::read(ends[0], &value, sizeof value) == sizeof value) acknowledged = value;  // what it said before it died
    ::close(ends[0]);

    sys::Loop loop;
    std::optional<std::uint64_t> last;
    const auto log = Log::open(loop.world(), dir.path, small(), std::nullopt, [&](const RecordView& view) {
      const std::uint64_t number = std::stoull(std::string(as_text(view.body)));
      EXPECT_TRUE(!last || number == *last + 1);
      EXPECT_EQ(as_text(view.body), body_of(number));
      last = number;
      return ok();
    });
    ASSERT_TRUE(log) << log.error().to_string();
    ASSERT_TRUE(last);
    EXPECT_GE(*last, acknowledged) << "round " << round;
    EXPECT_GT(*last, seen_last);
    seen_last = *last;
  }
}

TEST(LogProcess, ARecycledFileThatKeptItsOldNameTooIsNotWrittenOver) {
  // Without a journal, a power loss in the middle of a rename may leave one file with both names.
  set_level(Level::off);
  TempDir dir;
  sys::Loop loop;
  std::uint64_t count = 0;
  const Visitor counting = [&](const RecordView&) {
    ++count;
    return ok();
  };
  const auto fill = [&](Log& log, int records) -> asio::awaitable<void> {
    for (int i = 0; i < records; ++i) {
      const std::string body(60'000, 'x');
      while (!log.append(1, {as_bytes(body)})) {
        HF_ASSERT(co_await log.wait_for_room(body.size(), loop.world().clock.now() + 10s));
      }
    }
    HF_ASSERT(co_await log.flush());
  };
  auto log = std::move(*Log::open(loop.world(), dir.path, small(), std::nullopt, counting));
  loop.run_until_done(fill(*log, 12));  // four to a segment
  const auto spares = [&] { return log->stats().spare_segments; };
  const auto recycle = [&]() -> asio::awaitable<void> {
    while (spares() < 1) co_await loop.world().clock.sleep_for(1ms);
    log->remove_before(Position{5 * 60'024});
    while (spares() < 2) co_await loop.world().clock.sleep_for(1ms);
  };
  loop.run_until_done(recycle());
  log.reset();
  std::filesystem::path newest;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path)) {
    if (entry.path().extension() == ".seg") newest = std::max(newest, entry.path());
  }
  std::filesystem::create_hard_link(newest, dir.path + "/0000000001.seg");

  for (int life = 0; life < 3; ++life) {
    count = 0;
    auto opened = Log::open(loop.world(), dir.path, small(), std::nullopt, counting);
    ASSERT_TRUE(opened) << opened.error().to_string();
    EXPECT_EQ(count, 12U + 12U * static_cast<unsigned>(life));
    loop.run_until_done(fill(**opened, 12));
  }
}

TEST(LogProcess, ASecondProcessIsRefusedClearly) {
  set_level(Level::off);
  TempDir dir;
  sys::Loop loop;
  const Visitor nothing = [](const RecordView&) { return ok(); };
  const auto first = Log::open(loop.world(), dir.path, small(), std::nullopt, nothing);
  ASSERT_TRUE(first);
  const pid_t pid = ::fork();
  if (pid == 0) {
    sys::Loop other;
    const auto second = Log::open(other.world(), dir.path, small(), std::nullopt, nothing);
    const bool right =
        !second && second.error().code == Code::conflict && second.error().message.find(dir.path) != std::string::npos;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(LogProcess, WaitersResumeOnTheStrandAndReadersReadElsewhere) {
  set_level(Level::off);
  TempDir dir;
  sys::Loop loop;
  auto log =
      std::move(*Log::open(loop.world(), dir.path, small(), std::nullopt, [](const RecordView&) { return ok(); }));
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> read{0};
  std::thread reader([&] {
    while (!stop) {
      Log::Cursor cursor = log->scan(log->oldest());
      for (;;) {
        Result<std::optional<RecordView>> next = cursor.next();
        if (!next) EXPECT_EQ(next.error().code, Code::not_found) << next.error().to_string();
        if (!next || !*next) break;
        EXPECT_EQ(as_text((*next)->body), body_of(std::stoull(std::string(as_text((*next)->body)))));
        ++read;
      }
    }
  });
  const auto write = [&]() -> asio::awaitable<void> {
    const std::thread::id home = std::this_thread::get_id();
    std::deque<Position> positions;
    for (std::uint64_t number = 0; number < 3000; ++number) {
      const std::string body = body_of(number);
      Result<Position> position = log->append(1, {as_bytes(body)});
      while (!position) {
        const Result<void> room = co_await log->wait_for_room(body.size(), loop.world().clock.now() + 10s);
        HF_ASSERT(room);
        position = log->append(1, {as_bytes(body)});
      }
      positions.push_back(*position);
      if (number % 20 != 0) continue;
      EXPECT_TRUE(co_await log->durable(*position));
      EXPECT_EQ(std::this_thread::get_id(), home);
      while (positions.size() > 500) positions.pop_front();
      log->remove_before(positions.front());
    }
    EXPECT_TRUE(co_await sys::eventually(loop.world().clock, [&] { return read > 100; }))
        << "the reader's thread did not have its turn";
    EXPECT_TRUE(co_await log->close());
  };
  loop.run_until_done(write());
  stop = true;
  reader.join();
  EXPECT_GT(read, 100U);
}

}  // namespace
}  // namespace hf::log
