#pragma once

/// When to try again, and after how long. Pure.

#include <vector>

#include "apache/rocketmq/v2/definition.pb.h"
#include "base/result.h"
#include "base/time.h"

namespace hf::mq {

namespace pb = ::apache::rocketmq::v2;

/// What a repetition would do if the first call did take effect after all.
enum class Repeatable {
  same_id,      ///< a send: the message may come twice, with one message id; consumers expect that
  if_not_done,  ///< a half message: a second half would be an orphan that only check-back resolves
  idempotent,   ///< a decision, an ack: nothing
};

/// Whether a call that failed with `code` may be made again.
constexpr bool may_repeat(Code code, Repeatable what) {
  switch (code) {
    case Code::unavailable:  // it did not happen
    case Code::exhausted:
      return true;
    case Code::timeout:  // it may have happened
      return what != Repeatable::if_not_done;
    case Code::invalid:
    case Code::denied:
    case Code::not_found:
    case Code::conflict:
    case Code::corrupt:
    case Code::internal:
      return false;
  }
  return false;
}

/// The server's back-off policy: exponential, or a list whose last element repeats.
class BackoffPolicy {
 public:
  /// Apache's for producers: 3 attempts, 10 ms doubling to 1 s.
  BackoffPolicy();
  /// What the server left out or set absurdly (negative, over 24 h, factor below 1) is replaced by defaults.
  static BackoffPolicy from(const pb::RetryPolicy& policy);

  /// The wait after `attempt` failed; the first attempt is 1.
  Duration delay(int attempt) const;
  int max_attempts() const { return max_attempts_; }

 private:
  int max_attempts_ = 3;
  Duration initial_ = 10ms, max_ = 1s;
  double multiplier_ = 2;
  std::vector<Duration> list_;  // not empty: counts instead
};

}  // namespace hf::mq
