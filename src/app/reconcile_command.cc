#include "app/reconcile_command.h"

#include <fmt/format.h>

#include <cstdio>

#include "app/cli.h"
#include "app/data_layout.h"
#include "app/local_stores.h"
#include "app/report.h"
#include "app/stores.h"
#include "base/log.h"
#include "reconcile/readers.h"
#include "sql/database.h"
#include "sys/loop.h"

namespace hf::app {
namespace {

using Read = std::function<Task<>(sql::Database&, reconcile::Facts&)>;

class Reading {
 public:
  Reading(sys::World world, Config config) : world_(std::move(world)), config_(std::move(config)) {
    for (const auto& [role, url] : databases_of(config_)) urls_[role] = *url;
  }

  /// Against the flow: whatever is read of an earlier hop is at least as new as what was read of a later one, so that
  /// an order on its way is never mistaken for a notification without an order.
  Task<reconcile::Facts> all(std::string admin, std::string token) {
    HF_CO_TRY(co_await read("phone", reconcile::read_phone));
    HF_CO_TRY(co_await read("notifier", reconcile::read_notifier));
    HF_CO_TRY(co_await read("router", reconcile::read_router));
    switch (config_.mode) {
      case ShopMode::message: {
        HF_CO_TRY(co_await reconcile::read_broker(world_, admin, token, config_.shop.topic, facts_));
        HF_CO_TRY(co_await read("shop", reconcile::read_shop));
        break;
      }
      case ShopMode::outbox:
        HF_CO_TRY(co_await outbox());
        break;
      case ShopMode::two_phase:
        HF_CO_TRY(co_await two_phase());
        break;
    }
    co_return std::move(facts_);
  }

 private:
  Task<> outbox() {
    facts_.mode = reconcile::Mode::outbox;
    HF_CO_TRY(co_await read("inventory", reconcile::read_outbox_inventory));
    Read shop = [this](sql::Database& database, reconcile::Facts& facts) {
      return reconcile::read_outbox_shop(database, config_.shop.topic, facts);
    };
    co_return co_await read("shop", std::move(shop));
  }

  /// What was over, at the order service and the coordinator, before payment and inventory were read, must show there.
  Task<> two_phase() {
    facts_.mode = reconcile::Mode::two_phase;
    HF_CO_TRY(co_await read("shop", reconcile::read_two_phase_shop_before));
    HF_CO_TRY(co_await read("coordinator", reconcile::read_coordinator));
    for (const char* store : {"payment", "inventory"}) HF_CO_TRY(co_await read_xa(store));
    HF_CO_TRY(co_await read("payment", reconcile::read_payment));
    HF_CO_TRY(co_await read("inventory", reconcile::read_two_phase_inventory));
    Read shop = [this](sql::Database& database, reconcile::Facts& facts) {
      return reconcile::read_two_phase_shop(database, config_.shop.topic, facts);
    };
    co_return co_await read("shop", std::move(shop));
  }

  Task<> read(std::string store, Read into) {
    co_return co_await read_at(store, with_option(urls_.at(store), "mode=ro"), std::move(into));
  }
  /// XA RECOVER is no query: it needs a connection of the other kind.
  Task<> read_xa(std::string store) {
    if (!urls_.at(store).starts_with("mysql:")) co_return ok();
    Read into = [store, active_max = config_.coordinator.active_max](sql::Database& database, reconcile::Facts& facts) {
      return reconcile::read_xa_branches(database, store, active_max, facts);
    };
    co_return co_await read_at(store, urls_.at(store), std::move(into));
  }
  Task<> read_at(std::string store, std::string url, Read into) {
    auto database = sql::open(world_, url, config_.data);
    if (!database) co_return database.error().with_context("opening the database of " + store);
    const Result<void> done = co_await into(**database, facts_);
    co_await (*database)->close();
    co_return done;
  }

  sys::World world_;
  Config config_;
  std::map<std::string, std::string> urls_;
  reconcile::Facts facts_;
};

Result<reconcile::Window> parse_window(const ReconcileOptions& options, WallTime now) {
  reconcile::Window window;
  if (!options.from.empty()) {
    HF_TRY(const WallTime from, from_rfc3339(options.from));
    window.from_us = to_us(from);
  }
  if (!options.until.empty()) {
    HF_TRY(const WallTime until, from_rfc3339(options.until));
    window.until_us = to_us(until);
  } else {
    HF_TRY(const Duration grace, parse_duration(options.grace));
    window.until_us = to_us(now - std::chrono::duration_cast<std::chrono::microseconds>(grace));
  }
  if (window.from_us >= window.until_us)
    return Error{Code::invalid, "the window is empty: --from is not before --until"};
  return window;
}

Task<reconcile::Report> read_and_audit(sys::World world, const Config& config, std::string admin, std::string token,
                                       reconcile::Window window) {
  Reading reading(world, config);
  HF_CO_TRY(const reconcile::Facts facts, co_await reading.all(std::move(admin), std::move(token)));
  co_return reconcile::audit(facts, window);
}

Task<reconcile::Report> check(sys::World world, Config config, ReconcileOptions options) {
  HF_CO_TRY(const reconcile::Window window, parse_window(options, world.clock.wall()));
  co_return co_await run_reconciliation(world, config, options.admin, options.admin_token, window);
}

}  // namespace

Task<reconcile::Report> run_reconciliation(sys::World world, Config config, std::string admin, std::string token,
                                           reconcile::Window window) {
  LocalStores local(world);
  if (Result<void> borrowed = co_await local.borrow(config); !borrowed) {
    co_await local.stop();
    co_return borrowed.error();
  }
  Result<reconcile::Report> report = co_await read_and_audit(world, config, std::move(admin), std::move(token), window);
  co_await local.stop();
  co_return report;
}

int reconcile_command(const ConfigSources& sources, const ReconcileOptions& options, bool json) {
  log::set_level(log::Level::error);
  sys::Loop loop;
  const Result<Config> config = load_configuration_beside(loop.world(), sources);
  if (!config) {
    std::fprintf(stderr, "holdfast: %s\n", config.error().message.c_str());
    return kExitNotDone;
  }
  const Result<reconcile::Report> report = loop.run_until_done(check(loop.world(), *config, options));
  if (!report) {
    std::fprintf(stderr, "holdfast: could not check: %s\n", report.error().message.c_str());
    return kExitNotDone;
  }
  std::fputs((json ? report_json(*report) : print_report(*report)).c_str(), stdout);
  return report->clean() ? kExitYes : kExitNo;
}

}  // namespace hf::app
