#pragma once

/// A simulated world: virtual time that jumps to the next timer, seeded randomness, a disk in memory. One thread, no
/// sleeping; the same seed replays the same run.

#include <memory>
#include <queue>

#include "sys/sim_files.h"
#include "sys/world.h"

namespace hf::sys {

class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed);
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  World& world();
  SimDisk& disk();
  Clock& clock();
  std::uint64_t seed() const;
  /// Lets `d` of virtual time pass; runs everything that becomes due.
  void run_for(Duration d);
  /// Runs until nothing is due any more (timers in the future stay), at the current time.
  void run_ready();
  /// Starts a coroutine on the strand.
  void spawn(asio::awaitable<void> task);
  /// Runs `main` to its end, letting time pass as needed. Aborts if it would take more than `limit` of virtual time.
  template <class T>
  T run_until_done(asio::awaitable<T> main, Duration limit = std::chrono::hours(24));
  /// The wall clock only: backwards or forwards, as an administrator would.
  void jump_wall(Duration d);

 private:
  bool finish(const bool& done, Duration limit);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

template <class T>
T SimWorld::run_until_done(asio::awaitable<T> main, Duration limit) {
  bool done = false;
  if constexpr (std::is_void_v<T>) {
    auto keep = [](asio::awaitable<void> inner, bool& flag) -> asio::awaitable<void> {
      co_await std::move(inner);
      flag = true;
    };
    spawn(keep(std::move(main), done));
    HF_ASSERT(finish(done, limit));
  } else {
    std::optional<T> outcome;
    auto keep = [](asio::awaitable<T> inner, std::optional<T>& into, bool& flag) -> asio::awaitable<void> {
      into.emplace(co_await std::move(inner));
      flag = true;
    };
    spawn(keep(std::move(main), outcome, done));
    HF_ASSERT(finish(done, limit));
    return std::move(*outcome);
  }
}

}  // namespace hf::sys
