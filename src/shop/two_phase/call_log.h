#pragma once

/// When the steps of recent transactions happened, as the order service saw them: its calls and their headers, the
/// request to commit, the completion. In memory, the newest few thousand; gone after a restart, and nothing depends on
/// them. The coordinator knows the other half (registrations, votes, decision).

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"

namespace hf::shop::two_phase {

struct Step {
  std::string name;                                            ///< "begin", "payment.pay", "commit", "completion", …
  WallTime begun, ended;                                       ///< this process's clock
  std::string detail{};                                        ///< what came of it, for people
  std::string request{};                                       ///< of a call: "POST http://127.0.0.1:9651/payment/pay"
  std::vector<std::pair<std::string, std::string>> headers{};  ///< of a call: those of the transaction
  int status = 0;                                              ///< of a call: 0 if nobody answered
};
struct Calls {
  std::string order_id;
  std::vector<Step> steps;  ///< in the order in which they ended
};

class CallLog {
 public:
  explicit CallLog(std::size_t limit) : limit_(limit) {}

  /// The oldest one goes.
  void begin(const std::string& gtrid, const std::string& order_id) {
    if (limit_ == 0 || !calls_.try_emplace(gtrid, Calls{order_id, {}}).second) return;
    order_.push_back(gtrid);
    if (order_.size() <= limit_) return;
    calls_.erase(order_.front());
    order_.pop_front();
  }
  /// Of a transaction that is remembered; else nothing. A transaction has a dozen steps; repeated ones are not kept
  /// without end.
  void add(const std::string& gtrid, Step step) {
    const auto found = calls_.find(gtrid);
    if (found != calls_.end() && found->second.steps.size() < kStepsMax) found->second.steps.push_back(std::move(step));
  }
  const Calls* find(const std::string& gtrid) const {
    const auto found = calls_.find(gtrid);
    return found == calls_.end() ? nullptr : &found->second;
  }

 private:
  static constexpr std::size_t kStepsMax = 64;
  const std::size_t limit_;
  std::unordered_map<std::string, Calls> calls_;  ///< by gtrid
  std::deque<std::string> order_;
};

}  // namespace hf::shop::two_phase
