#pragma once

/// From the command line's --config, --data, --roles, --shop, --store, --set to one checked Config.

#include <string>
#include <vector>

#include "app/config.h"

namespace hf::app {

struct ConfigSources {
  std::string file;                      ///< TOML; empty: defaults
  std::string data;                      ///< wins over the file
  std::vector<std::string> roles;        ///< win over the file
  std::string shop, store;               ///< shop.mode and process.store; win over the file
  std::vector<std::string> assignments;  ///< "section.key=value"; win over all
};

/// Error: invalid, naming the file, line and key; denied: beyond loopback without authentication (P10).
Result<Config> load_configuration(const ConfigSources& sources);
/// As commented TOML, secrets hidden.
Result<std::string> explain_configuration(const ConfigSources& sources);

}  // namespace hf::app
