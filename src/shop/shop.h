#pragma once

/// The order service, whole: database, message client and HTTP in; one handler out.
///
///   shop::Shop shop(world, config.shop, *database, *client);
///   HF_CO_TRY(co_await shop.start());
///   listener_options.http = shop.handler();          // 9650
///   …  stop listening;  co_await shop.close();

#include "mq/client.h"
#include "net/http.h"
#include "shop/config.h"
#include "sql/database.h"

namespace hf::shop {

/// One strand. `database` and `client` outlive it; close() is awaited before it is destroyed. Its tables are described
/// in docs/formats/shop.md; the database may hold other components' tables too.
class Shop {
 public:
  Shop(sys::World world, ShopConfig config, sql::Database& database, mq::Client& client);
  ~Shop();
  Shop(const Shop&) = delete;
  Shop& operator=(const Shop&) = delete;

  /// Creates what is missing in the database, announces the producer to the broker. A broker that is away is no error:
  /// orders get 503 until it is back, check-backs are answered as soon as it is. Errors: invalid (the topic, an item in
  /// the configuration), and those of the database.
  Task<> start();
  /// Outlives no request: stop the listener first.
  net::HttpHandler handler();
  /// Admits nothing more, waits for orders under way, says goodbye to the broker.
  asio::awaitable<void> close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::shop
