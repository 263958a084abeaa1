#include "mq/link_machine.h"

#include <algorithm>

#include "base/assert.h"

namespace hf::mq {

LinkMachine::Action LinkMachine::next(Monotonic now) {
  if (state_ == State::waiting && now >= open_at_) {
    state_ = State::opening;
    return Action::open;
  }
  if (!streaming()) return Action::none;
  if (now >= answer_by_) {
    state_ = State::ending;
    answer_by_ = Monotonic::max();
    return Action::abandon;
  }
  if (sent_ != wanted_ || now >= refresh_at_) {
    sent_ = wanted_;
    refresh_at_ = Monotonic::max();  // set again by the answer
    if (unanswered_.empty()) answer_by_ = now + timing_.answer;
    unanswered_.push_back(wanted_);
    return Action::send_settings;
  }
  if (now >= heartbeat_at_) {
    heartbeat_at_ = now + timing_.heartbeat;
    return Action::heartbeat;
  }
  return Action::none;
}

Monotonic LinkMachine::wake_at() const {
  if (state_ == State::waiting) return open_at_;
  if (!streaming()) return Monotonic::max();
  return std::min({answer_by_, heartbeat_at_, refresh_at_});
}

void LinkMachine::settings_answered(Monotonic now) {
  if (!streaming() || unanswered_.empty()) return;  // a stray answer, or one of a stream that is being ended
  answered_ = unanswered_.front();
  unanswered_.pop_front();
  answer_by_ = unanswered_.empty() ? Monotonic::max() : now + timing_.answer;
  refresh_at_ = now + timing_.settings_refresh;
  if (state_ == State::opening) heartbeat_at_ = now + timing_.first_heartbeat;
  state_ = State::ready;
}

void LinkMachine::settings_lost() {
  if (state_ == State::ready) settings_changed();
}

void LinkMachine::ended(Monotonic now, Duration wait) {
  HF_ASSERT(state_ != State::waiting);
  state_ = State::waiting;
  open_at_ = now + wait;
  heartbeat_at_ = refresh_at_ = answer_by_ = Monotonic::max();
  sent_ = answered_ = 0;
  unanswered_.clear();
}

}  // namespace hf::mq
