#pragma once

/// What disk and loopback can do, measured beside everything else: no durable answer can be quicker.

#include <string>

#include "base/result.h"
#include "report.h"

namespace hf::bench {

/// Medians, µs.
struct Limits {
  double sync_4k = 0, sync_16k = 0, sync_100k = 0, sync_128k = 0;  ///< pwrite over zeros + fdatasync
  double round_trip = 0;  ///< 64 bytes over loopback TCP and back, both sides sleeping

  /// Of one group commit of `records` KiB.
  double sync(int records) const;
  /// Operations per second with `in_flight` of them, each of which needs `syncs` group commits in sequence, and a
  /// loopback round trip for `round_trips` of its requests.
  double rate(int in_flight, int syncs, int round_trips) const;
};

/// `seconds` for each line. Blocks.
Result<Limits> measure_limits(const std::string& folder, double seconds, Report& report);

}  // namespace hf::bench
