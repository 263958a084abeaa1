#include "app/shop_roles.h"
#include "shop/shop.h"

namespace hf::app {
namespace {

/// Transactional message: one service, one store.
class MessageShop final : public ShopRoles {
 public:
  explicit MessageShop(RoleContext& context) : context_(context) {}

  Task<> start() override {
    if (!context_.config.has_role("shop")) co_return ok();
    HF_CO_TRY(sql::Database* const database, context_.stores.get("shop"));
    HF_CO_TRY(messages_, context_.message_client("shop"));
    shop_ = std::make_unique<shop::Shop>(context_.world, context_.config.shop, *database, *messages_);
    HF_CO_TRY(co_await shop_->start());
    context_.doors.serve("shop", shop_->handler());
    co_return ok();
  }

  asio::awaitable<void> stop(Monotonic deadline) override {
    co_await context_.doors.drain("shop", deadline);
    if (shop_) co_await shop_->close();
  }

 private:
  RoleContext& context_;
  std::unique_ptr<mq::Client> messages_;
  std::unique_ptr<shop::Shop> shop_;
};

}  // namespace

std::unique_ptr<ShopRoles> make_message_shop(RoleContext& context) { return std::make_unique<MessageShop>(context); }

std::unique_ptr<ShopRoles> make_shop_roles(RoleContext& context) {
  switch (context.config.mode) {
    case ShopMode::message:
      return make_message_shop(context);
    case ShopMode::outbox:
      return make_outbox_shop(context);
    case ShopMode::two_phase:
      return make_two_phase_shop(context);
  }
  HF_ASSERT(false);
  return nullptr;
}

}  // namespace hf::app
