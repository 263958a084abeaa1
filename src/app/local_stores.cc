#include "app/local_stores.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/stores.h"
#include "base/log.h"
#include "net/backoff.h"
#include "sys/files.h"

namespace hf::app {
namespace {

using sql::mysql::LocalServer;

std::string folder_of(const Config& config, const LocalServerPlan& plan) {
  return fmt::format("{}/mariadb/{}", config.data, plan.name);
}

/// Beside the server's data, for commands in other processes: its URL without a database, "mysql://root@…/?socket=…".
std::string url_file(const std::string& folder) { return folder + "/url"; }
constexpr std::string_view kStore = "{store}";

void use(Config& config, const LocalServerPlan& plan, const std::string& url_template) {
  for (const std::string& store : plan.stores) {
    std::string url = url_template;
    url.replace(url.find(kStore), kStore.size(), store);
    *databases_of(config).at(store) = std::move(url);
  }
}

}  // namespace

std::vector<LocalServerPlan> plan_local_servers(Config& config) {
  if (config.store == StoreKind::sqlite) return {};
  LocalServerPlan payment{"payment", {}}, inventory{"inventory", {}}, all{"all", {}};
  for (const auto& [role, url] : databases_of(config)) {
    if (!url->starts_with("sqlite:")) continue;
    const bool two_phase = config.mode == ShopMode::two_phase;
    if (two_phase && role == "payment") {
      payment.stores.push_back(role);
    } else if (two_phase && role == "inventory") {
      inventory.stores.push_back(role);
    } else if (!two_phase || config.store == StoreKind::mariadb_all) {
      all.stores.push_back(role);
    }
  }
  std::vector<LocalServerPlan> plans{payment, inventory, all};
  std::erase_if(plans, [](const LocalServerPlan& plan) { return plan.stores.empty(); });
  return plans;
}

LocalStores::LocalStores(sys::World world)
    : world_(std::move(world)), stop_asked_(world_.clock), tasks_(world_.executor, world_.clock) {}

Task<> LocalStores::start(Config& config) {
  std::vector<LocalServerPlan> plans = plan_local_servers(config);
  std::erase_if(plans, [&](const LocalServerPlan& plan) {
    return std::none_of(plan.stores.begin(), plan.stores.end(),
                        [&](const auto& role) { return config.has_role(role); });
  });
  HF_CO_TRY(co_await start_all(config, std::move(plans)));
  for (const auto& local : servers_) {
    const std::string url = local->server->url(std::string(kStore));
    HF_CO_TRY(sys::replace_file(world_.files, url_file(folder_of(config, local->plan)), url));
    use(config, local->plan, url);
    tasks_.spawn("watch_mariadb", watch(*local));
  }
  co_return ok();
}

Task<> LocalStores::borrow(Config& config) {
  std::vector<LocalServerPlan> missing;
  for (LocalServerPlan& plan : plan_local_servers(config)) {
    const std::string folder = folder_of(config, plan);
    const Result<std::string> url = sys::read_file(world_.files, url_file(folder));
    if (!url) co_return Error{Code::unavailable, fmt::format("no server was ever started in {}", folder)};
    use(config, plan, *url);
    const auto opened = sql::open(world_, with_option(*databases_of(config).at(plan.stores.front()), "mode=ro"), "");
    if (opened) {
      co_await (*opened)->close();
    } else if (opened.error().code == Code::unavailable) {
      missing.push_back(std::move(plan));
    }
  }
  HF_CO_TRY(co_await start_all(config, std::move(missing)));
  for (const auto& local : servers_) use(config, local->plan, local->server->url(std::string(kStore)));
  co_return ok();
}

Task<> LocalStores::start_all(Config& config, std::vector<LocalServerPlan> plans) {
  for (LocalServerPlan& plan : plans) {
    auto local = std::make_unique<Local>();
    local->plan = std::move(plan);
    local->control = world_.make_worker("mariadb", 1);
    local->waiting = world_.make_worker("mariadb-wait", 1);
    servers_.push_back(std::move(local));
  }
  sys::TaskGroup beside(world_.executor, world_.clock);
  for (const auto& local : servers_) beside.spawn("start_mariadb", start_one(*local, folder_of(config, local->plan)));
  co_await beside.join();
  for (const auto& local : servers_) HF_CO_TRY(local->started);
  co_return ok();
}

asio::awaitable<void> LocalStores::start_one(Local& local, std::string folder) {
  std::function<Result<void>()> work = [&local, &folder]() -> Result<void> {
    sql::mysql::LocalServerOptions options;
    options.folder = folder;
    auto started = LocalServer::start(std::move(options));
    if (!started) return started.error().with_context(local.plan.name + "'s MariaDB server");
    local.server = std::move(*started);
    return ok();
  };
  local.started = co_await local.control->run(std::move(work));
}

asio::awaitable<void> LocalStores::watch(Local& local) {
  for (;;) {
    std::function<Result<void>()> wait = [&local]() -> Result<void> {
      local.server->wait_until_gone();
      return ok();
    };
    (void)co_await local.waiting->run(std::move(wait));
    if (stopping_) co_return;
    trouble_[local.plan.name] = "its MariaDB server died and is being started again";
    log::error("app.mariadb.died", {{"server", local.plan.name}});
    co_await start_again(local);
    if (stopping_) co_return;
    trouble_.erase(local.plan.name);
  }
}

/// Until it runs, or we stop.
asio::awaitable<void> LocalStores::start_again(Local& local) {
  const net::Backoff backoff{.first = 100ms, .max = 5s};
  for (std::uint32_t tries = 0; !stopping_; ++tries) {
    std::function<Result<void>()> work = [&local] { return local.server->start_again(); };
    const Result<void> started = co_await local.control->run(std::move(work));
    if (started) co_return;
    log::error("app.mariadb.not_started", {{"server", local.plan.name}, {"error", started.error().message}});
    co_await stop_asked_.wait_until(world_.clock.now() + backoff.delay(tries, world_.random));
  }
}

asio::awaitable<void> LocalStores::stop() {
  stopping_ = true;
  stop_asked_.notify_all();
  for (const auto& local : servers_) {
    if (!local->server) continue;
    std::function<Result<void>()> work = [server = local->server.get()]() -> Result<void> {
      server->shut_down();
      return ok();
    };
    (void)co_await local->control->run(std::move(work));
  }
  co_await tasks_.join();
}

}  // namespace hf::app
