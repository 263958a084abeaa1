#pragma once

/// What a data folder was made for: <data>/layout says in which mode and on which stores, so that nobody starts it by
/// mistake as something else (and finds it empty), and commands beside the servers need not be told.

#include "app/config_file.h"
#include "sys/world.h"

namespace hf::app {

/// Before anything is started. Error: conflict (the folder was made for something else; the text says what).
Result<void> check_layout(sys::World& world, const Config& config);
/// Once everything has started: from now on the folder is for this and nothing else.
Result<void> claim_layout(sys::World& world, const Config& config);

/// For a command beside the servers: load_configuration, in the mode and on the stores that the data folder was made
/// for. Then LocalStores::borrow.
Result<Config> load_configuration_beside(sys::World& world, const ConfigSources& sources);

}  // namespace hf::app
