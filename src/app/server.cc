#include "app/server.h"

#include <fmt/format.h>

#include <future>
#include <vector>

#include "app/broker_admin.h"
#include "app/http_error.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/grpc_binding.h"
#include "console/admin_server.h"
#include "net/listener.h"
#include "notifier/notifier.h"
#include "phone/phone.h"
#include "router/router.h"
#include "shop/shop.h"
#include "sys/wait.h"

namespace hf::app {
namespace {

/// A handler that is set once its role has started; 503 until then, and again while it stops.
class LateHandler {
 public:
  void set(net::HttpHandler handler) { *handler_ = std::move(handler); }
  net::HttpHandler handler() const {
    return [handler = handler_](net::HttpRequest request) { return forward(handler, std::move(request)); };
  }

 private:
  static asio::awaitable<net::HttpResponse> forward(std::shared_ptr<net::HttpHandler> handler,
                                                    net::HttpRequest request) {
    if (*handler) co_return co_await (*handler)(std::move(request));
    net::HttpResponse starting = http_error(Error{Code::unavailable, "starting"});
    starting.headers.add("Retry-After", "1");
    co_return starting;
  }
  std::shared_ptr<net::HttpHandler> handler_ = std::make_shared<net::HttpHandler>();
};

/// How notifier and phone reach others. `client` outlives the function.
auto sender(net::HttpClient& client) {
  return [&client](net::HttpRequest request, std::string url, Monotonic deadline) {
    return client.send(std::move(request), std::move(url), deadline);
  };
}

asio::awaitable<void> keep(Task<> task, Result<void>& outcome) { outcome = co_await std::move(task); }

/// What one role has open.
struct Door {
  LateHandler http;
  std::shared_ptr<net::GrpcService> grpc;
  std::unique_ptr<net::Listener> listener;
};

}  // namespace

struct Server::Impl {
  Impl(sys::World w, Config c)
      : world(std::move(w)), config(std::move(c)), provider_client(world, {}), callback_client(world, {}) {}

  Result<void> open_door(const std::string& role, const ListenConfig& listen);
  Result<void> open_doors();
  void use_actual_addresses();
  void begin_opening_databases();
  Result<std::unique_ptr<sql::Database>> database_of(const std::string& role) { return opening.at(role).get(); }
  Result<std::unique_ptr<mq::Client>> message_client(const std::string& name);

  Task<> start_broker();
  Task<> start_phone();
  Task<> start_notifier();
  Task<> start_router();
  Task<> start_shop();
  Task<> start_delivery();
  void start_console();
  std::map<std::string, console::RoleStatus> status() const;

  sys::World world;
  Config config;
  std::map<std::string, Door> doors;
  std::map<std::string, std::string> addresses;
  std::function<void(const Error&)> failed;
  std::map<std::string, std::string> trouble;  ///< role → why it cannot work
  bool draining = false;

  std::unique_ptr<broker::Broker> broker;
  net::HttpClient provider_client;  ///< the notifier's calls
  net::HttpClient callback_client;  ///< the phone's status callbacks
  std::unique_ptr<sql::Database> phone_database, notifier_database, router_database, shop_database;
  std::unique_ptr<phone::Phone> phone;
  std::unique_ptr<notifier::Notifier> notifier;
  std::unique_ptr<mq::Client> router_messages, shop_messages;
  std::unique_ptr<router::Router> router;
  std::unique_ptr<shop::Shop> shop;
  LateHandler broker_admin, router_admin, notifier_admin;

  std::map<std::string, std::future<Result<std::unique_ptr<sql::Database>>>> opening;  ///< by role
  std::unique_ptr<sys::Worker> opener;  ///< first to go: its threads fill `opening`
};

Result<void> Server::Impl::open_door(const std::string& role, const ListenConfig& listen) {
  Door door;
  net::ListenerOptions options;
  options.name = role;
  options.host = listen.host;
  options.port = listen.port;
  if (role == "broker") {
    door.grpc = std::make_shared<net::GrpcService>();
    options.grpc = door.grpc;
    options.tls = net::TlsServerConfig{listen.certificate_file, listen.key_file};
  } else {
    options.http = door.http.handler();
    // PutEvents takes 1 MiB of entries, and JSON in JSON grows when it is escaped.
    if (role == "router") options.http_limits.body_bytes = 8u << 20;
  }
  auto started = net::Listener::start(world, std::move(options));
  if (!started) return started.error().with_context("role " + role);
  door.listener = std::move(*started);
  addresses[role] = fmt::format("{}:{}", listen.host, door.listener->port());
  doors.emplace(role, std::move(door));
  return ok();
}

Result<void> Server::Impl::open_doors() {
  const std::pair<const char*, const ListenConfig*> all[] = {
      {"broker", &config.broker_listen}, {"phone", &config.phone_listen}, {"notifier", &config.notifier_listen},
      {"router", &config.router_listen}, {"shop", &config.shop_listen},   {"console", &config.console_listen}};
  for (const auto& [role, listen] : all) {
    if (config.has_role(role)) HF_TRY(open_door(role, *listen));
  }
  return ok();
}

/// Roles of this process find one another by where they really listen.
void Server::Impl::use_actual_addresses() {
  const auto url_of = [&](const char* role) { return "http://" + addresses.at(role); };
  if (addresses.contains("phone")) config.notifier.provider_url = url_of("phone");
  if (addresses.contains("notifier")) {
    config.router.notifier_url = url_of("notifier");
    config.notifier.callback_base_url = url_of("notifier");
  }
}

/// A database is made durable in many small steps that wait for the disk: all are opened side by side, and beside the
/// broker's log.
void Server::Impl::begin_opening_databases() {
  const std::pair<const char*, const std::string*> all[] = {{"phone", &config.phone.database},
                                                            {"notifier", &config.notifier.database},
                                                            {"router", &config.router_database},
                                                            {"shop", &config.shop_database}};
  opener = world.make_worker("open", std::size(all));
  for (const auto& [role, url] : all) {
    if (!config.has_role(role)) continue;
    auto opened = std::make_shared<std::promise<Result<std::unique_ptr<sql::Database>>>>();
    opening[role] = opened->get_future();
    const bool posted =
        opener->post([this, opened, where = *url] { opened->set_value(sql::open(world, where, config.data)); });
    HF_ASSERT(posted);
  }
}

Result<std::unique_ptr<mq::Client>> Server::Impl::message_client(const std::string& name) {
  mq::ClientConfig client;
  client.url = config.messages;
  client.access_key = config.messages_access_key;
  client.secret_key = config.messages_secret_key;
  client.name = "holdfast-" + name;
  if (broker && config.messages == "embedded:") {
    client.access_key = config.broker_access_key;
    client.secret_key = config.broker_secret_key;
  }
  return mq::Client::make(world, client, broker ? &broker->service() : nullptr);
}

Task<> Server::Impl::start_broker() {
  auto opened = broker::Broker::open(world, config.broker, config.data + "/broker");
  if (!opened) co_return opened.error().with_context("the broker");
  broker = std::move(*opened);
  broker->on_failed([this](const Error& error) {
    trouble["broker"] = error.message;
    if (failed) failed(error.with_context("the broker's log"));
  });
  broker::register_messaging_service(*doors.at("broker").grpc, broker->service(), world);
  broker_admin.set(make_broker_admin(broker->admin()));
  co_return ok();
}

Task<> Server::Impl::start_phone() {
  HF_CO_TRY(phone::check(config.phone, config.phone_listen.host));
  HF_CO_TRY(phone_database, database_of("phone"));
  HF_CO_TRY(phone, co_await phone::Phone::start(world, config.phone, *phone_database, sender(callback_client)));
  doors.at("phone").http.set(phone->http());
  co_return ok();
}

Task<> Server::Impl::start_notifier() {
  HF_CO_TRY(notifier::check(config.notifier, config.notifier_listen.host));
  HF_CO_TRY(notifier_database, database_of("notifier"));
  HF_CO_TRY(notifier,
            co_await notifier::Notifier::start(world, config.notifier, *notifier_database, sender(provider_client)));
  doors.at("notifier").http.set(notifier->http());
  notifier_admin.set(notifier->admin_http());
  co_return ok();
}

Task<> Server::Impl::start_router() {
  HF_CO_TRY(router_database, database_of("router"));
  HF_CO_TRY(router_messages, message_client("router"));
  router = std::make_unique<router::Router>(world, config.router, *router_database);
  HF_CO_TRY(co_await router->start());
  HF_CO_TRY(co_await router->subscribe(*router_messages));
  doors.at("router").http.set(router->aws_http());
  router_admin.set(router->admin_http());
  co_return ok();
}

Task<> Server::Impl::start_shop() {
  HF_CO_TRY(shop_database, database_of("shop"));
  HF_CO_TRY(shop_messages, message_client("shop"));
  shop = std::make_unique<shop::Shop>(world, config.shop, *shop_database, *shop_messages);
  HF_CO_TRY(co_await shop->start());
  doors.at("shop").http.set(shop->handler());
  co_return ok();
}

Task<> Server::Impl::start_delivery() {
  if (config.has_role("phone")) HF_CO_TRY(co_await start_phone());
  if (config.has_role("notifier")) HF_CO_TRY(co_await start_notifier());
  if (config.has_role("router")) HF_CO_TRY(co_await start_router());
  co_return ok();
}

std::map<std::string, console::RoleStatus> Server::Impl::status() const {
  std::map<std::string, console::RoleStatus> all;
  for (const auto& [role, address] : addresses) {
    const auto found = trouble.find(role);
    all[role] = {"http://" + address, found == trouble.end() ? "" : found->second};
  }
  return all;
}

void Server::Impl::start_console() {
  std::vector<console::AdminMount> mounts;
  if (config.has_role("broker")) mounts.push_back({"/admin/broker", broker_admin.handler()});
  if (config.has_role("router")) mounts.push_back({"/admin/router", router_admin.handler()});
  if (config.has_role("notifier")) {
    mounts.push_back({"/admin/notifier", notifier_admin.handler()});
    mounts.push_back({"/notifications", notifier_admin.handler()});
  }
  console::AdminOptions options;
  options.token = config.admin_token;
  options.roles = [this] { return status(); };
  options.draining = [this] { return draining; };
  doors.at("console").http.set(console::make_admin_handler(std::move(options), world.metrics, std::move(mounts)));
}

Server::Server(sys::World world, Config config) : impl_(std::make_unique<Impl>(std::move(world), std::move(config))) {}
Server::~Server() = default;

const std::map<std::string, std::string>& Server::addresses() const { return impl_->addresses; }
void Server::on_failed(std::function<void(const Error&)> callback) { impl_->failed = std::move(callback); }

Task<> Server::start() {
  Impl& s = *impl_;
  HF_CO_TRY(s.world.files.make_dirs(s.config.data));
  HF_CO_TRY(s.open_doors());
  s.use_actual_addresses();
  if (s.config.has_role("console")) s.start_console();
  s.begin_opening_databases();
  if (s.config.has_role("broker")) HF_CO_TRY(co_await s.start_broker());
  // The shop needs the broker alone. The others start from the end of the flow: each calls the one before it at once.
  Result<void> shop_started = ok();
  sys::TaskGroup beside(s.world.executor, s.world.clock);
  if (s.config.has_role("shop")) beside.spawn("start_shop", keep(s.start_shop(), shop_started));
  const Result<void> others_started = co_await s.start_delivery();
  co_await beside.join();
  HF_CO_TRY(others_started);
  co_return shop_started;
}

asio::awaitable<void> Server::stop() {
  Impl& s = *impl_;
  s.draining = true;
  const Monotonic deadline = s.world.clock.now() + s.config.drain;
  const auto close = [&](const char* role) -> asio::awaitable<void> {
    const auto door = s.doors.find(role);
    if (door != s.doors.end()) co_await door->second.listener->drain(deadline);
  };
  // In the order of the flow: who gives work stops before who does it.
  co_await close("shop");
  if (s.shop) co_await s.shop->close();
  co_await close("router");
  if (s.router) co_await s.router->stop();
  co_await close("notifier");
  if (s.notifier) co_await s.notifier->stop();
  if (s.phone) co_await s.phone->stop();
  co_await close("phone");
  co_await close("broker");
  if (s.broker) {
    if (auto stopped = co_await s.broker->stop(); !stopped) {
      log::error("app.broker.stop_failed", {{"error", stopped.error().message}});
    }
  }
  for (auto* database : {&s.shop_database, &s.router_database, &s.notifier_database, &s.phone_database}) {
    if (*database) co_await (*database)->close();
  }
  co_await close("console");
}

}  // namespace hf::app
