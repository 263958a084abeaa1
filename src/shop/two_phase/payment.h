#pragma once

/// The payment service, whole: database and way to the coordinator in; one handler out. Default port 9651.
///
///   shop::two_phase::Payment payment(world, config.payment, link, *database, send);
///   HF_CO_TRY(co_await payment.start());
///   listener_options.http = payment.handler();       // business calls, prepare and notify: one port
///   …  stop listening;  co_await payment.close();
///
/// Paths: docs/protocols/shop-http.md. Tables: docs/formats/shop.md.

#include <memory>

#include "net/http.h"
#include "participant/two_phase.h"
#include "shop/config.h"
#include "sql/database.h"

namespace hf::shop::two_phase {

/// One strand. `database` outlives it; close() is awaited before it is destroyed.
class Payment {
 public:
  /// `link`: base_url, coordinator_url, secret and times; its name is set here ("payment").
  Payment(sys::World world, PaymentConfig config, participant::TwoPhaseConfig link, sql::Database& database,
          participant::SendHttp send);
  ~Payment();
  Payment(const Payment&) = delete;
  Payment& operator=(const Payment&) = delete;

  /// Creates what is missing in the database, opens the sample accounts, finds branches in doubt and begins to ask
  /// about them. Errors: invalid (an account in the configuration) · denied (a server that may lose what it prepared) ·
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
