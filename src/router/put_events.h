#pragma once

/// PutEvents: entries in, one verdict each. Pure but for drawing ids.

#include <string>
#include <vector>

#include "sys/random.h"
#include "wire/eventbridge/event.h"
#include "wire/eventbridge/shapes.h"

namespace hf::router {

struct PutEventsEntry {
  wire::eventbridge::Event event;
  std::string event_id;                   ///< also after `event` was moved away
  bool on_default_bus = true;             ///< else: answered like the others, delivered to nobody (as the service does)
  std::string error_code, error_message;  ///< set: refused
};
struct PutEvents {
  std::vector<PutEventsEntry> entries;
};
struct PutEventsContext {
  std::string account, region, bus_arn;
  WallTime now{};
};

/// What concerns the request as a whole goes into in.problems().
PutEvents read_put_events(const wire::eventbridge::ShapeReader& in, const PutEventsContext& context,
                          sys::Random& random);
std::string put_events_answer(const PutEvents& request);

}  // namespace hf::router
