#pragma once

/// The command line: `holdfast serve|demo|order|show|tx|dlq|topic|group|outbox|reconcile|sql|config|version`.
///
/// Exit codes, the same for every command:
///   0  done, and the answer is yes
///   1  done, and the answer is no: a finding, a refused order, nothing found under that id
///   2  not done: bad usage or configuration, nobody answers, a port is taken, data that cannot be trusted

namespace hf::app {

inline constexpr int kExitYes = 0, kExitNo = 1, kExitNotDone = 2;

/// main() without the catch-all.
int run_command_line(int argc, const char* const* argv);

}  // namespace hf::app
