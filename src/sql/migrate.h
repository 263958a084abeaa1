#pragma once

/// Migrations: which statements a database still lacks. Used by every substrate behind Database::migrate.

#include "sql/database.h"

namespace hf::sql {

/// Versions are 1, 2, 3 … without gaps. Our own constants: asserted.
void check_order(const std::vector<Migration>& migrations);

/// "CREATE TABLE IF NOT EXISTS schema_migrations …"
extern const std::string_view kAppliedTable;
/// How many of `migrations` the database has. Errors: `corrupt` (see below).
Result<std::size_t> count_applied(Reader& reader, const std::string& component,
                                  const std::vector<Migration>& migrations);
Result<void> record_applied(Transaction& tx, const std::string& component, const Migration& migration, WallTime now);

/// Where a transaction may hold DDL. Inside one unit of work: creates schema_migrations if absent, applies what is
/// missing, records it. Errors: `corrupt` if the database has versions that the program does not know, or the same
/// version under another name.
Result<void> apply_missing(Transaction& tx, const std::string& component, const std::vector<Migration>& migrations,
                           WallTime now);

}  // namespace hf::sql
