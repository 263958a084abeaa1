#pragma once

/// Everything a component may touch of the outside, in one parcel. `app` makes a real one, tests make simulated ones
/// (sys/sim.h). All members outlive every component.

#include <functional>
#include <memory>
#include <string>

#include "base/metrics.h"
#include "sys/clock.h"
#include "sys/fault_points.h"
#include "sys/files.h"
#include "sys/random.h"
#include "sys/worker.h"

namespace hf::sys {

struct World {
  Clock& clock;
  Random& random;
  FileSystem& files;
  FaultPoints& faults;
  metrics::Registry& metrics;
  /// The component's strand. Its coroutines run here and nowhere else.
  Executor executor;
  /// Threads for blocking work; inline in simulation.
  std::function<std::unique_ptr<Worker>(std::string name, std::size_t threads)> make_worker;
};

}  // namespace hf::sys
