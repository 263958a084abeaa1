#pragma once

/// The inventory service of the local message table, whole: database and message client in; one handler out. Default
/// port 9652. It hears of orders by messages alone; HTTP only shows the stock.
///
///   shop::local_table::Inventory inventory(world, config, *database, *client);
///   HF_CO_TRY(co_await inventory.start());
///   listener_options.http = inventory.handler();       // GET /items: initial, available, sold
///   …  stop listening;  co_await inventory.close();

#include <memory>

#include "mq/client.h"
#include "net/http.h"
#include "participant/outbox.h"
#include "shop/config.h"
#include "sql/database.h"

namespace hf::shop::local_table {

/// One strand. `database` and `client` outlive it; close() is awaited before it is destroyed.
class Inventory {
 public:
  /// `outbox_database`: another one than `database` is refused by start() (docs/protocols/shop-http.md); nullptr: it.
  Inventory(sys::World world, LocalTableConfig config, sql::Database& database, mq::Client& client,
            sql::Database* outbox_database = nullptr);
  ~Inventory();
  Inventory(const Inventory&) = delete;
  Inventory& operator=(const Inventory&) = delete;

  /// Creates what is missing in the database, starts relay and consumer. A broker that is away is no error. Errors:
  /// invalid (configuration; an outbox in another database), and those of the database.
  Task<> start();
  /// Outlives no request: stop the listener first.
  net::HttpHandler handler();
  /// For the administration (participant/outbox_admin.h).
  participant::Outbox& outbox();
  asio::awaitable<void> close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::shop::local_table
