#pragma once

/// For the tests of shop: what a broker promises about transactional messages, in memory, and what can go wrong on the
/// way to it. The real broker and client run under the same scenarios in tests/sim and tests/crash.

#include <map>

#include "mq/transaction_producer.h"

namespace hf::shop {

class TestBroker {
 public:
  enum class State { pending, committed, rolled_back };
  struct Stored {
    mq::HalfMessage half;
    State state = State::pending;
  };

  std::optional<Error> half_fails;       ///< the half message is refused with this …
  bool half_is_stored_anyway = false;    ///< … though it is stored (its acknowledgement was lost)
  bool decisions_are_lost = false;       ///< end of transaction never arrives
  std::map<std::string, Stored> stored;  ///< by key
  int executed = 0;

  Task<mq::TransactionOutcome> send(mq::Message message, mq::LocalExecutor executor, std::any argument) {
    mq::HalfMessage half{std::move(message), "tx"};
    const std::string key = half.message.keys.at(0);
    half.message.message_id = "M-" + key;
    half.transaction_id += key;
    if (!half_fails || half_is_stored_anyway) stored[key] = {half, State::pending};
    if (half_fails) co_return *half_fails;
    ++executed;
    const Result<mq::Resolution> local = co_await executor(half, argument);
    mq::TransactionOutcome outcome;
    outcome.half.message_id = half.message.message_id;
    outcome.local = local ? *local : mq::Resolution::unknown;
    if (!local) outcome.local_error = local.error();
    outcome.decided = decisions_are_lost ? mq::Decided::unheard : decide(key, outcome.local);
    co_return outcome;
  }

  /// Check-back of everything that is undecided.
  asio::awaitable<void> check(const mq::Checker& checker) {
    for (auto& [key, entry] : stored) {
      if (entry.state != State::pending) continue;
      const Result<mq::Resolution> answer = co_await checker(entry.half);
      decide(key, answer ? *answer : mq::Resolution::unknown);
    }
  }

  std::vector<std::string> keys_in(State state) const {
    std::vector<std::string> keys;
    for (const auto& [key, entry] : stored) {
      if (entry.state == state) keys.push_back(key);
    }
    return keys;
  }

 private:
  mq::Decided decide(const std::string& key, mq::Resolution resolution) {
    if (resolution == mq::Resolution::unknown) return mq::Decided::nothing;
    Stored& entry = stored.at(key);
    const State wanted = resolution == mq::Resolution::commit ? State::committed : State::rolled_back;
    if (entry.state == State::pending) entry.state = wanted;
    return entry.state == wanted ? mq::Decided::taken : mq::Decided::refused;  // the first final state wins (P3)
  }
};

}  // namespace hf::shop
