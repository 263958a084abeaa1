#pragma once

/// What OceanBase's MySQL mode does not have, and what a session must be told before it works. Pure.

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hf::oceanbase {

struct Refusal {
  unsigned number;
  std::string sqlstate, text;
};
/// Statements that MariaDB would take and OceanBase does not. Sources: its documentation (4.3.1) and issues.
std::optional<Refusal> refuse(std::string_view statement, bool has_xa);

/// At semicolons outside quotes.
std::vector<std::string> split_statements(std::string_view text);
bool is_set(std::string_view statement);  ///< SET …
/// The names of the variables a SET statement sets, lower case; "names" and "transaction isolation level …" too.
std::set<std::string> variables_of(std::string_view statement);
/// The SET statement for MariaDB: OceanBase's own variables become MariaDB's where it has the like (limits), or
/// nothing. A statement that does nothing, if nothing is left.
std::string for_mariadb(std::string_view statement);
/// What a session has not been told yet: "ob_trx_timeout, time_zone". Empty: it may work.
std::string missing(const std::set<std::string>& told);
/// A session may ask who it talks to, and make its database, before it is set up.
bool is_allowed_before_setup(std::string_view statement);

}  // namespace hf::oceanbase
