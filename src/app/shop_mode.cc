#include "app/shop_mode.h"

#include <algorithm>

namespace hf::app {
namespace {

struct Mode {
  ShopMode mode;
  std::string_view name;
  std::vector<std::string> roles;
};

const std::vector<Mode>& modes() {
  static const std::vector<Mode> all = {
      {ShopMode::message, "message", {"broker", "shop", "router", "notifier", "phone", "console"}},
      {ShopMode::outbox, "outbox", {"broker", "shop", "inventory", "router", "notifier", "phone", "console"}},
      {ShopMode::two_phase,
       "2pc",
       {"broker", "coordinator", "shop", "payment", "inventory", "router", "notifier", "phone", "console"}},
  };
  return all;
}

const Mode& row_of(ShopMode mode) {
  return *std::find_if(modes().begin(), modes().end(), [&](const Mode& row) { return row.mode == mode; });
}

}  // namespace

std::string_view to_string(ShopMode mode) { return row_of(mode).name; }

std::optional<ShopMode> shop_mode_from(std::string_view text) {
  for (const Mode& row : modes()) {
    if (row.name == text) return row.mode;
  }
  return std::nullopt;
}

const std::vector<std::string>& roles_of(ShopMode mode) { return row_of(mode).roles; }

std::string modes_with_role(std::string_view role) {
  std::string names;
  for (const Mode& row : modes()) {
    if (std::find(row.roles.begin(), row.roles.end(), role) == row.roles.end()) continue;
    names += names.empty() ? "" : ", ";
    names += row.name;
  }
  return names;
}

}  // namespace hf::app
