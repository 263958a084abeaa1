#pragma once

/// For tests: waits for what somebody else does, where nothing tells that it is done.

#include "sys/loop.h"

namespace hf::sys {

/// Asks `met` again and again while the loop runs in between; `met` may run it, too. False: not within `limit`.
template <class Condition>
bool eventually(Loop& loop, Condition met, Duration limit = 30s) {
  Clock& clock = loop.world().clock;
  for (const Monotonic end = clock.now() + limit; !met();) {
    if (clock.now() >= end) return false;
    loop.run_until_done(clock.sleep_for(5ms));
  }
  return true;
}

/// The same in a coroutine: `met` is asked on its strand and must not run the loop.
template <class Condition>
asio::awaitable<bool> eventually(Clock& clock, Condition met, Duration limit = 30s) {
  for (const Monotonic end = clock.now() + limit; !met();) {
    if (clock.now() >= end) co_return false;
    co_await clock.sleep_for(5ms);
  }
  co_return true;
}

}  // namespace hf::sys
