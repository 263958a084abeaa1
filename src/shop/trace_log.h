#pragma once

/// When the last steps of an order happened: those after its commit, so they are not in its row. In memory, the newest
/// few thousand; gone after a restart, and nothing depends on them.

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/time.h"

namespace hf::shop {

struct LateSteps {
  std::optional<WallTime> decision_sent, answered;
  std::string decision;  ///< what the broker made of it: "taken", "unheard", …
};

class TraceLog {
 public:
  explicit TraceLog(std::size_t limit) : limit_(limit) {}
  /// The entry of `order_id`, made if absent; the oldest one goes. nullptr: the limit is 0.
  LateSteps* entry(const std::string& order_id) {
    if (limit_ == 0) return nullptr;
    const auto [found, added] = steps_.try_emplace(order_id);
    if (added) {
      order_.push_back(order_id);
      if (order_.size() > limit_) {
        steps_.erase(order_.front());
        order_.pop_front();
      }
    }
    return &found->second;
  }
  const LateSteps* find(const std::string& order_id) const {
    const auto found = steps_.find(order_id);
    return found == steps_.end() ? nullptr : &found->second;
  }

 private:
  const std::size_t limit_;
  std::unordered_map<std::string, LateSteps> steps_;
  std::deque<std::string> order_;
};

}  // namespace hf::shop
