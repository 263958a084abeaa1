#pragma once

/// The order service of the two-phase commit shop, whole. Default port 9650.
///
///   shop::two_phase::Orders orders(world, config.place_order, link, *database, *client, send);
///   HF_CO_TRY(co_await orders.start());
///   listener_options.http = orders.handler();        // POST /placeOrder, GET /orders/{id}, and what the coordinator
///   …  stop listening;  co_await orders.close();     // calls at the end (completion): one port
///
/// Paths: docs/protocols/shop-http.md. Tables: docs/formats/shop.md.

#include <memory>

#include "mq/client.h"
#include "net/http.h"
#include "participant/outbox.h"
#include "participant/two_phase.h"
#include "shop/config.h"
#include "sql/database.h"

namespace hf::shop::two_phase {

/// One strand. `database` and `client` outlive it; close() is awaited before it is destroyed.
class Orders {
 public:
  /// `link`: base_url, coordinator_url, secret and times; its name is set here ("order").
  Orders(sys::World world, PlaceOrderConfig config, participant::TwoPhaseConfig link, sql::Database& database,
         mq::Client& client, participant::SendHttp send, participant::OutboxConfig outbox = {});
  ~Orders();
  Orders(const Orders&) = delete;
  Orders& operator=(const Orders&) = delete;

  /// Creates what is missing in the database, begins to publish what waits in the outbox, and to ask what became of
  /// orders that an earlier process left under way. Coordinator, payment, inventory and broker may be away. Errors:
  /// invalid (configuration), and those of the database.
  Task<> start();
  /// Outlives no request: stop the listener first.
  net::HttpHandler handler();
  /// Confirmations on their way to the broker, for the administration.
  participant::Outbox& outbox();
  /// Admits nothing more, waits for orders under way, stops publishing.
  asio::awaitable<void> close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::shop::two_phase
