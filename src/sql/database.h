#pragma once

/// The SQL substrate: one interface; SQLite (sql/sqlite) and MySQL-protocol servers (sql/mysql) behind it.
///
/// A unit of work is a plain function that runs on a database thread, inside a transaction, and blocks there. The
/// writer puts all units that wait into one database transaction, each in its own savepoint, commits once, and then
/// resumes all callers (group commit): a failed unit takes only itself back. It follows that a unit's result is known
/// only after the commit, that units see each other's effects in order, and that a unit may run again if its batch was
/// rolled back: it must have no effect but its SQL.
///
/// SQL is the common subset of SQLite and MySQL; parameters are `?`. Money and counts are integers with their unit in
/// the column's name, times are INTEGER µs (`_us`), ids are TEXT/VARCHAR.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/task.h"
#include "sys/world.h"

namespace hf::sql {

/// NULL, integer, real, text (UTF-8 or raw bytes).
using Value = std::variant<std::nullptr_t, std::int64_t, double, std::string>;
using Params = std::vector<Value>;

class Row {
 public:
  explicit Row(std::vector<Value> values) : values_(std::move(values)) {}
  std::size_t size() const { return values_.size(); }
  bool is_null(std::size_t column) const { return std::holds_alternative<std::nullptr_t>(values_.at(column)); }
  /// Asserts the type: a column's type is ours to know. Integer also reads from integer-valued text (MySQL).
  std::int64_t integer(std::size_t column) const;
  double real(std::size_t column) const;
  const std::string& text(std::size_t column) const;
  const Value& value(std::size_t column) const { return values_.at(column); }
  std::string text_or(std::size_t column, std::string other) const;
  std::int64_t integer_or(std::size_t column, std::int64_t other) const;

 private:
  std::vector<Value> values_;
};
using Rows = std::vector<Row>;

/// A view of the database: inside a unit of work, or a read snapshot. Database thread only; not kept after the unit.
/// Errors: conflict (unique or foreign key, check) · exhausted (disk full) · unavailable (busy, locked, connection) ·
/// denied (read-only) · corrupt · invalid (SQL that does not parse; our bug, but said clearly) · internal.
class Reader {
 public:
  virtual ~Reader() = default;
  /// Statements are prepared once per connection and kept.
  virtual Result<Rows> query(std::string_view sql, Params params = {}) = 0;
  /// What `sql` would call its columns: for people. One name per column of query()'s rows.
  virtual Result<std::vector<std::string>> columns(std::string_view sql);
  /// The only row, or nullopt. Asserts that there is no second.
  Result<std::optional<Row>> query_one(std::string_view sql, Params params = {});
};
class Transaction : public Reader {
 public:
  /// Rows changed: for a guarded UPDATE, MySQL counts matched rows as SQLite does (CLIENT_FOUND_ROWS).
  virtual Result<std::int64_t> execute(std::string_view sql, Params params = {}) = 0;
  /// INSERT that leaves an existing row with the same key alone. True if it inserted. Says `ON CONFLICT DO NOTHING` or
  /// `INSERT IGNORE` as the database wants it; write "INSERT INTO … VALUES (…)" here.
  virtual Result<bool> insert_if_absent(std::string_view sql, Params params = {}) = 0;
};

struct Migration {
  int version;  ///< 1, 2, 3 … without gaps; never edited after release
  std::string name;
  std::vector<std::string> statements;
};

class XaResource;

class Database {
 public:
  virtual ~Database() = default;

  /// Branches of global transactions (sql/xa.h), or nullptr where the database has none (SQLite; OceanBase by default).
  virtual XaResource* xa() { return nullptr; }

  /// A word that no other opening of this database has, where one process at a time may open it to write (SQLite): what
  /// carries another word was left by somebody who is gone. Empty where others may write beside us.
  virtual std::string_view sole_opening() const { return {}; }

  /// Runs `work` in a transaction; completes when it is durable, and so is what it saw. If `work` fails, nothing of it
  /// remains and its error is returned. Errors of the commit itself: unavailable (certainly not committed), timeout
  /// (the answer was lost: it may be committed; look for a marker row), corrupt, exhausted (disk full: not committed;
  /// or too many wait).
  template <class T>
  Task<T> write(std::function<Result<T>(Transaction&)> work);
  Task<> write(std::function<Result<void>(Transaction&)> work) { return write_erased(std::move(work)); }

  /// Runs `work` on a read snapshot, beside the writer. It may show a commit that is not durable yet (a MySQL server
  /// without a binary log): what is acknowledged because of what was seen is looked at in write().
  template <class T>
  Task<T> read(std::function<Result<T>(Reader&)> work);

  /// Applies what is missing of `migrations`, recorded in the table schema_migrations(component, version, name,
  /// applied_at_us). Error: corrupt if the database is newer than the program.
  virtual Task<> migrate(std::string component, std::vector<Migration> migrations) = 0;
  /// Finishes what waits, then closes.
  virtual asio::awaitable<void> close() = 0;
  /// "sqlite:/data/shop.db": for logs, without password.
  virtual const std::string& url() const = 0;

 protected:
  virtual Task<> write_erased(std::function<Result<void>(Transaction&)> work) = 0;
  virtual Task<> read_erased(std::function<Result<void>(Reader&)> work) = 0;
};

/// "sqlite:relative/or/absolute.db" (relative to `base_dir`), or "mysql://user:password@host/db" (mysql/settings.h has
/// its options). "?mode=ro" only reads, beside another process that writes. Blocks: at start, or on a worker.
/// Errors: invalid (URL; a server that may lose what it acknowledges) · conflict (another process has it) · denied
/// (folder or file not writable; login) · unavailable (server) · corrupt.
Result<std::unique_ptr<Database>> open(sys::World world, std::string_view url, const std::string& base_dir);

template <class T>
Task<T> Database::write(std::function<Result<T>(Transaction&)> work) {
  std::optional<T> out;
  std::function<Result<void>(Transaction&)> erased = [&out, work = std::move(work)](Transaction& tx) -> Result<void> {
    HF_TRY(T value, work(tx));
    out.emplace(std::move(value));
    return ok();
  };
  HF_CO_TRY(co_await write_erased(std::move(erased)));
  co_return std::move(*out);
}

template <class T>
Task<T> Database::read(std::function<Result<T>(Reader&)> work) {
  std::optional<T> out;
  std::function<Result<void>(Reader&)> erased = [&out, work = std::move(work)](Reader& reader) -> Result<void> {
    HF_TRY(T value, work(reader));
    out.emplace(std::move(value));
    return ok();
  };
  HF_CO_TRY(co_await read_erased(std::move(erased)));
  co_return std::move(*out);
}

}  // namespace hf::sql
