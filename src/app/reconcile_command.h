#pragma once

/// `holdfast reconcile`: reads every store beside the running processes and judges it (reconcile/audit.h).

#include <string>

#include "app/config_file.h"
#include "reconcile/audit.h"
#include "sys/world.h"

namespace hf::app {

struct ReconcileOptions {
  std::string from, until;  ///< RFC 3339; empty: everything, and `grace` ago
  std::string grace = "30s";
  std::string admin, admin_token;
};

/// 0 clean, 1 findings, 2 could not check.
int reconcile_command(const ConfigSources& sources, const ReconcileOptions& options, bool json);

/// The same inside a program: the demo calls it until nothing is on its way any more. `config`: from
/// load_configuration_beside.
Task<reconcile::Report> run_reconciliation(sys::World world, Config config, std::string admin, std::string token,
                                           reconcile::Window window);

}  // namespace hf::app
