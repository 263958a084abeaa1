#pragma once

/// One call at a time for each branch: run, prepare, commit and abort of one transaction follow one another, those of
/// different transactions run side by side. Strand only.

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "sys/wait.h"

namespace hf::participant {

class BranchTurns {
  struct Slot {
    explicit Slot(sys::Clock& clock) : free(clock) {}
    sys::Event free;
    bool busy = false;
    std::size_t users = 0;
  };

 public:
  explicit BranchTurns(sys::Clock& clock) : clock_(clock) {}

  /// Held until it is destroyed; the turns outlive it.
  class Turn {
   public:
    Turn(BranchTurns& turns, std::string gtrid) : turns_(&turns), gtrid_(std::move(gtrid)) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), gtrid_(std::move(other.gtrid_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_) turns_->give_back(gtrid_);
    }

   private:
    BranchTurns* turns_;
    std::string gtrid_;
  };

  asio::awaitable<Turn> take(std::string gtrid) {
    std::shared_ptr<Slot>& place = slots_[gtrid];
    if (!place) place = std::make_shared<Slot>(clock_);
    const std::shared_ptr<Slot> slot = place;
    ++slot->users;
    while (slot->busy) co_await slot->free.wait();
    slot->busy = true;
    co_return Turn(*this, std::move(gtrid));
  }

 private:
  void give_back(const std::string& gtrid) {
    const auto found = slots_.find(gtrid);
    Slot& slot = *found->second;
    slot.busy = false;
    slot.free.notify_one();
    if (--slot.users == 0) slots_.erase(found);
  }

  sys::Clock& clock_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
};

}  // namespace hf::participant
