#pragma once

/// A bank: accounts, debited and credited inside global transactions only.
///
///   POST /debit   {"account","amount_minor"}    409 "Unknown account", "Insufficient funds"; 403 outside a transaction
///   POST /credit  {"account","amount_minor"}
///   GET  /accounts                              {"accounts":[{"id","balance_minor","held_minor"}]}
///
/// Without XA (SQLite) a debit moves money from balance to held at prepare, and out at commit; a credit arrives at
/// commit. With XA (mysql://) both are plain updates in the branch.

#include "net/http_router.h"
#include "program.h"
#include "sql/database.h"

namespace transfer {

/// One strand. `database` and what `send` needs outlive it.
class Accounts {
 public:
  Accounts(hf::sys::World world, hf::participant::TwoPhaseConfig link, hf::sql::Database& database,
           hf::participant::SendHttp send);
  /// Creates the tables and those of `openings` ("alice=10000") that are not there.
  Task<> start(std::vector<std::string> openings);
  hf::net::HttpHandler handler();

 private:
  enum class Direction { debit, credit };
  asio::awaitable<hf::net::HttpResponse> move(hf::net::HttpRequest request, Direction direction);
  asio::awaitable<hf::net::HttpResponse> list();

  hf::sql::Database& db_;
  const std::unique_ptr<hf::participant::Branches> branches_;
  hf::participant::Participant participant_;
  hf::net::HttpRouter router_;
};

}  // namespace transfer
