#include "sql/migrate.h"

namespace hf::sql {
const std::string_view kAppliedTable = R"(CREATE TABLE IF NOT EXISTS schema_migrations (
  component     VARCHAR(64)  NOT NULL,
  version       INTEGER      NOT NULL,
  name          VARCHAR(200) NOT NULL,
  applied_at_us BIGINT       NOT NULL,
  PRIMARY KEY (component, version)))";

namespace {

Result<void> check_known(const Row& applied, const std::string& component, const std::vector<Migration>& migrations) {
  const auto version = static_cast<std::size_t>(applied.integer(0));
  if (version == 0 || version > migrations.size()) {
    return Error{Code::corrupt,
                 fmt::format("{}: the database has migration {} \"{}\", this program knows {}: it is too old",
                             component, version, applied.text(1), migrations.size())};
  }
  if (migrations[version - 1].name != applied.text(1)) {
    return Error{Code::corrupt, fmt::format("{}: migration {} is \"{}\" in the database and \"{}\" in this program",
                                            component, version, applied.text(1), migrations[version - 1].name)};
  }
  return ok();
}

}  // namespace

void check_order(const std::vector<Migration>& migrations) {
  for (std::size_t i = 0; i < migrations.size(); ++i) HF_ASSERT(migrations[i].version == static_cast<int>(i) + 1);
}

Result<std::size_t> count_applied(Reader& reader, const std::string& component,
                                  const std::vector<Migration>& migrations) {
  HF_TRY(const Rows applied,
         reader.query("SELECT version, name FROM schema_migrations WHERE component = ? ORDER BY version", {component}));
  for (const Row& row : applied) HF_TRY(check_known(row, component, migrations));
  return applied.size();
}

Result<void> record_applied(Transaction& tx, const std::string& component, const Migration& migration, WallTime now) {
  HF_TRY(tx.execute("INSERT INTO schema_migrations (component, version, name, applied_at_us) VALUES (?, ?, ?, ?)",
                    {component, migration.version, migration.name, to_us(now)}));
  return ok();
}

Result<void> apply_missing(Transaction& tx, const std::string& component, const std::vector<Migration>& migrations,
                           WallTime now) {
  HF_TRY(tx.execute(kAppliedTable));
  HF_TRY(const std::size_t applied, count_applied(tx, component, migrations));
  for (const Migration& migration : std::span(migrations).subspan(applied)) {
    for (const std::string& statement : migration.statements) {
      if (auto done = tx.execute(statement); !done) {
        return done.error().with_context(
            fmt::format("{} migration {} \"{}\"", component, migration.version, migration.name));
      }
    }
    HF_TRY(record_applied(tx, component, migration, now));
  }
  return ok();
}

}  // namespace hf::sql
