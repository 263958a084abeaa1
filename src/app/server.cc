#include "app/server.h"

#include <vector>

#include "app/broker_admin.h"
#include "app/data_layout.h"
#include "app/delivery_roles.h"
#include "app/local_stores.h"
#include "app/role_context.h"
#include "app/shop_roles.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/grpc_binding.h"
#include "console/admin_server.h"
#include "sys/wait.h"

namespace hf::app {
namespace {

asio::awaitable<void> keep(Task<> task, Result<void>& outcome) { outcome = co_await std::move(task); }

}  // namespace

struct Server::Impl {
  Impl(sys::World w, Config c)
      : context(std::move(w), std::move(c)),
        local_stores(context.world),
        shop(make_shop_roles(context)),
        delivery(context) {}

  Result<void> open_doors();
  void use_actual_addresses();
  void begin_opening_stores();
  Task<> start_broker();
  asio::awaitable<void> stop_broker();
  void start_console();
  std::map<std::string, console::RoleStatus> status() const;

  RoleContext context;
  LocalStores local_stores;
  std::function<void(const Error&)> failed;
  std::map<std::string, std::string> trouble;  ///< role → why it cannot work
  bool draining = false;

  std::unique_ptr<broker::Broker> broker;
  LateHandler broker_admin;
  std::unique_ptr<ShopRoles> shop;
  DeliveryRoles delivery;
};

Result<void> Server::Impl::open_doors() {
  for (const std::string& role : context.config.roles)
    HF_TRY(context.doors.open(role, listen_of(context.config, role)));
  return ok();
}

/// Roles of this process find one another by where they really listen.
void Server::Impl::use_actual_addresses() {
  Config& config = context.config;
  const auto use = [&](const char* role, std::string& url) {
    if (context.doors.has(role)) url = context.doors.url(role);
  };
  use("phone", config.notifier.provider_url);
  use("notifier", config.router.notifier_url);
  use("notifier", config.notifier.callback_base_url);
  use("coordinator", config.two_phase.coordinator_url);
  use("payment", config.place_order.payment_url);
  use("inventory", config.place_order.inventory_url);
}

void Server::Impl::begin_opening_stores() {
  std::map<std::string, std::string> urls;
  for (const auto& [role, url] : databases_of(context.config)) {
    if (context.config.has_role(role)) urls[role] = *url;
  }
  context.stores.begin_opening(std::move(urls));
}

Task<> Server::Impl::start_broker() {
  auto opened = broker::Broker::open(context.world, context.config.broker, context.config.data + "/broker");
  if (!opened) co_return opened.error().with_context("the broker");
  broker = std::move(*opened);
  broker->on_failed([this](const Error& error) {
    trouble["broker"] = error.message;
    if (failed) failed(error.with_context("the broker's log"));
  });
  broker::register_messaging_service(context.doors.grpc("broker"), broker->service(), context.world);
  context.broker = &broker->service();
  broker_admin.set(make_broker_admin(broker->admin()));
  co_return ok();
}

asio::awaitable<void> Server::Impl::stop_broker() {
  if (!broker) co_return;
  if (auto stopped = co_await broker->stop(); !stopped) {
    log::error("app.broker.stop_failed", {{"error", stopped.error().message}});
  }
}

std::map<std::string, console::RoleStatus> Server::Impl::status() const {
  std::map<std::string, console::RoleStatus> all;
  for (const auto& [role, address] : context.doors.addresses()) {
    const auto found = trouble.find(role);
    all[role] = {"http://" + address, found == trouble.end() ? "" : found->second, ""};
    if (role == "shop") all[role].mode = to_string(context.config.mode);
  }
  for (const auto& [name, why] : local_stores.trouble()) all["mariadb-" + name] = {"", why, ""};
  return all;
}

void Server::Impl::start_console() {
  std::vector<console::AdminMount> mounts = delivery.admin();
  for (console::AdminMount& mount : shop->admin()) mounts.push_back(std::move(mount));
  if (context.config.has_role("broker")) mounts.push_back({"/admin/broker", broker_admin.handler()});
  console::AdminOptions options;
  options.token = context.config.admin_token;
  options.roles = [this] { return status(); };
  options.draining = [this] { return draining; };
  context.doors.serve("console",
                      console::make_admin_handler(std::move(options), context.world.metrics, std::move(mounts)));
}

Server::Server(sys::World world, Config config) : impl_(std::make_unique<Impl>(std::move(world), std::move(config))) {}
Server::~Server() = default;

const std::map<std::string, std::string>& Server::addresses() const { return impl_->context.doors.addresses(); }
void Server::on_failed(std::function<void(const Error&)> callback) { impl_->failed = std::move(callback); }

Task<> Server::start() {
  Impl& s = *impl_;
  sys::World& world = s.context.world;
  HF_CO_TRY(world.files.make_dirs(s.context.config.data));
  HF_CO_TRY(s.open_doors());
  s.use_actual_addresses();
  if (s.context.config.has_role("console")) s.start_console();
  HF_CO_TRY(check_layout(world, s.context.config));
  HF_CO_TRY(co_await s.local_stores.start(s.context.config));
  s.begin_opening_stores();
  if (s.context.config.has_role("broker")) HF_CO_TRY(co_await s.start_broker());
  // The shop needs the broker alone: it starts beside the delivery.
  Result<void> shop_started = ok();
  sys::TaskGroup beside(world.executor, world.clock);
  beside.spawn("start_shop", keep(s.shop->start(), shop_started));
  const Result<void> delivery_started = co_await s.delivery.start();
  co_await beside.join();
  HF_CO_TRY(delivery_started);
  HF_CO_TRY(shop_started);
  co_return claim_layout(world, s.context.config);
}

asio::awaitable<void> Server::stop() {
  Impl& s = *impl_;
  s.draining = true;
  const Monotonic deadline = s.context.world.clock.now() + s.context.config.drain;
  // In the order of the flow: who gives work stops before who does it.
  co_await s.shop->stop(deadline);
  co_await s.delivery.stop(deadline);
  co_await s.context.doors.drain("broker", deadline);
  co_await s.stop_broker();
  co_await s.context.stores.close();
  co_await s.local_stores.stop();
  co_await s.context.doors.drain("console", deadline);
}

}  // namespace hf::app
