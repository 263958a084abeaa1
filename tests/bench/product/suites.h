#pragma once

/// What is measured, one function for each part of the product. Each blocks, starts what it needs in a fresh folder
/// below `folder`, stops it, and removes it.

#include "limits.h"
#include "report.h"

namespace hf::bench {

struct Plan {
  std::string binary;  ///< of holdfast
  std::string folder;  ///< on the disk to be measured
  double seconds = 1;  ///< for each line
  std::uint64_t backlog = 1'000'000;
  int idle_orders = 60;
};

/// Sends and half + commit pairs to a broker in another process, over loopback gRPC, one connection.
Result<void> measure_messages_over_grpc(const Plan& plan, const Limits& limits, Report& report);
/// The same to a broker in this process: no network, one thread beside the log's own.
Result<void> measure_messages_in_process(const Plan& plan, const Limits& limits, Report& report);
/// POST /orders from 64 keep-alive connections; order → phone, one order at a time and under that load.
Result<void> measure_orders(const Plan& plan, const Limits& limits, Report& report);
/// The same order in the three consistency modes, on SQLite and on MariaDB: rates, times, flushes per order
/// (docs/choosing-a-mode.md).
Result<void> measure_modes(const Plan& plan, const Limits& limits, Report& report);
/// Events per second of processor time, parsing of the event included.
Result<void> measure_matching(const Plan& plan, Report& report);
/// All roles: from the start of the process to the ready file, on no data and on existing data; memory at rest.
Result<void> measure_start(const Plan& plan, Report& report);
/// The broker's memory with a backlog of messages of 256 bytes, and its start on it.
Result<void> measure_backlog(const Plan& plan, Report& report);

}  // namespace hf::bench
