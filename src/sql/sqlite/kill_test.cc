/// A child process commits numbered units and says so; it is killed with SIGKILL; what it said is there (P2).

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "sql/sqlite/test_world.h"

namespace hf::sql {
namespace {

constexpr int kInFlight = 16;

/// Never returns: writes units for ever, each number to `pipe` once it is acknowledged.
[[noreturn]] void write_until_killed(const std::string& dir, int pipe) {
  sys::Loop loop;
  auto db = sql::open(loop.world(), "sqlite:test.db", dir);
  HF_ASSERT(db.has_value());
  int next = 0;
  auto writer = [&]() -> asio::awaitable<void> {
    for (;;) {
      const int number = ++next;
      std::function<Result<std::int64_t>(Transaction&)> work = [number](Transaction& tx) {
        return tx.execute("INSERT INTO acknowledged VALUES (?)", {number});
      };
      const Result<std::int64_t> done = co_await (*db)->write<std::int64_t>(std::move(work));
      HF_ASSERT(done.has_value());
      HF_ASSERT(::write(pipe, &number, sizeof number) == sizeof number);
    }
  };
  for (int i = 0; i < kInFlight; ++i) asio::co_spawn(loop.executor(), writer(), asio::detached);
  loop.run();
  ::_exit(1);
}

std::vector<int> read_until_closed(int pipe, pid_t child, std::size_t kill_after) {
  std::vector<int> numbers;
  for (int number = 0; ::read(pipe, &number, sizeof number) == sizeof number;) {
    numbers.push_back(number);
    if (numbers.size() == kill_after) ::kill(child, SIGKILL);
  }
  return numbers;
}

TEST_F(SqlTest, WhatWasAcknowledgedSurvivesKill9) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute("CREATE TABLE acknowledged (number INTEGER PRIMARY KEY)"));
  close();
  for (const std::size_t kill_after : {1U, 50U, 777U, 3000U}) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipe[0]);
      write_until_killed(dir_, pipe[1]);
    }
    ::close(pipe[1]);
    const std::vector<int> acknowledged = read_until_closed(pipe[0], child, kill_after);
    ::close(pipe[0]);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    ASSERT_GE(acknowledged.size(), kill_after);

    ASSERT_TRUE(open()) << "the lock of a dead process is free";
    const Result<Rows> rows = query("SELECT number FROM acknowledged");
    ASSERT_TRUE(rows);
    std::set<std::int64_t> there;
    for (const Row& row : *rows) there.insert(row.integer(0));
    for (const int number : acknowledged) EXPECT_TRUE(there.contains(number)) << number;
    EXPECT_LE(there.size(), acknowledged.size() + kInFlight) << "more than what was in flight was never asked for";
    ASSERT_TRUE(execute("DELETE FROM acknowledged"));
    close();
  }
}

}  // namespace
}  // namespace hf::sql
