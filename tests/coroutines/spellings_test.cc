// Ordinary spellings of co_await that a compiler must get right: every object constructed is destroyed exactly once.
// g++ 11 and 12 fail a third of such spellings silently (docs/decisions/0001-stack.md), which is why the build refuses
// them; this test is what would notice the next such compiler.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/task.h"

namespace hf {
namespace {

/// Counts its lives.
struct Counted {
  static inline int alive = 0;
  static inline int wrong = 0;
  const Counted* self = this;
  int n = 0;

  Counted() { ++alive; }
  explicit Counted(int value) : n(value) { ++alive; }
  Counted(const Counted& other) : n(other.n) { ++alive; }
  Counted(Counted&& other) noexcept : n(other.n) { ++alive; }
  Counted& operator=(const Counted&) = default;
  ~Counted() {
    if (self != this) ++wrong;  // never constructed here, or destroyed before
    self = nullptr;
    --alive;
  }
};
struct Aggregate {
  Counted first{};
  std::string text = "a text that is too long for the small buffer";
  int n = 0;
};

asio::awaitable<void> yield() { co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable); }
asio::awaitable<int> take(Counted c) {
  co_await yield();
  co_return c.n;
}
asio::awaitable<int> take_aggregate(Aggregate a) {
  co_await yield();
  co_return a.n;
}
asio::awaitable<int> take_three(Aggregate a, Aggregate b, Counted c) {
  co_await yield();
  co_return a.n + b.n + c.n;
}
asio::awaitable<int> take_function(std::function<int()> f) {
  co_await yield();
  co_return f();
}
asio::awaitable<int> take_list(std::vector<Counted> list) {
  co_await yield();
  co_return static_cast<int>(list.size());
}
asio::awaitable<Result<Counted>> fallible(bool good) {
  co_await yield();
  if (!good) co_return Error{Code::invalid, "no"};
  co_return Counted(3);
}
asio::awaitable<Result<int>> tries(bool good) {
  HF_CO_TRY(const Counted counted, co_await fallible(good));
  HF_CO_TRY(co_await fallible(good));
  co_return counted.n;
}

using Spelling = asio::awaitable<int> (*)();
struct Case {
  const char* what;
  Spelling run;
  int want;
};

const Case kCases[] = {
    {"temporary", []() -> asio::awaitable<int> { co_return co_await take(Counted(1)); }, 1},
    {"aggregate temporary", []() -> asio::awaitable<int> { co_return co_await take_aggregate(Aggregate{.n = 4}); }, 4},
    {"designated initialiser", []() -> asio::awaitable<int> { co_return co_await take_aggregate({.n = 5}); }, 5},
    {"empty braces", []() -> asio::awaitable<int> { co_return co_await take_three({}, {}, {}); }, 0},
    {"capturing lambda to std::function",
     []() -> asio::awaitable<int> {
       const Counted c(7);
       co_return co_await take_function([c] { return c.n; });
     },
     7},
    {"initialiser list of temporaries",
     []() -> asio::awaitable<int> { co_return co_await take_list({Counted(1), Counted(2)}); }, 2},
    {"conditional of temporaries",
     []() -> asio::awaitable<int> {
       const bool yes = Counted::alive >= 0;
       co_return co_await take(yes ? Counted(8) : Counted(9));
     },
     8},
    {"two awaits in one expression",
     []() -> asio::awaitable<int> { co_return co_await take(Counted(1)) + co_await take(Counted(2)); }, 3},
    {"await in an argument",
     []() -> asio::awaitable<int> { co_return co_await take(Counted(co_await take(Counted(6)))); }, 6},
    {"HF_CO_TRY on a value", []() -> asio::awaitable<int> { co_return (co_await tries(true)).value_or(-1); }, 3},
    {"HF_CO_TRY on an error", []() -> asio::awaitable<int> { co_return (co_await tries(false)).value_or(-1); }, -1},
};

TEST(Coroutines, EveryObjectIsDestroyedExactlyOnce) {
  for (const Case& c : kCases) {
    Counted::alive = Counted::wrong = 0;
    int got = -2;
    {
      asio::io_context context;
      asio::co_spawn(context, c.run(), [&](const std::exception_ptr&, int value) { got = value; });
      context.run();
    }
    EXPECT_EQ(got, c.want) << c.what;
    EXPECT_EQ(Counted::alive, 0) << c.what;
    EXPECT_EQ(Counted::wrong, 0) << c.what;
  }
}

}  // namespace
}  // namespace hf
