#pragma once

/// Values on their way to and from prepared statements. mysql.h is known here: for this folder's .cc files only.

#include <mysql.h>

#include <vector>

#include "sql/database.h"

namespace hf::sql::mysql {

/// Parameters as the library wants them. Refers to `params`.
class Binds {
 public:
  explicit Binds(const Params& params);
  MYSQL_BIND* data() { return binds_.data(); }

 private:
  std::vector<MYSQL_BIND> binds_;
};

/// All rows of an executed statement; nothing is left on the wire. Integers of any width, and decimals without a
/// fraction (SUM of integers), are integers; FLOAT, DOUBLE and other decimals are reals; everything else is bytes.
/// nullopt: the library failed (mysql_stmt_errno tells).
std::optional<Rows> fetch_all(MYSQL_STMT* statement);

}  // namespace hf::sql::mysql
