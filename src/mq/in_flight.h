#pragma once

/// Calls that refer to an object which is to be destroyed: close() waits for them. Strand only.

#include "sys/wait.h"

namespace hf::mq {

class InFlight {
 public:
  explicit InFlight(sys::Clock& clock) : ended_(clock) {}
  /// As long as it lives, a call is under way.
  class [[nodiscard]] Guard {
   public:
    explicit Guard(InFlight& owner) : owner_(owner) { ++owner_.count_; }
    ~Guard() {
      if (--owner_.count_ == 0) owner_.ended_.notify_all();
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    InFlight& owner_;
  };
  asio::awaitable<void> drained() {
    while (count_ > 0) co_await ended_.wait();
  }
  std::size_t count() const { return count_; }

 private:
  sys::Event ended_;
  std::size_t count_ = 0;
};

}  // namespace hf::mq
