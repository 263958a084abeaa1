#pragma once

/// For tests with a real server: what they grant a machine that stalls for seconds, and nobody else.

#include <chrono>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/time.h"

namespace hf::sql::mysql {

/// Options of a mysql:// URL. The usual 3 s for a connection are over before a stalled server has greeted. Of an option
/// that is there twice the last one counts: what the test itself says.
inline std::string patient(const std::string& more_options = "") {
  return "connect_timeout_ms=30000" + (more_options.empty() ? "" : "&" + more_options);
}

/// Asks again as a caller does after `unavailable`, but only where the machine may be to blame: the driver runs a batch
/// again for 3 s (batch_writer.cc). Who hears it earlier has found a defect.
///
///   Patience patience;
///   do { result = … } while (patience.asks_again(result));
class Patience {
 public:
  template <class T>
  bool asks_again(const Result<T>& answer) {
    const Clock::time_point now = Clock::now();
    const bool took_all = now - std::exchange(asked_at_, now) >= kRunsAgainFor;
    return !answer && answer.error().code == Code::unavailable && took_all && ++again_ <= kAgainMax;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Duration kRunsAgainFor = 3s;
  static constexpr int kAgainMax = 5;
  Clock::time_point asked_at_ = Clock::now();
  int again_ = 0;
};

}  // namespace hf::sql::mysql
