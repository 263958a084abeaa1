#pragma once

/// `holdfast serve`: configuration → objects → roles, until SIGTERM or SIGINT; then drains.

#include <string>

#include "app/config_file.h"

namespace hf::app {

struct ServeOptions {
  std::string faults;      ///< fault points to arm
  std::string ready_file;  ///< written once all roles listen: "role host:port" lines
};

/// The exit code: 0 after a clean drain; 2 if a role could not start (port taken, data folder in use, corrupt data).
int serve_command(const ConfigSources& sources, const ServeOptions& options);

}  // namespace hf::app
