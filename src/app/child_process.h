#pragma once

/// A child that runs our own binary; it dies with its parent and is only ever killed by its own id.

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace hf::app {

class ChildProcess {
 public:
  /// `log_file`: where its standard output and error go, appended. The kernel kills the child when we die.
  static Result<ChildProcess> start(const std::vector<std::string>& arguments, const std::string& log_file);
  ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();  ///< kills and reaps what still runs

  pid_t pid() const { return pid_; }
  /// kill -9, and waits until it is gone.
  void kill_now();
  /// SIGTERM, and waits at most `limit`: the exit code, or nullopt if it had to be killed.
  std::optional<int> terminate(Duration limit);
  /// The exit code (128 + signal), once it has ended.
  std::optional<int> poll();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

/// The path of the running binary.
std::string own_path();

}  // namespace hf::app
