#include "desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "base/log.h"

namespace transfer {
namespace {

namespace json = boost::json;
namespace net = hf::net;
namespace sql = hf::sql;
using hf::wire::two_phase::Begun;
using hf::wire::two_phase::Decision;
using hf::wire::two_phase::Outcome;
using hf::wire::two_phase::OutcomeReport;

constexpr std::string_view kTopic = "bank-transfers", kSource = "bank.transfers", kDetailType = "transfer.committed";
constexpr hf::Duration kCallTimeout = std::chrono::seconds(3);
constexpr std::size_t kReasonMax = 300;

std::vector<sql::Migration> migrations() {
  return {{1,
           "transfers",
           {"CREATE TABLE transfers (id VARCHAR(64) NOT NULL PRIMARY KEY, gtrid VARCHAR(64) NOT NULL UNIQUE, "
            "payer VARCHAR(64) NOT NULL, payee VARCHAR(64) NOT NULL, amount_minor BIGINT NOT NULL, "
            "phone VARCHAR(64) NOT NULL, state VARCHAR(10) NOT NULL, reason VARCHAR(300) NOT NULL)"}}};
}

constexpr std::string_view kColumns = "id, gtrid, payer, payee, phone, state, reason, amount_minor";

Transfer to_transfer(const sql::Row& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), row.text(6), row.integer(7)};
}

Result<std::optional<Transfer>> find_by(sql::Reader& reader, std::string_view column, const std::string& value) {
  HF_TRY(const auto row,
         reader.query_one(fmt::format("SELECT {} FROM transfers WHERE {} = ?", kColumns, column), {value}));
  return row ? std::optional<Transfer>(to_transfer(*row)) : std::nullopt;
}

Result<Transfer> parse(const net::HttpRequest& request) {
  Transfer transfer;
  transfer.id = std::string(request.headers.get("Idempotency-Key").value_or(""));
  const auto usable = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (transfer.id.empty() || transfer.id.size() > 32 || !std::ranges::all_of(transfer.id, usable)) {
    return Error{Code::invalid, "the header Idempotency-Key has 1 to 32 letters and digits"};
  }
  HF_TRY(const json::object body, parse_body(request.body));
  HF_TRY(transfer.from, text_field(body, "from"));
  HF_TRY(transfer.to, text_field(body, "to"));
  HF_TRY(transfer.phone, text_field(body, "phone"));
  HF_TRY(transfer.amount_minor, amount_field(body));
  if (transfer.from == transfer.to) return Error{Code::invalid, "\"from\" and \"to\" are the same account"};
  return transfer;
}

hf::participant::OutboxMessage notice_of(const Transfer& transfer, hf::WallTime now) {
  const json::object event{{"source", kSource},
                           {"detail-type", kDetailType},
                           {"time", hf::to_rfc3339_seconds(now)},
                           {"detail",
                            {{"transfer_id", transfer.id},
                             {"from", transfer.from},
                             {"to", transfer.to},
                             {"amount_minor", transfer.amount_minor},
                             {"customer_phone", transfer.phone}}}};
  hf::participant::OutboxMessage message;
  message.topic = std::string(kTopic);
  message.body = json::serialize(event);
  message.aggregate = transfer.from;
  message.id = transfer.id;
  message.properties = {{"source", std::string(kSource)}, {"detail-type", std::string(kDetailType)}};
  return message;
}

net::HttpResponse answer_of(const Transfer& transfer, int status) {
  json::object body{{"id", transfer.id}, {"transaction", transfer.gtrid}, {"state", transfer.state}};
  if (!transfer.reason.empty()) body["reason"] = transfer.reason;
  return answer(status, body);
}

}  // namespace

Desk::Desk(hf::sys::World world, hf::participant::TwoPhaseConfig link, Banks banks, sql::Database& database,
           hf::participant::Outbox& outbox, hf::participant::SendHttp send)
    : world_(std::move(world)),
      banks_(std::move(banks)),
      db_(database),
      outbox_(outbox),
      send_(send),
      initiator_(world_, std::move(link), std::move(send)),
      router_([](const net::HttpRequest&, int status) { return answer(status, {{"error", "no such call"}}); }) {
  initiator_.mount_completion(router_, [this](std::string gtrid, Decision decision) {
    return complete(std::move(gtrid), decision, "aborted");
  });
  router_.add("POST", "/transfers",
              [this](net::HttpRequest request, net::PathValues) { return order(std::move(request)); });
  router_.add("GET", "/transfers/{id}", [this](net::HttpRequest, net::PathValues path) {
    return show(std::string(net::path_value(path, "id")));
  });
}

Task<> Desk::start() {
  std::vector<sql::Migration> all = migrations();
  HF_CO_TRY(co_await db_.migrate("transfers", std::move(all)));
  std::vector<std::string> business_tables{"transfers"};
  co_return co_await outbox_.start(std::move(business_tables));
}

net::HttpHandler Desk::handler() {
  return [this](net::HttpRequest request) { return router_.handle(std::move(request)); };
}

asio::awaitable<net::HttpResponse> Desk::order(net::HttpRequest request) {
  Result<Transfer> transfer = parse(request);
  if (!transfer) co_return refuse(transfer.error());
  Result<std::optional<Transfer>> known = co_await find(transfer->id);
  if (!known) co_return refuse(known.error());
  if (*known) co_return co_await answer_known(std::move(**known));
  co_return co_await carry_out(std::move(*transfer));
}

/// A row is there before anything else happens, and the desk is told the outcome whatever happens to it meanwhile.
asio::awaitable<net::HttpResponse> Desk::carry_out(Transfer transfer) {
  const Result<Begun> tx = co_await initiator_.begin();
  if (!tx) co_return refuse(tx.error());
  transfer.gtrid = tx->gtrid;
  transfer.state = "processing";
  const Result<bool> stored = co_await insert(transfer);
  if (!stored) co_return refuse(stored.error());
  if (!*stored) co_return refuse(Error{Code::unavailable, "this transfer is being ordered by another call"});

  Result<void> moved = co_await move_money(transfer, *tx);
  Result<OutcomeReport> outcome =
      moved ? co_await initiator_.commit(tx->gtrid) : co_await initiator_.abort(tx->gtrid, moved.error().message);
  if (!outcome || outcome->outcome == Outcome::pending) co_return answer_of(transfer, 202);
  if (outcome->outcome == Outcome::committed) {
    transfer.state = "committed";
    co_return answer_of(transfer, 201);
  }
  transfer.state = "refused";
  transfer.reason = (moved ? outcome->reason : moved.error().message).substr(0, kReasonMax);
  if (!co_await complete(tx->gtrid, Decision::abort, transfer.reason)) transfer.state = "processing";
  co_return answer_of(transfer, transfer.state == "refused" ? 409 : 202);
}

Task<> Desk::move_money(Transfer transfer, Begun tx) {
  HF_CO_TRY(co_await initiator_.await_completion(tx.gtrid));
  HF_CO_TRY(co_await call("debit", transfer.from, transfer.amount_minor, tx));
  co_return co_await call("credit", transfer.to, transfer.amount_minor, tx);
}

Task<> Desk::call(std::string verb, std::string account, std::int64_t amount, Begun tx) {
  const auto bank = banks_.find(account.substr(0, account.find('-')));
  if (bank == banks_.end()) co_return Error{Code::conflict, "Unknown bank"};
  net::HttpRequest request;
  request.method = "POST";
  request.headers.add("Content-Type", "application/json");
  hf::participant::Initiator::mark(tx, request.headers);
  request.body = json::serialize(json::object{{"account", account}, {"amount_minor", amount}});
  HF_CO_TRY(const net::HttpResponse answered,
            co_await send_(std::move(request), bank->second + "/" + verb, world_.clock.now() + kCallTimeout));
  if (answered.status == 200) co_return ok();
  const Result<json::object> body = parse_body(answered.body);
  const Result<std::string> why = body ? text_field(*body, "error") : body.error();
  co_return Error{Code::conflict, why ? *why : fmt::format("the bank answers {}", answered.status)};
}

/// Asked again. What is still processing is asked for at the coordinator: a desk that died before its commit was
/// ordered hears `aborted` once the coordinator has given the transaction up.
asio::awaitable<net::HttpResponse> Desk::answer_known(Transfer transfer) {
  if (transfer.state == "processing") {
    const Result<OutcomeReport> report = co_await initiator_.outcome(transfer.gtrid);
    if (report && report->outcome == Outcome::aborted) {
      transfer.reason = report->reason.empty() ? "interrupted" : report->reason.substr(0, kReasonMax);
      if (co_await complete(transfer.gtrid, Decision::abort, transfer.reason)) transfer.state = "refused";
    }
  }
  const int status = transfer.state == "committed" ? 200 : transfer.state == "refused" ? 409 : 202;
  co_return answer_of(transfer, status);
}

asio::awaitable<net::HttpResponse> Desk::show(std::string id) {
  Result<std::optional<Transfer>> known = co_await find(std::move(id));
  if (!known) co_return refuse(known.error());
  if (!*known) co_return refuse(Error{Code::not_found, "no such transfer"});
  co_return answer_of(**known, 200);
}

Task<std::optional<Transfer>> Desk::find(std::string id) {
  using Answer = std::optional<Transfer>;
  std::function<Result<Answer>(sql::Reader&)> work = [id = std::move(id)](sql::Reader& reader) {
    return find_by(reader, "id", id);
  };
  co_return co_await db_.read<Answer>(std::move(work));
}

Task<bool> Desk::insert(Transfer t) {
  std::function<Result<bool>(sql::Transaction&)> work = [t = std::move(t)](sql::Transaction& tx) {
    return tx.insert_if_absent(fmt::format("INSERT INTO transfers ({}) VALUES (?, ?, ?, ?, ?, ?, '', ?)", kColumns),
                               {t.id, t.gtrid, t.from, t.to, t.phone, t.state, t.amount_minor});
  };
  co_return co_await db_.write<bool>(std::move(work));
}

/// The row's end, and with it the notice; the second time it finds nothing to do.
Task<> Desk::complete(std::string gtrid, Decision decision, std::string reason) {
  const bool commit = decision == Decision::commit;
  const hf::WallTime now = world_.clock.wall();
  std::function<Result<void>(sql::Transaction&)> work = [&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(const std::int64_t changed,
           tx.execute("UPDATE transfers SET state = ?, reason = ? WHERE gtrid = ? AND state = 'processing'",
                      {std::string(commit ? "committed" : "refused"), commit ? std::string() : reason, gtrid}));
    if (!commit || changed == 0) return ok();
    HF_TRY(const auto transfer, find_by(tx, "gtrid", gtrid));
    return outbox_.put(tx, notice_of(*transfer, now));
  };
  HF_CO_TRY(co_await db_.write(std::move(work)));
  if (commit) outbox_.committed();
  co_return ok();
}

}  // namespace transfer
