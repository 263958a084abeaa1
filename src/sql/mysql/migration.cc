#include "sql/mysql/migration.h"

#include <cctype>

#include "base/log.h"
#include "sql/migrate.h"

namespace hf::sql::mysql {
namespace {

/// A row per component that has migrations under way: all statements before `step` of `version` are done; that one may
/// be, if it is DDL. And a row "<component>, lock", to be locked.
constexpr std::string_view kProgressTable =
    "CREATE TABLE IF NOT EXISTS hf_migration_progress (name VARCHAR(80) NOT NULL PRIMARY KEY, version INTEGER NOT "
    "NULL, "
    "step INTEGER NOT NULL)";

struct Progress {
  int version = 0;
  std::size_t step = 0;
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string_view wider(std::string_view word) {
  if (word == "TEXT") return "LONGTEXT";
  if (word == "BLOB") return "LONGBLOB";
  if (word == "INTEGER" || word == "INT") return "BIGINT";
  return word;
}

std::string first_word(std::string_view statement) {
  const auto* const first = std::find_if(statement.begin(), statement.end(), is_word);
  std::string word(first, std::find_if_not(first, statement.end(), is_word));
  for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return word;
}

/// The answers to a repeated DDL statement: what it makes is there, what it drops is not.
bool already_done(const Connection& connection) {
  switch (connection.last_failure()->number) {
    case 1050:  // table exists
    case 1051:  // unknown table
    case 1060:  // column exists
    case 1061:  // index exists
    case 1091:  // no such column or index
    case 1146:  // no such table: it was renamed
      return true;
    default:
      return false;
  }
}

class Migrator {
 public:
  Migrator(Connection& connection, const std::string& component) : connection_(connection), component_(component) {}

  Result<void> apply(const Migration& migration, WallTime now) {
    HF_TRY(const Progress before, progress());
    const std::size_t start = before.version == migration.version ? before.step : 0;
    for (std::size_t step = start; step < migration.statements.size(); ++step) {
      const bool again = before.version == migration.version && step == start;
      const std::string& statement = migration.statements[step];
      Result<void> done =
          is_ddl(statement) ? run_ddl(migration, step, again ? Again::yes : Again::no) : run_data(migration, step);
      if (!done)
        return done.error().with_context(fmt::format("migration {} \"{}\"", migration.version, migration.name));
    }
    return finish(migration, now);
  }

 private:
  enum class Again : std::uint8_t { no, yes };

  Result<Progress> progress() {
    HF_TRY(const auto row,
           connection_.query_one("SELECT version, step FROM hf_migration_progress WHERE name = ?", {component_}));
    if (!row) return Progress{};
    return Progress{static_cast<int>(row->integer(0)), static_cast<std::size_t>(row->integer(1))};
  }

  Result<void> save(int version, std::size_t step) {
    const auto at = static_cast<std::int64_t>(step);
    HF_TRY(const std::int64_t rows,
           connection_.execute("UPDATE hf_migration_progress SET version = ?, step = ? WHERE name = ?",
                               {version, at, component_}));
    if (rows > 0) return ok();
    HF_TRY(connection_.execute("INSERT INTO hf_migration_progress VALUES (?, ?, ?)", {component_, version, at}));
    return ok();
  }

  Result<void> run_ddl(const Migration& migration, std::size_t step, Again again) {
    if (again == Again::no) HF_TRY(save(migration.version, step));
    Result<void> done = connection_.control(adapt_ddl(migration.statements[step], connection_.flavour()));
    if (done || again == Again::no || !already_done(connection_)) return done;
    log::info("sql.migration.continued", {{"component", component_}, {"version", migration.version}, {"step", step}});
    return ok();
  }

  Result<void> run_data(const Migration& migration, std::size_t step) {
    HF_TRY(connection_.begin("START TRANSACTION"));
    HF_TRY(connection_.control(migration.statements[step]));
    HF_TRY(save(migration.version, step + 1));
    return connection_.control("COMMIT", Phase::commit);
  }

  Result<void> finish(const Migration& migration, WallTime now) {
    HF_TRY(connection_.begin("START TRANSACTION"));
    HF_TRY(record_applied(connection_, component_, migration, now));
    HF_TRY(connection_.execute("DELETE FROM hf_migration_progress WHERE name = ?", {component_}));
    return connection_.control("COMMIT", Phase::commit);
  }

  Connection& connection_;
  const std::string& component_;
};

Result<void> lock(Connection& guard, const std::string& component) {
  const std::string name = component + ", lock";
  HF_TRY(guard.insert_if_absent("INSERT INTO hf_migration_progress VALUES (?, 0, 0)", {name}));
  HF_TRY(guard.begin("START TRANSACTION"));
  HF_TRY(guard.query("SELECT name FROM hf_migration_progress WHERE name = ? FOR UPDATE", {name}));
  return ok();
}

Result<void> migrate_locked(Connection& connection, const std::string& component,
                            const std::vector<Migration>& migrations, WallTime now) {
  HF_TRY(const std::size_t applied, count_applied(connection, component, migrations));
  Migrator migrator(connection, component);
  for (const Migration& migration : std::span(migrations).subspan(applied)) HF_TRY(migrator.apply(migration, now));
  return ok();
}

}  // namespace

Result<void> apply_missing(Connection& connection, Connection& guard, const std::string& component,
                           const std::vector<Migration>& migrations, WallTime now) {
  HF_TRY(connection.control(adapt_ddl(kAppliedTable, connection.flavour())));
  HF_TRY(connection.control(adapt_ddl(kProgressTable, connection.flavour())));
  HF_TRY(lock(guard, component));
  Result<void> done = migrate_locked(connection, component, migrations, now);
  (void)guard.control("ROLLBACK", Phase::rollback);
  if (!done) return done.error().with_context(component);
  return done;
}

std::string adapt_ddl(std::string_view statement, Flavour flavour) {
  std::string out;
  for (std::size_t i = 0; i < statement.size();) {
    std::size_t end = i + 1;
    if (statement[i] == '\'' || statement[i] == '"' || statement[i] == '`') {
      end = std::min(statement.find(statement[i], i + 1), statement.size() - 1) + 1;
    } else if (is_word(statement[i])) {
      while (end < statement.size() && is_word(statement[end])) ++end;
    }
    out += wider(statement.substr(i, end - i));
    i = end;
  }
  const std::size_t create = out.find("TABLE");
  if (first_word(out) == "CREATE" && create != std::string::npos && create < out.find('(')) {
    out += fmt::format(" DEFAULT CHARACTER SET utf8mb4 COLLATE {}", collation(flavour));
  }
  return out;
}

bool is_ddl(std::string_view statement) {
  const std::string word = first_word(statement);
  return word == "CREATE" || word == "ALTER" || word == "DROP" || word == "RENAME" || word == "TRUNCATE";
}

}  // namespace hf::sql::mysql
