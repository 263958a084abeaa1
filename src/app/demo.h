#pragma once

/// `holdfast demo`: the whole chain under load, killed again and again, and what was left of it: nothing lost, nothing
/// doubled, nothing sent for an order that did not commit.

#include <cstdint>
#include <string>

namespace hf::app {

struct DemoOptions {
  std::int64_t orders = 2000, buyers = 32, kills = 3, settle_s = 40;
  std::uint64_t seed = 0;
  std::string data;
  std::string store = "sqlite";  ///< process.store; on MariaDB its servers are killed as well
  bool keep = false;
};

/// 0: every check holds; 1: one does not; 2: it could not be run.
int demo_command(const DemoOptions& options, bool json);

}  // namespace hf::app
