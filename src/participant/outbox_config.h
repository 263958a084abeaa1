#pragma once

/// What can be set on an outbox. Every field has a default; a service maps them into its own section.

#include <cstddef>
#include <string>

#include "base/time.h"

namespace hf::participant {

struct OutboxConfig {
  /// Of the service, in metrics and log lines: letters, digits, '-'.
  std::string name = "outbox";
  /// The relay looks for rows at least this often, for what nobody told it. 10 ms … 1 min
  Duration poll = 1s;
  /// A claimed row belongs to its relay for so long; longer than a send may take (mq send_timeout). What a dead relay
  /// had claimed waits for this where other processes may be at work on the table (MySQL). 1 s … 10 min
  Duration lease = 15s;
  /// Rows of one claim. 1 … 1 000
  std::size_t batch = 256;
  /// Rows claimed and not yet recorded. 1 … 100 000
  std::size_t in_flight = 1024;
  /// Messages and bytes of one send request; a single larger message goes alone. 1 … 1 000; 1 KiB … 64 MiB
  std::size_t request_messages = 64, request_bytes = 1 << 20;
  /// After a failed try n, the row waits between half and all of retry_first × 2ⁿ, at most retry_max. 1 ms … 1 h
  Duration retry_first = 100ms, retry_max = 30s;
  /// The broker refused the message itself so often: it is blocked, and its aggregate with it. A broker that is away
  /// blocks nothing, however long. 1 … 1 000
  std::int64_t refusals_max = 10;
  /// A message that awaits its `done` and does not get it is published again after redo_first, 2 ×, 4 × … at most
  /// redo_max, without end. 100 ms … 7 d
  Duration redo_first = 60s, redo_max = 10min;
  /// How long rows that are done or skipped stay. 0 s … 365 d
  Duration keep = 24h;
  /// Rows removed in one transaction. 1 … 1 000
  std::size_t remove_batch = 500;
};

/// Error: invalid, naming the field that is out of bounds.
Result<void> check(const OutboxConfig& config);

}  // namespace hf::participant
