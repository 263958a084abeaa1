#pragma once

/// The order service of the local message table, whole: database and message client in; one handler out. Default port
/// 9650. POST /orders, GET /orders/{id}, GET /items (docs/protocols/shop-http.md).
///
///   shop::local_table::Orders orders(world, config, *database, *client);
///   HF_CO_TRY(co_await orders.start());
///   listener_options.http = orders.handler();
///   …  stop listening;  co_await orders.close();
///
/// The eight steps, and where they are:
///
///   1 the order arrives                        OrderEdge::post_order
///   2 order row and message row, one commit    OrderStore::place
///   3 the message is published                 participant::OutboxRelay, woken by the commit
///   4 the inventory receives it                Inventory, its own group and its own store
///   5 stock is taken, once                     InventoryStore::take
///   6 the result returns                       the inventory's outbox, topic shop-order-results
///   7 order decided, message row done          OrderStore::apply
///   8 the scheduled scan                       the outbox publishes what has no result yet again, with back-off

#include <memory>

#include "mq/client.h"
#include "net/http.h"
#include "participant/outbox.h"
#include "shop/config.h"
#include "sql/database.h"

namespace hf::shop::local_table {

/// One strand. `database` and `client` outlive it; close() is awaited before it is destroyed.
class Orders {
 public:
  /// `outbox_database`: another one than `database` is refused by start(): order and message row must be written in one
  /// local transaction. nullptr: `database`.
  Orders(sys::World world, LocalTableConfig config, sql::Database& database, mq::Client& client,
         sql::Database* outbox_database = nullptr);
  ~Orders();
  Orders(const Orders&) = delete;
  Orders& operator=(const Orders&) = delete;

  /// Creates what is missing in the database, starts relay and consumer. A broker that is away is no error: orders are
  /// taken all the same, and published when it is back. Errors: invalid (configuration; an outbox in another database),
  /// and those of the database.
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
