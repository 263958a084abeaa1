#pragma once

/// The desk that orders transfers: debit here, credit there, both or neither, and a notice to the payer afterwards.
///
///   POST /transfers {"from","to","amount_minor","phone"}, Idempotency-Key: 1 … 32 letters, digits
///     201 committed · 200 the same, asked again · 202 not known yet: ask again · 409 refused, with the reason · 503
///   GET  /transfers/{id}
///
/// "a-7" is account a-7 of the bank "a". A transfer's row says `processing` until the coordinator has decided; the row
/// turns to `committed` together with the notice's row in the outbox, so there is one notice for each and none for
/// another.

#include "net/http_router.h"
#include "participant/outbox.h"
#include "program.h"
#include "sql/database.h"

namespace transfer {

struct Transfer {
  std::string id, gtrid, from, to, phone, state, reason;
  std::int64_t amount_minor = 0;
};

/// One strand. `database`, `outbox` and what `send` needs outlive it.
class Desk {
 public:
  using Banks = std::map<std::string, std::string>;  ///< name → base URL
  Desk(hf::sys::World world, hf::participant::TwoPhaseConfig link, Banks banks, hf::sql::Database& database,
       hf::participant::Outbox& outbox, hf::participant::SendHttp send);
  /// Creates the table, then starts the outbox.
  Task<> start();
  hf::net::HttpHandler handler();

 private:
  asio::awaitable<hf::net::HttpResponse> order(hf::net::HttpRequest request);
  asio::awaitable<hf::net::HttpResponse> carry_out(Transfer transfer);
  asio::awaitable<hf::net::HttpResponse> answer_known(Transfer transfer);
  asio::awaitable<hf::net::HttpResponse> show(std::string id);
  Task<> move_money(Transfer transfer, hf::wire::two_phase::Begun tx);
  Task<> call(std::string verb, std::string account, std::int64_t amount, hf::wire::two_phase::Begun tx);
  Task<std::optional<Transfer>> find(std::string id);
  Task<bool> insert(Transfer transfer);
  Task<> complete(std::string gtrid, hf::wire::two_phase::Decision decision, std::string reason);

  hf::sys::World world_;
  const Banks banks_;
  hf::sql::Database& db_;
  hf::participant::Outbox& outbox_;
  const hf::participant::SendHttp send_;
  hf::participant::Initiator initiator_;
  hf::net::HttpRouter router_;
};

}  // namespace transfer
