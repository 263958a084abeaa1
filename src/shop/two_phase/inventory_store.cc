#include "shop/two_phase/inventory_store.h"

#include "shop/two_phase/texts.h"

namespace hf::shop::two_phase {
namespace {

using participant::BranchTx;
using participant::Keeps;

/// `int` in small letters stays as it is on MySQL; INT would become BIGINT (sql/mysql/migration.h), and this table is
/// the example's to the letter.
std::vector<sql::Migration> migrations() {
  return {{1,
           "Stock, movements, openings",
           {R"(CREATE TABLE IF NOT EXISTS Stock (
  itemId    int PRIMARY KEY,
  amount    int CHECK (amount >= 0),
  unitPrice int CHECK (unitPrice >= 0)))",
            R"(CREATE TABLE stock_movements (
  gtrid  VARCHAR(64) NOT NULL,
  itemId int         NOT NULL,
  amount BIGINT      NOT NULL CHECK (amount >= 0),
  state  VARCHAR(8)  NOT NULL,
  PRIMARY KEY (gtrid, itemId)))",
            R"(CREATE TABLE stock_openings (
  itemId int    NOT NULL PRIMARY KEY,
  amount BIGINT NOT NULL))"}}};
}

/// The guarded update changed nothing: why.
Error refusal(sql::Transaction& tx, std::int64_t item_id, std::int64_t qty) {
  const Result<std::optional<sql::Row>> found = tx.query_one("SELECT amount FROM Stock WHERE itemId = ?", {item_id});
  if (!found) return found.error();
  const std::string text = std::string(kStockUpdatePrefix) + std::string(kNothingTaken);
  if (!*found) return Error{Code::not_found, text};
  if ((*found)->integer_or(0, 0) < qty) return Error{Code::conflict, text};
  return Error{Code::conflict, std::string(kPriceChanged)};
}

Result<std::int64_t> reduce(sql::Transaction& tx, std::int64_t item_id, std::int64_t qty,
                            std::optional<std::int64_t> total) {
  constexpr std::string_view kReduce = "UPDATE Stock SET amount = amount - ? WHERE itemId = ? AND amount >= ?";
  if (!total) return tx.execute(kReduce, {qty, item_id, qty});
  return tx.execute(std::string(kReduce) + " AND unitPrice * ? = ?", {qty, item_id, qty, qty, *total});
}

Result<void> add_movement(const BranchTx& tx, std::int64_t item_id, std::int64_t qty) {
  const std::string state = tx.keeps == Keeps::xa ? "sold" : "reserved";
  HF_TRY(const bool first,
         tx.sql.insert_if_absent("INSERT INTO stock_movements (gtrid, itemId, amount, state) VALUES (?, ?, ?, ?)",
                                 {tx.gtrid, item_id, qty, state}));
  if (first) return ok();
  HF_TRY(tx.sql.execute("UPDATE stock_movements SET amount = amount + ? WHERE gtrid = ? AND itemId = ?",
                        {qty, tx.gtrid, item_id}));
  return ok();
}

Result<void> give_back(const BranchTx& tx) {
  HF_TRY(const sql::Rows reserved,
         tx.sql.query("SELECT itemId, amount FROM stock_movements WHERE gtrid = ? AND state = "
                      "'reserved'",
                      {tx.gtrid}));
  for (const sql::Row& row : reserved) {
    HF_TRY(const std::int64_t changed,
           tx.sql.execute("UPDATE Stock SET amount = amount + ? WHERE itemId = ?", {row.integer(1), row.integer(0)}));
    if (changed != 1) return Error{Code::internal, "the item of a reservation is gone"};
  }
  HF_TRY(tx.sql.execute("DELETE FROM stock_movements WHERE gtrid = ? AND state = 'reserved'", {tx.gtrid}));
  return ok();
}

constexpr std::string_view kSelectItems = R"(
SELECT s.itemId, s.amount, s.unitPrice, COALESCE(m.reserved, 0), COALESCE(m.sold, 0), o.amount
FROM Stock s
LEFT JOIN (SELECT itemId, SUM(CASE WHEN state = 'reserved' THEN amount ELSE 0 END) AS reserved,
                  SUM(CASE WHEN state = 'sold' THEN amount ELSE 0 END) AS sold
           FROM stock_movements GROUP BY itemId) m ON m.itemId = s.itemId
LEFT JOIN stock_openings o ON o.itemId = s.itemId
ORDER BY s.itemId)";

}  // namespace

Task<> InventoryStore::open(std::vector<SampleStock> stock) {
  HF_CO_TRY(co_await db_.migrate("shop.inventory", migrations()));
  std::function<Result<void>(sql::Transaction&)> seed = [stock =
                                                             std::move(stock)](sql::Transaction& tx) -> Result<void> {
    for (const SampleStock& item : stock) {
      // A branch in doubt may hold the row: an insert would wait for a decision that cannot reach us before we serve.
      HF_TRY(const auto there, tx.query_one("SELECT itemId FROM Stock WHERE itemId = ?", {item.item_id}));
      if (there) continue;
      HF_TRY(tx.execute("INSERT INTO Stock (itemId, amount, unitPrice) VALUES (?, ?, ?)",
                        {item.item_id, item.amount, item.unit_price}));
      HF_TRY(tx.execute("INSERT INTO stock_openings (itemId, amount) VALUES (?, ?)", {item.item_id, item.amount}));
    }
    return ok();
  };
  co_return co_await db_.write(std::move(seed));
}

Task<std::vector<StockItem>> InventoryStore::items() {
  using Items = std::vector<StockItem>;
  std::function<Result<Items>(sql::Reader&)> work = [](sql::Reader& reader) -> Result<Items> {
    HF_TRY(const sql::Rows rows, reader.query(kSelectItems));
    Items items;
    for (const sql::Row& row : rows) {
      StockItem item{row.integer(0), row.integer_or(1, 0), row.integer_or(2, 0),
                     row.integer(3), row.integer(4),       std::nullopt};
      if (!row.is_null(5)) item.opening = row.integer(5);
      items.push_back(item);
    }
    return items;
  };
  co_return co_await db_.read<Items>(std::move(work));
}

Task<std::int64_t> InventoryStore::total_price(std::int64_t item_id, std::int64_t qty) {
  std::function<Result<std::int64_t>(sql::Reader&)> work = [item_id, qty](sql::Reader& reader) -> Result<std::int64_t> {
    HF_TRY(const auto row, reader.query_one("SELECT amount, unitPrice FROM Stock WHERE itemId = ?", {item_id}));
    if (!row) return Error{Code::not_found, std::string(kItemNotFound)};
    if (row->integer_or(0, 0) < qty) return Error{Code::conflict, std::string(kInsufficientStock)};
    return row->integer_or(1, 0) * qty;  // both are INT: no overflow
  };
  co_return co_await db_.read<std::int64_t>(std::move(work));
}

participant::Work InventoryStore::take(std::int64_t item_id, std::int64_t qty, std::optional<std::int64_t> total) {
  return [item_id, qty, total](BranchTx tx) -> Result<void> {
    HF_TRY(const std::int64_t changed, reduce(tx.sql, item_id, qty, total));
    if (changed != 1) return refusal(tx.sql, item_id, qty);
    return add_movement(tx, item_id, qty);
  };
}

Result<void> InventoryStore::settle(BranchTx tx, wire::two_phase::Decision decision) {
  if (decision == wire::two_phase::Decision::abort) return give_back(tx);
  HF_TRY(
      tx.sql.execute("UPDATE stock_movements SET state = 'sold' WHERE gtrid = ? AND state = 'reserved'", {tx.gtrid}));
  return ok();
}

}  // namespace hf::shop::two_phase
