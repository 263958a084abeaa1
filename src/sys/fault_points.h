#pragma once

/// Fault points: named places at the boundaries of design.md §4 where a test lets a process die, fail, wait or lose a
/// message. They cost one atomic load when none is armed.
///
///   HF_CO_TRY(co_await world.faults.reach("shop.after_commit"));         in a coroutine
///   HF_TRY(faults.reach_blocking("shop.before_commit"));                 on a database thread
///   if (faults.drops("shop.end_transaction")) …                          where the caller knows how to lose something
///
/// Armed by `--fault name=action[:count]`, comma-separated: crash (SIGKILL to ourselves), error, delay (`delay:3000`,
/// ms), drop. `crash:2` fires at the second time the point is reached; `error:2`, `drop:2` fire the first two times;
/// without a count every time. Every name is declared in fault_points.cc, so a wrong one is refused at start and
/// `holdfast config explain` can list them.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "base/task.h"
#include "sys/clock.h"

namespace hf::sys {

struct FaultPointInfo {
  std::string_view name;
  std::string_view where;  ///< one sentence for people
};
/// Every fault point there is.
std::span<const FaultPointInfo> all_fault_points();

class FaultPoints {
 public:
  explicit FaultPoints(Clock& clock) : clock_(clock) {}
  /// "order.after_commit=crash:1,broker.half_ack=drop". Error: invalid, naming what is wrong.
  Result<void> arm(std::string_view spec);
  void disarm_all();

  asio::awaitable<Result<void>> reach(std::string_view name);
  Result<void> reach_blocking(std::string_view name);
  bool drops(std::string_view name);

 private:
  enum class Action { none, crash, error, delay, drop };
  struct Armed {
    Action action = Action::none;
    std::int64_t count = 0;  ///< crash: fires at this one; error, drop: fires this often; 0: always
    std::int64_t delay_ms = 0;
    std::int64_t reached = 0;
  };
  struct Fired {
    Action action = Action::none;
    std::int64_t delay_ms = 0;
  };
  Fired take(std::string_view name, bool may_drop);

  Clock& clock_;
  std::atomic<bool> any_{false};
  std::mutex mutex_;
  std::map<std::string, Armed, std::less<>> armed_;
};

}  // namespace hf::sys
