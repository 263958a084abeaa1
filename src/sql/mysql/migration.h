#pragma once

/// Migrations where DDL commits by itself: no transaction holds several statements, so each is recorded on its own, and
/// a crash between any two is continued where it was.

#include "sql/mysql/connection.h"

namespace hf::sql::mysql {

/// What Database::migrate says. `guard` holds a row lock meanwhile: of several processes that start at once, one
/// migrates and the others wait. Both connections are for Purpose::schema.
Result<void> apply_missing(Connection& connection, Connection& guard, const std::string& component,
                           const std::vector<Migration>& migrations, WallTime now);

/// Our DDL is written once, as SQLite reads it. There, TEXT and BLOB have no size and INTEGER has 64 bits, where MySQL
/// has 64 KiB and 32 bits; so these words, in capitals and outside quotes, become LONGTEXT, LONGBLOB and BIGINT.
/// A new table also gets our character set and collation, whatever the database's are.
std::string adapt_ddl(std::string_view statement, Flavour flavour);

/// Whether the server commits around it.
bool is_ddl(std::string_view statement);

}  // namespace hf::sql::mysql
