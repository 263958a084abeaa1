#include "app/shop_roles.h"
#include "shop/local_table/inventory.h"
#include "shop/local_table/orders.h"

namespace hf::app {
namespace {

/// Local message table: order service and inventory, each with its own store, that talk by messages alone.
class OutboxShop final : public ShopRoles {
 public:
  explicit OutboxShop(RoleContext& context) : context_(context) {}

  Task<> start() override {
    if (context_.config.has_role("inventory")) HF_CO_TRY(co_await start_inventory());
    if (context_.config.has_role("shop")) HF_CO_TRY(co_await start_orders());
    co_return ok();
  }

  asio::awaitable<void> stop(Monotonic deadline) override {
    co_await context_.doors.drain("shop", deadline);
    co_await context_.doors.drain("inventory", deadline);
    if (orders_) co_await orders_->close();
    if (inventory_) co_await inventory_->close();
  }

 private:
  Task<> start_inventory() {
    HF_CO_TRY(sql::Database* const database, context_.stores.get("inventory"));
    HF_CO_TRY(inventory_messages_, context_.message_client("inventory"));
    inventory_ = std::make_unique<shop::local_table::Inventory>(context_.world, config_of("inventory"), *database,
                                                                *inventory_messages_);
    HF_CO_TRY(co_await inventory_->start());
    context_.doors.serve("inventory", inventory_->handler());
    co_return ok();
  }

  Task<> start_orders() {
    HF_CO_TRY(sql::Database* const database, context_.stores.get("shop"));
    HF_CO_TRY(orders_messages_, context_.message_client("shop"));
    orders_ =
        std::make_unique<shop::local_table::Orders>(context_.world, config_of("shop"), *database, *orders_messages_);
    HF_CO_TRY(co_await orders_->start());
    context_.doors.serve("shop", orders_->handler());
    co_return ok();
  }

  /// Both have an outbox and an inbox: their metrics are told apart by name.
  shop::LocalTableConfig config_of(const std::string& role) const {
    shop::LocalTableConfig config = context_.config.local_table;
    config.outbox.name = config.inbox.name = role;
    return config;
  }

  RoleContext& context_;
  std::unique_ptr<mq::Client> orders_messages_, inventory_messages_;
  std::unique_ptr<shop::local_table::Inventory> inventory_;
  std::unique_ptr<shop::local_table::Orders> orders_;
};

}  // namespace

std::unique_ptr<ShopRoles> make_outbox_shop(RoleContext& context) { return std::make_unique<OutboxShop>(context); }

}  // namespace hf::app
