#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"

namespace hf::coordinator {

struct CoordinatorConfig {
  std::string id = "local";       ///< 1 … 12 of [a-z0-9-]; stable, and no two coordinators share one
  std::string base_url;           ///< where participants reach it; "" : set by app from the listener
  std::string secret;             ///< shared with participants and initiators; empty: nobody is asked (loopback only)
  Duration prepare_timeout = 5s;  ///< 10 ms … 10 min; silence for so long is a no
  Duration notify_timeout = 5s;   ///< 10 ms … 10 min; of one try
  Duration retry_first = 100ms;   ///< 1 ms … retry_max; between tries of a notify; doubles
  Duration retry_max = 10s;       ///< … 24 h
  Duration active_max = 60s;      ///< 10 ms … 24 h; nobody asked for commit or abort: aborted (nobody has voted yet)
  std::size_t transactions_max = 100'000;  ///< ≥ 1; unfinished ones; beyond: 503
  std::size_t participants_max = 64;       ///< 1 … 1 000; in one transaction
  std::size_t calls_per_participant = 64;  ///< 1 … 10 000; calls under way at one address; the others wait their turn
  Duration keep_finished = 168h;           ///< ≥ 1 s; for outcome queries and the views
};
/// Errors: invalid, naming the field.
Result<void> check(const CoordinatorConfig& config);

}  // namespace hf::coordinator
