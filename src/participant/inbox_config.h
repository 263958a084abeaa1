#pragma once

/// What can be set on an inbox. Every field has a default; a service maps them into its own section.

#include <cstddef>
#include <string>

#include "base/time.h"

namespace hf::participant {

struct InboxConfig {
  /// Of the service, in metrics and log lines
  std::string name = "inbox";
  /// How long keys are remembered: longer than a message can come again (the broker's retention, the outbox's redo).
  /// 1 min … 365 d
  Duration keep = 168h;
  /// How often old keys are looked for. 100 ms … 1 d
  Duration scan = 1min;
  /// Keys removed in one transaction. 1 … 1 000
  std::size_t remove_batch = 500;
};
/// Error: invalid, naming the field that is out of bounds.
Result<void> check(const InboxConfig& config);

}  // namespace hf::participant
