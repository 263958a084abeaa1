#pragma once

/// The three ways in which the shop keeps an order and its effects consistent, and the roles that each of them has.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hf::app {

enum class ShopMode {
  message,    ///< transactional message: one local transaction, made visible by the broker's second phase
  outbox,     ///< local message table: order and message row in one local transaction, a relay publishes
  two_phase,  ///< two-phase commit over the stores of three services
};
/// "message", "outbox", "2pc".
std::string_view to_string(ShopMode mode);
std::optional<ShopMode> shop_mode_from(std::string_view text);

/// In the order of the flow; the default of process.roles.
const std::vector<std::string>& roles_of(ShopMode mode);
/// "message, outbox": the modes that have this role. Empty: there is no such role.
std::string modes_with_role(std::string_view role);

}  // namespace hf::app
