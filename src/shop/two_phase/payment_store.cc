#include "shop/two_phase/payment_store.h"

#include "shop/two_phase/texts.h"

namespace hf::shop::two_phase {
namespace {

using participant::BranchTx;
using participant::Keeps;

/// `int` in small letters stays as it is on MySQL; INT would become BIGINT (sql/mysql/migration.h), and this table is
/// the example's to the letter.
std::vector<sql::Migration> migrations() {
  return {{1,
           "Payments, movements, openings",
           {R"(CREATE TABLE IF NOT EXISTS Payments (
  cardno VARCHAR(16) NOT NULL PRIMARY KEY,
  amount int         NOT NULL CHECK (amount >= 0)))",
            R"(CREATE TABLE payment_movements (
  gtrid  VARCHAR(64) NOT NULL,
  cardno VARCHAR(16) NOT NULL,
  amount BIGINT      NOT NULL CHECK (amount >= 0),
  state  VARCHAR(8)  NOT NULL,
  PRIMARY KEY (gtrid, cardno)))",
            R"(CREATE TABLE payment_openings (
  cardno VARCHAR(16) NOT NULL PRIMARY KEY,
  amount BIGINT      NOT NULL))"}}};
}

/// The guarded update changed nothing: why.
Error refusal(sql::Transaction& tx, const std::string& card_no) {
  const Result<std::optional<sql::Row>> found = tx.query_one("SELECT amount FROM Payments WHERE cardno = ?", {card_no});
  if (!found) return found.error();
  if (!*found) return Error{Code::not_found, std::string(kCardNotFound)};
  return Error{Code::conflict, std::string(kInsufficientBalance)};
}

Result<void> add_movement(const BranchTx& tx, const std::string& card_no, std::int64_t amount) {
  const std::string state = tx.keeps == Keeps::xa ? "paid" : "held";
  HF_TRY(const bool first,
         tx.sql.insert_if_absent("INSERT INTO payment_movements (gtrid, cardno, amount, state) VALUES (?, ?, ?, ?)",
                                 {tx.gtrid, card_no, amount, state}));
  if (first) return ok();
  HF_TRY(tx.sql.execute("UPDATE payment_movements SET amount = amount + ? WHERE gtrid = ? AND cardno = ?",
                        {amount, tx.gtrid, card_no}));
  return ok();
}

Result<void> give_back(const BranchTx& tx) {
  HF_TRY(const sql::Rows held,
         tx.sql.query("SELECT cardno, amount FROM payment_movements WHERE gtrid = ? AND state = 'held'", {tx.gtrid}));
  for (const sql::Row& row : held) {
    HF_TRY(const std::int64_t changed,
           tx.sql.execute("UPDATE Payments SET amount = amount + ? WHERE cardno = ?", {row.integer(1), row.text(0)}));
    if (changed != 1) return Error{Code::internal, "the account of a held amount is gone"};
  }
  HF_TRY(tx.sql.execute("DELETE FROM payment_movements WHERE gtrid = ? AND state = 'held'", {tx.gtrid}));
  return ok();
}

constexpr std::string_view kSelectAccounts = R"(
SELECT p.cardno, p.amount, COALESCE(m.held, 0), COALESCE(m.paid, 0), o.amount
FROM Payments p
LEFT JOIN (SELECT cardno, SUM(CASE WHEN state = 'held' THEN amount ELSE 0 END) AS held,
                  SUM(CASE WHEN state = 'paid' THEN amount ELSE 0 END) AS paid
           FROM payment_movements GROUP BY cardno) m ON m.cardno = p.cardno
LEFT JOIN payment_openings o ON o.cardno = p.cardno
ORDER BY p.cardno)";

}  // namespace

Task<> PaymentStore::open(std::vector<SampleAccount> accounts) {
  HF_CO_TRY(co_await db_.migrate("shop.payment", migrations()));
  std::function<Result<void>(sql::Transaction&)> seed =
      [accounts = std::move(accounts)](sql::Transaction& tx) -> Result<void> {
    for (const SampleAccount& account : accounts) {
      // A branch in doubt may hold the row: an insert would wait for a decision that cannot reach us before we serve.
      HF_TRY(const auto there, tx.query_one("SELECT cardno FROM Payments WHERE cardno = ?", {account.card_no}));
      if (there) continue;
      HF_TRY(tx.execute("INSERT INTO Payments (cardno, amount) VALUES (?, ?)", {account.card_no, account.amount}));
      HF_TRY(
          tx.execute("INSERT INTO payment_openings (cardno, amount) VALUES (?, ?)", {account.card_no, account.amount}));
    }
    return ok();
  };
  co_return co_await db_.write(std::move(seed));
}

Task<std::vector<Account>> PaymentStore::accounts() {
  using Accounts = std::vector<Account>;
  std::function<Result<Accounts>(sql::Reader&)> work = [](sql::Reader& reader) -> Result<Accounts> {
    HF_TRY(const sql::Rows rows, reader.query(kSelectAccounts));
    Accounts accounts;
    for (const sql::Row& row : rows) {
      Account account{row.text(0), row.integer(1), row.integer(2), row.integer(3), std::nullopt};
      if (!row.is_null(4)) account.opening = row.integer(4);
      accounts.push_back(std::move(account));
    }
    return accounts;
  };
  co_return co_await db_.read<Accounts>(std::move(work));
}

participant::Work PaymentStore::charge(std::string card_no, std::int64_t amount) {
  return [card_no = std::move(card_no), amount](BranchTx tx) -> Result<void> {
    HF_TRY(const std::int64_t changed,
           tx.sql.execute("UPDATE Payments SET amount = amount - ? WHERE cardno = ? AND amount >= ?",
                          {amount, card_no, amount}));
    if (changed != 1) return refusal(tx.sql, card_no);
    return add_movement(tx, card_no, amount);
  };
}

Result<void> PaymentStore::settle(BranchTx tx, wire::two_phase::Decision decision) {
  if (decision == wire::two_phase::Decision::abort) return give_back(tx);
  HF_TRY(tx.sql.execute("UPDATE payment_movements SET state = 'paid' WHERE gtrid = ? AND state = 'held'", {tx.gtrid}));
  return ok();
}

}  // namespace hf::shop::two_phase
