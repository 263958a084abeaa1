#pragma once

/// The inventory service, whole: database and way to the coordinator in; one handler out. Default port 9652.
///
///   shop::two_phase::Inventory inventory(world, config.inventory, link, *database, send);
///   HF_CO_TRY(co_await inventory.start());
///   listener_options.http = inventory.handler();       // business calls, prepare and notify: one port
///   …  stop listening;  co_await inventory.close();
///
/// Paths: docs/protocols/shop-http.md. Tables: docs/formats/shop.md.

#include <memory>

#include "net/http.h"
#include "participant/two_phase.h"
#include "shop/config.h"
#include "sql/database.h"

namespace hf::shop::two_phase {

/// One strand. `database` outlives it; close() is awaited before it is destroyed.
class Inventory {
 public:
  /// `link`: base_url, coordinator_url, secret and times; its name is set here ("inventory").
  Inventory(sys::World world, InventoryConfig config, participant::TwoPhaseConfig link, sql::Database& database,
            participant::SendHttp send);
  ~Inventory();
  Inventory(const Inventory&) = delete;
  Inventory& operator=(const Inventory&) = delete;

  /// Creates what is missing in the database, puts the sample stock on sale, finds branches in doubt and begins to ask
  /// about them. Errors: invalid (an item in the configuration) · denied (a server that may lose what it prepared) ·
  /// those of the database.
  Task<> start();
  /// Outlives no request: stop the listener first.
  net::HttpHandler handler();
  /// Branches in doubt and heuristic ends, for the administration (participant/branches_admin.h).
  participant::Branches& branches();
  asio::awaitable<void> close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::shop::two_phase
