#pragma once

/// Tells a call under way that nobody waits for it any more (a long poll, a stream). Strand only.

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "wire/rocketmq/messaging_service.h"

namespace hf::mq {

class Cancellation {
 public:
  void attach(wire::rocketmq::CallContext& context) const {
    context.cancelled = [state = state_] { return state->cancelled; };
    context.on_cancel = [state = state_](std::function<void()> wake) {
      if (state->cancelled) return wake();
      state->wakes.push_back(std::move(wake));
    };
  }
  void cancel() {
    if (std::exchange(state_->cancelled, true)) return;
    for (const auto& wake : std::exchange(state_->wakes, {})) wake();
  }
  bool cancelled() const { return state_->cancelled; }

 private:
  struct State {
    bool cancelled = false;
    std::vector<std::function<void()>> wakes;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace hf::mq
