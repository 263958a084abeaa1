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

struct Store {
  const char* name;
  std::string url;
  Task<> (*read)(sql::Database&, reconcile::Facts&);
};

Task<> read_store(sys::World world, Store store, std::string data, reconcile::Facts& facts) {
  auto database = sql::open(world, with_option(store.url, "mode=ro"), data);
  if (!database) co_return database.error().with_context(fmt::format("opening {}'s database", store.name));
  const Result<void> read = co_await store.read(**database, facts);
  co_await (*database)->close();
  co_return read;
}

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
  // Against the flow: whatever is read of an earlier hop is at least as new as what was read of a later one, so that
  // an order on its way is never mistaken for a notification without an order.
  const Store stores[] = {{"the phone", config.phone.database, reconcile::read_phone},
                          {"the notifier", config.notifier.database, reconcile::read_notifier},
                          {"the router", config.router_database, reconcile::read_router}};
  reconcile::Facts facts;
  for (const Store& store : stores) HF_CO_TRY(co_await read_store(world, store, config.data, facts));
  HF_CO_TRY(co_await reconcile::read_broker(world, std::move(admin), std::move(token), config.shop.topic, facts));
  const Store shop{"the shop", config.shop_database, reconcile::read_shop};
  HF_CO_TRY(co_await read_store(world, shop, config.data, facts));
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
