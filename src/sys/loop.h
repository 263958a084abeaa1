#pragma once

/// One thread's event loop, and the real world around it.

#include <memory>

#include "sys/world.h"

namespace hf::sys {

/// An io_context for one thread, with the real clock, files, randomness. Declared before, destroyed after every
/// component on it: call drain() first, so that no coroutine is left that refers to them.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  World& world();
  Executor executor();
  /// Runs until stop(). One thread only.
  void run();
  /// Any thread, any number of times.
  void stop();
  /// Runs until nothing is left to do or `limit` has passed (wall); for tests and shutdown. True if nothing is left.
  bool drain(Duration limit);
  /// Runs `main` to its end on this thread and returns what it returned.
  template <class T>
  T run_until_done(asio::awaitable<T> main);

 private:
  void run_task(asio::awaitable<void> task);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

template <class T>
T Loop::run_until_done(asio::awaitable<T> main) {
  if constexpr (std::is_void_v<T>) {
    run_task(std::move(main));
  } else {
    std::optional<T> outcome;
    auto keep = [](asio::awaitable<T> inner, std::optional<T>& into) -> asio::awaitable<void> {
      into.emplace(co_await std::move(inner));
    };
    run_task(keep(std::move(main), outcome));
    HF_ASSERT(outcome.has_value());
    return std::move(*outcome);
  }
}

}  // namespace hf::sys
