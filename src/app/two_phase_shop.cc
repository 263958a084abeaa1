#include "app/shop_roles.h"
#include "coordinator/coordinator.h"
#include "net/http.h"
#include "participant/branches_admin.h"
#include "participant/outbox_admin.h"
#include "shop/two_phase/inventory.h"
#include "shop/two_phase/orders.h"
#include "shop/two_phase/payment.h"

namespace hf::app {
namespace {

/// Two-phase commit: order service, payment and inventory, each with its own store, and the coordinator.
class TwoPhaseShop final : public ShopRoles {
 public:
  explicit TwoPhaseShop(RoleContext& context) : context_(context), http_(context.world, {}) {}

  Task<> start() override {
    const Config& config = context_.config;
    if (config.has_role("coordinator")) HF_CO_TRY(co_await start_coordinator());
    if (config.has_role("payment")) HF_CO_TRY(co_await start_payment());
    if (config.has_role("inventory")) HF_CO_TRY(co_await start_inventory());
    if (config.has_role("shop")) HF_CO_TRY(co_await start_orders());
    co_return ok();
  }

  asio::awaitable<void> stop(Monotonic deadline) override {
    co_await context_.doors.drain("shop", deadline);
    if (orders_) co_await orders_->close();
    co_await context_.doors.drain("coordinator", deadline);
    if (coordinator_) co_await coordinator_->stop();
    co_await context_.doors.drain("payment", deadline);
    if (payment_) co_await payment_->close();
    co_await context_.doors.drain("inventory", deadline);
    if (inventory_) co_await inventory_->close();
  }

  std::vector<console::AdminMount> admin() override {
    const Config& config = context_.config;
    std::vector<console::AdminMount> mounts;
    if (config.has_role("coordinator")) mounts.push_back({"/admin/coordinator", coordinator_admin_.handler()});
    if (config.has_role("payment")) mounts.push_back({"/admin/branches/payment", payment_admin_.handler()});
    if (config.has_role("inventory")) mounts.push_back({"/admin/branches/inventory", inventory_admin_.handler()});
    if (config.has_role("shop")) mounts.push_back({"/admin/outbox/shop", outbox_admin_.handler()});
    return mounts;
  }

 private:
  Task<> start_coordinator() {
    HF_CO_TRY(sql::Database* const database, context_.stores.get("coordinator"));
    coordinator::CoordinatorConfig config = context_.config.coordinator;
    if (config.base_url.empty()) config.base_url = context_.doors.url("coordinator");
    coordinator_ = std::make_unique<coordinator::Coordinator>(context_.world, std::move(config), *database, sender());
    HF_CO_TRY(co_await coordinator_->start());
    context_.doors.serve("coordinator", coordinator_->http());
    coordinator_admin_.set(coordinator_->admin_http());
    co_return ok();
  }

  Task<> start_payment() {
    HF_CO_TRY(sql::Database* const database, context_.stores.get("payment"));
    payment_ = std::make_unique<shop::two_phase::Payment>(context_.world, context_.config.payment, link("payment"),
                                                          *database, sender());
    HF_CO_TRY(co_await payment_->start());
    context_.doors.serve("payment", payment_->handler());
    payment_admin_.set(participant::make_branches_admin("payment", payment_->branches()));
    co_return ok();
  }

  Task<> start_inventory() {
    HF_CO_TRY(sql::Database* const database, context_.stores.get("inventory"));
    inventory_ = std::make_unique<shop::two_phase::Inventory>(context_.world, context_.config.inventory,
                                                              link("inventory"), *database, sender());
    HF_CO_TRY(co_await inventory_->start());
    context_.doors.serve("inventory", inventory_->handler());
    inventory_admin_.set(participant::make_branches_admin("inventory", inventory_->branches()));
    co_return ok();
  }

  Task<> start_orders() {
    HF_CO_TRY(sql::Database* const database, context_.stores.get("shop"));
    HF_CO_TRY(messages_, context_.message_client("shop"));
    participant::OutboxConfig outbox = context_.config.local_table.outbox;
    outbox.name = "shop";
    orders_ = std::make_unique<shop::two_phase::Orders>(context_.world, context_.config.place_order, link("shop"),
                                                        *database, *messages_, sender(), std::move(outbox));
    HF_CO_TRY(co_await orders_->start());
    context_.doors.serve("shop", orders_->handler());
    outbox_admin_.set(participant::make_outbox_admin("shop", orders_->outbox()));
    co_return ok();
  }

  /// How a service reaches the coordinator, and is reached by it.
  participant::TwoPhaseConfig link(const std::string& role) const {
    const Config& config = context_.config;
    const std::string& own = config.base_urls.at(role);
    participant::TwoPhaseConfig link;
    link.base_url = own.empty() ? context_.doors.url(role) : own;
    link.coordinator_url = config.two_phase.coordinator_url;
    link.secret = config.two_phase.secret;
    link.call_timeout = config.two_phase.call_timeout;
    link.ask_after = config.two_phase.ask_after;
    link.ask_max = config.two_phase.ask_max;
    link.alarm_after = config.two_phase.alarm_after;
    return link;
  }

  participant::SendHttp sender() {
    return [this](net::HttpRequest request, std::string url, Monotonic deadline) {
      return http_.send(std::move(request), std::move(url), deadline);
    };
  }

  RoleContext& context_;
  net::HttpClient http_;  ///< calls between the services
  std::unique_ptr<mq::Client> messages_;
  std::unique_ptr<coordinator::Coordinator> coordinator_;
  std::unique_ptr<shop::two_phase::Payment> payment_;
  std::unique_ptr<shop::two_phase::Inventory> inventory_;
  std::unique_ptr<shop::two_phase::Orders> orders_;
  LateHandler coordinator_admin_, payment_admin_, inventory_admin_, outbox_admin_;
};

}  // namespace

std::unique_ptr<ShopRoles> make_two_phase_shop(RoleContext& context) { return std::make_unique<TwoPhaseShop>(context); }

}  // namespace hf::app
