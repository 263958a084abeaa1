#include "accounts.h"

#include <boost/json/array.hpp>

namespace transfer {
namespace {

namespace json = boost::json;
namespace net = hf::net;
namespace sql = hf::sql;
using hf::participant::BranchTx;
using hf::participant::Keeps;
using hf::participant::Work;
using hf::wire::two_phase::Decision;

std::vector<sql::Migration> migrations() {
  return {{1,
           "accounts",
           {"CREATE TABLE accounts (id VARCHAR(64) NOT NULL PRIMARY KEY, balance_minor BIGINT NOT NULL, "
            "held_minor BIGINT NOT NULL, CHECK (balance_minor >= 0), CHECK (held_minor >= 0))",
            // What a prepared branch will have done: less than 0 was taken from the balance and is held.
            "CREATE TABLE movements (gtrid VARCHAR(64) NOT NULL, account VARCHAR(64) NOT NULL, "
            "amount_minor BIGINT NOT NULL)",
            "CREATE INDEX movements_by_gtrid ON movements (gtrid)"}}};
}

Result<void> change_one(sql::Transaction& tx, std::string_view statement, sql::Params params) {
  HF_TRY(const std::int64_t changed, tx.execute(statement, std::move(params)));
  if (changed == 1) return ok();
  return Error{Code::conflict, "Unknown account"};
}

Result<void> note(BranchTx tx, const std::string& account, std::int64_t amount) {
  HF_TRY(tx.sql.execute("INSERT INTO movements (gtrid, account, amount_minor) VALUES (?, ?, ?)",
                        {tx.gtrid, account, amount}));
  return ok();
}

Result<void> debit(BranchTx tx, const std::string& account, std::int64_t amount) {
  HF_TRY(const auto there, tx.sql.query_one("SELECT balance_minor FROM accounts WHERE id = ?", {account}));
  if (!there) return Error{Code::conflict, "Unknown account"};
  const bool xa = tx.keeps == Keeps::xa;
  HF_TRY(const std::int64_t changed,
         tx.sql.execute("UPDATE accounts SET balance_minor = balance_minor - ?, held_minor = held_minor + ? "
                        "WHERE id = ? AND balance_minor >= ?",
                        {amount, xa ? 0 : amount, account, amount}));
  if (changed != 1) return Error{Code::conflict, "Insufficient funds"};
  return xa ? ok() : note(tx, account, -amount);
}

Result<void> credit(BranchTx tx, const std::string& account, std::int64_t amount) {
  if (tx.keeps == Keeps::xa) {
    return change_one(tx.sql, "UPDATE accounts SET balance_minor = balance_minor + ? WHERE id = ?", {amount, account});
  }
  HF_TRY(const auto there, tx.sql.query_one("SELECT balance_minor FROM accounts WHERE id = ?", {account}));
  if (!there) return Error{Code::conflict, "Unknown account"};
  return note(tx, account, amount);
}

/// Commit: what is held goes, what was announced arrives. Abort: what is held goes back.
Result<void> settle(BranchTx tx, Decision decision) {
  HF_TRY(const sql::Rows rows, tx.sql.query("SELECT account, amount_minor FROM movements WHERE gtrid = ?", {tx.gtrid}));
  for (const sql::Row& row : rows) {
    const std::int64_t amount = row.integer(1);
    const std::int64_t held = amount < 0 ? -amount : 0;
    const std::int64_t arrives = decision == Decision::commit ? std::max<std::int64_t>(amount, 0) : held;
    HF_TRY(change_one(tx.sql,
                      "UPDATE accounts SET held_minor = held_minor - ?, balance_minor = balance_minor + ? WHERE id = ?",
                      {held, arrives, row.text(0)}));
  }
  HF_TRY(tx.sql.execute("DELETE FROM movements WHERE gtrid = ?", {tx.gtrid}));
  return ok();
}

std::unique_ptr<hf::participant::Branches> make_branches(const hf::sys::World& world, const std::string& name,
                                                         sql::Database& database) {
  hf::participant::BranchConfig config;
  config.name = name;
  if (database.xa()) return hf::participant::make_xa_branches(world, database, config);
  return hf::participant::make_reservation_branches(world, database, config, settle);
}

}  // namespace

Accounts::Accounts(hf::sys::World world, hf::participant::TwoPhaseConfig link, sql::Database& database,
                   hf::participant::SendHttp send)
    : db_(database),
      branches_(make_branches(world, link.name, database)),
      participant_(world, std::move(link), *branches_, std::move(send)),
      router_([](const net::HttpRequest&, int status) { return answer(status, {{"error", "no such call"}}); }) {
  participant_.mount(router_);
  router_.add("POST", "/debit",
              [this](net::HttpRequest request, net::PathValues) { return move(std::move(request), Direction::debit); });
  router_.add("POST", "/credit", [this](net::HttpRequest request, net::PathValues) {
    return move(std::move(request), Direction::credit);
  });
  router_.add("GET", "/accounts", [this](net::HttpRequest, net::PathValues) { return list(); });
}

Task<> Accounts::start(std::vector<std::string> openings) {
  std::vector<sql::Migration> all = migrations();
  HF_CO_TRY(co_await db_.migrate("accounts", std::move(all)));
  std::function<Result<void>(sql::Transaction&)> open = [&](sql::Transaction& tx) -> Result<void> {
    for (const std::string& opening : openings) {
      const std::size_t equals = opening.find('=');
      const std::int64_t amount = equals == std::string::npos ? -1 : std::atoll(opening.c_str() + equals + 1);
      if (amount < 0) return Error{Code::invalid, "--account=" + opening + ": it is name=amount"};
      // A branch in doubt may hold the account's row: an insert would wait for a decision that we could not be told
      // yet.
      HF_TRY(const auto there, tx.query_one("SELECT id FROM accounts WHERE id = ?", {opening.substr(0, equals)}));
      if (there) continue;
      HF_TRY(tx.insert_if_absent("INSERT INTO accounts (id, balance_minor, held_minor) VALUES (?, ?, 0)",
                                 {opening.substr(0, equals), amount}));
    }
    return ok();
  };
  HF_CO_TRY(co_await db_.write(std::move(open)));
  HF_CO_TRY(co_await branches_->start());
  co_return co_await participant_.start();
}

net::HttpHandler Accounts::handler() {
  return [this](net::HttpRequest request) { return router_.handle(std::move(request)); };
}

asio::awaitable<net::HttpResponse> Accounts::move(net::HttpRequest request, Direction direction) {
  const Result<json::object> body = parse_body(request.body);
  if (!body) co_return refuse(body.error());
  const Result<std::string> account = text_field(*body, "account");
  if (!account) co_return refuse(account.error());
  const Result<std::int64_t> amount = amount_field(*body);
  if (!amount) co_return refuse(amount.error());
  const Result<std::string> gtrid = co_await participant_.join(request);
  if (!gtrid) co_return refuse(gtrid.error());
  Work work = [account = *account, amount = *amount, direction](BranchTx tx) {
    return direction == Direction::debit ? debit(tx, account, amount) : credit(tx, account, amount);
  };
  const Result<void> done = co_await branches_->run(*gtrid, request.body, std::move(work));
  co_return done ? answer(200, {}) : refuse(done.error());
}

asio::awaitable<net::HttpResponse> Accounts::list() {
  std::function<Result<sql::Rows>(sql::Reader&)> work = [](sql::Reader& reader) {
    return reader.query("SELECT id, balance_minor, held_minor FROM accounts ORDER BY id");
  };
  const Result<sql::Rows> rows = co_await db_.read<sql::Rows>(std::move(work));
  if (!rows) co_return refuse(rows.error());
  json::array accounts;
  for (const sql::Row& row : *rows) {
    accounts.push_back(
        json::object{{"id", row.text(0)}, {"balance_minor", row.integer(1)}, {"held_minor", row.integer(2)}});
  }
  co_return answer(200, {{"accounts", std::move(accounts)}});
}

}  // namespace transfer
