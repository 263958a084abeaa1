#pragma once

/// What the server told us on Telemetry, in our types. Pure.

#include "mq/retry.h"

namespace hf::mq {

struct ServerSettings {
  std::size_t max_body_size = 4 << 20;
  bool validate_message_type = true;
  bool fifo = false;
  int receive_batch = 32;
  Duration polling = 20s;
  BackoffPolicy backoff;

  /// What is absent or absurd keeps its default (Apache's).
  static ServerSettings from(const pb::Settings& settings);
};

}  // namespace hf::mq
