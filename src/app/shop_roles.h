#pragma once

/// The roles in which the modes differ: one class per mode, one file each.

#include <memory>
#include <vector>

#include "app/role_context.h"
#include "console/admin_server.h"

namespace hf::app {

/// One strand. stop() is awaited before it is destroyed.
class ShopRoles {
 public:
  virtual ~ShopRoles() = default;
  /// Starts those that this process has. Errors: as Server::start; then stop() what has started.
  virtual Task<> start() = 0;
  /// Closes their doors and stops them, in the order of the flow: who gives work stops before who does it.
  virtual asio::awaitable<void> stop(Monotonic deadline) = 0;
  /// Their part of the administration. Their handlers answer 503 until they have started.
  virtual std::vector<console::AdminMount> admin() { return {}; }
};

/// `context` outlives it.
std::unique_ptr<ShopRoles> make_message_shop(RoleContext& context);
std::unique_ptr<ShopRoles> make_outbox_shop(RoleContext& context);
std::unique_ptr<ShopRoles> make_two_phase_shop(RoleContext& context);
/// By context.config.mode.
std::unique_ptr<ShopRoles> make_shop_roles(RoleContext& context);

}  // namespace hf::app
