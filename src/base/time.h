#pragma once

/// Two kinds of time that must not be mixed (sys/clock.h hands them out).

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hf {

using namespace std::chrono_literals;  // NOLINT: 5s, 10ms read better everywhere

using Duration = std::chrono::nanoseconds;

/// For deadlines and intervals. Means nothing in another process; never stored.
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using Monotonic = MonotonicClock::time_point;

/// For records and for people: µs since the Unix epoch, UTC. May jump, so never subtracted to measure.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

inline std::int64_t to_us(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime wall_from_us(std::int64_t us) { return WallTime(std::chrono::microseconds(us)); }

/// "2026-11-21T09:13:05.123456Z"
std::string to_rfc3339(WallTime time);
/// "2026-11-21T09:13:05Z": EventBridge's `time`.
std::string to_rfc3339_seconds(WallTime time);
/// "20261121T091305Z": SigV4's x-amz-date.
std::string to_basic_iso8601(WallTime time);
Result<WallTime> from_basic_iso8601(std::string_view text);
/// "Sat, 21 Nov 2026 09:13:05 +0000": Twilio's date format.
std::string to_rfc2822(WallTime time);
/// Accepts "2026-11-21T09:13:05[.fff…](Z|±hh:mm)".
Result<WallTime> from_rfc3339(std::string_view text);

/// "250ms", "5s", "15m", "24h", "7d": configuration. Error: invalid.
Result<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration duration);

}  // namespace hf
