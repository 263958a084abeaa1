#include "app/shop_roles.h"
#include "participant/outbox_admin.h"
#include "shop/local_table/inventory.h"
#include "shop/local_table/orders.h"

namespace hf::app {
namespace {

/// Local message table: order service and inventory, each with its own store and its own outbox.
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
    if (orders_) co_await orders_->close();
    co_await context_.doors.drain("inventory", deadline);
    if (inventory_) co_await inventory_->close();
    if (apart_) co_await apart_->close();
  }

  std::vector<console::AdminMount> admin() override {
    std::vector<console::AdminMount> mounts;
    if (context_.config.has_role("shop")) mounts.push_back({"/admin/outbox/shop", shop_admin_.handler()});
    if (context_.config.has_role("inventory")) {
      mounts.push_back({"/admin/outbox/inventory", inventory_admin_.handler()});
    }
    return mounts;
  }

 private:
  Task<> start_orders() {
    HF_CO_TRY(sql::Database* const database, context_.stores.get("shop"));
    HF_CO_TRY(shop_messages_, context_.message_client("shop"));
    const std::string& apart = context_.config.outbox_database;
    if (!apart.empty() &&
        apart != context_.config.shop_database) {  // the service compares, and says why it cannot be another one
      HF_CO_TRY(apart_, sql::open(context_.world, apart, context_.config.data));
    }
    orders_ = std::make_unique<shop::local_table::Orders>(context_.world, context_.config.local_table, *database,
                                                          *shop_messages_, apart_.get());
    HF_CO_TRY(co_await orders_->start());
    context_.doors.serve("shop", orders_->handler());
    shop_admin_.set(participant::make_outbox_admin("shop", orders_->outbox()));
    co_return ok();
  }

  Task<> start_inventory() {
    HF_CO_TRY(sql::Database* const database, context_.stores.get("inventory"));
    HF_CO_TRY(inventory_messages_, context_.message_client("inventory"));
    inventory_ = std::make_unique<shop::local_table::Inventory>(context_.world, context_.config.local_table, *database,
                                                                *inventory_messages_);
    HF_CO_TRY(co_await inventory_->start());
    context_.doors.serve("inventory", inventory_->handler());
    inventory_admin_.set(participant::make_outbox_admin("inventory", inventory_->outbox()));
    co_return ok();
  }

  RoleContext& context_;
  std::unique_ptr<mq::Client> shop_messages_, inventory_messages_;
  std::unique_ptr<sql::Database> apart_;  ///< the outbox's, if the configuration wants another one
  std::unique_ptr<shop::local_table::Orders> orders_;
  std::unique_ptr<shop::local_table::Inventory> inventory_;
  LateHandler shop_admin_, inventory_admin_;
};

}  // namespace

std::unique_ptr<ShopRoles> make_outbox_shop(RoleContext& context) { return std::make_unique<OutboxShop>(context); }

}  // namespace hf::app
