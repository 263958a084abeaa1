#pragma once

/// An event and its envelope, the JSON object that rules match and targets receive.

#include <string>
#include <vector>

#include "base/time.h"
#include "wire/eventbridge/json_text.h"

namespace hf::wire::eventbridge {

struct Event {
  std::string id;  ///< the same for all rules and targets
  std::string detail_type;
  std::string source;
  std::string account;  ///< 12 digits
  WallTime time{};      ///< sent with whole seconds
  std::string region;
  std::vector<std::string> resources;
  std::string detail;  ///< JSON text of an object
};

/// Minified, members in the order the service sends them: version, id, detail-type, source, account, time, region,
/// resources, detail. Asserts that `detail` is JSON: the edge refused anything else.
std::string to_json(const Event& event);

}  // namespace hf::wire::eventbridge
