#include "app/delivery_roles.h"

namespace hf::app {
namespace {

/// How notifier and phone reach others. `client` outlives the function.
auto sender(net::HttpClient& client) {
  return [&client](net::HttpRequest request, std::string url, Monotonic deadline) {
    return client.send(std::move(request), std::move(url), deadline);
  };
}

}  // namespace

DeliveryRoles::DeliveryRoles(RoleContext& context)
    : context_(context), provider_client_(context.world, {}), callback_client_(context.world, {}) {}

Task<> DeliveryRoles::start() {
  const Config& config = context_.config;
  if (config.has_role("phone")) HF_CO_TRY(co_await start_phone());
  if (config.has_role("notifier")) HF_CO_TRY(co_await start_notifier());
  if (config.has_role("router")) HF_CO_TRY(co_await start_router());
  co_return ok();
}

Task<> DeliveryRoles::start_phone() {
  const Config& config = context_.config;
  HF_CO_TRY(phone::check(config.phone, config.phone_listen.host));
  HF_CO_TRY(sql::Database* const database, context_.stores.get("phone"));
  HF_CO_TRY(phone_, co_await phone::Phone::start(context_.world, config.phone, *database, sender(callback_client_)));
  context_.doors.serve("phone", phone_->http());
  co_return ok();
}

Task<> DeliveryRoles::start_notifier() {
  const Config& config = context_.config;
  HF_CO_TRY(notifier::check(config.notifier, config.notifier_listen.host));
  HF_CO_TRY(sql::Database* const database, context_.stores.get("notifier"));
  HF_CO_TRY(notifier_,
            co_await notifier::Notifier::start(context_.world, config.notifier, *database, sender(provider_client_)));
  context_.doors.serve("notifier", notifier_->http());
  notifier_admin_.set(notifier_->admin_http());
  co_return ok();
}

Task<> DeliveryRoles::start_router() {
  HF_CO_TRY(sql::Database* const database, context_.stores.get("router"));
  HF_CO_TRY(messages_, context_.message_client("router"));
  router_ = std::make_unique<router::Router>(context_.world, context_.config.router, *database);
  HF_CO_TRY(co_await router_->start());
  HF_CO_TRY(co_await router_->subscribe(*messages_));
  context_.doors.serve("router", router_->aws_http());
  router_admin_.set(router_->admin_http());
  co_return ok();
}

asio::awaitable<void> DeliveryRoles::stop(Monotonic deadline) {
  co_await context_.doors.drain("router", deadline);
  if (router_) co_await router_->stop();
  co_await context_.doors.drain("notifier", deadline);
  if (notifier_) co_await notifier_->stop();
  if (phone_) co_await phone_->stop();
  co_await context_.doors.drain("phone", deadline);
}

std::vector<console::AdminMount> DeliveryRoles::admin() {
  std::vector<console::AdminMount> mounts;
  if (context_.config.has_role("router")) mounts.push_back({"/admin/router", router_admin_.handler()});
  if (context_.config.has_role("notifier")) {
    mounts.push_back({"/admin/notifier", notifier_admin_.handler()});
    mounts.push_back({"/notifications", notifier_admin_.handler()});
  }
  return mounts;
}

}  // namespace hf::app
