#include "app/shop_roles.h"

namespace hf::app {
namespace {

class NotYet final : public ShopRoles {
 public:
  Task<> start() override { co_return Error{Code::invalid, "this build has no shop.mode two_phase yet"}; }
  asio::awaitable<void> stop(Monotonic) override { co_return; }
};

}  // namespace

std::unique_ptr<ShopRoles> make_two_phase_shop(RoleContext&) { return std::make_unique<NotYet>(); }

}  // namespace hf::app
