#pragma once

/// `holdfast sql STORE "SELECT …"`: a look into a configured store, beside the processes that use it; reads only.

#include <string>

#include "app/config_file.h"

namespace hf::app {

struct SqlOptions {
  std::string store;      ///< the role that keeps it: shop, payment, inventory, coordinator, router, notifier, phone
  std::string statement;  ///< SELECT, WITH, SHOW, EXPLAIN; "describe TABLE" and "show tables" on every database
};

/// 0 rows, 1 no rows, 2 could not (no such store, not a query, an error of the database).
int sql_command(const ConfigSources& sources, const SqlOptions& options, bool json);

/// What is asked of the database for `statement`: itself, or the catalogue query that "describe TABLE" and "show
/// tables" stand for there. Error: invalid (it is no query). Pure.
struct CatalogueQuery {
  std::string sql;
  std::vector<std::string> parameters;
};
Result<CatalogueQuery> query_for(std::string_view statement, bool sqlite);

}  // namespace hf::app
