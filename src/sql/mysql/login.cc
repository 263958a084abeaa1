#include "sql/mysql/login.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hf::sql::mysql {
namespace {

using std::chrono::milliseconds;

/// "cluster:tenant:user" has exactly two colons; a name with another number of them is a plain one.
Result<LoginName> parse_name(std::string_view name) {
  if (std::ranges::count(name, ':') == 2) {
    const std::size_t first = name.find(':'), second = name.rfind(':');
    return LoginName{.user = std::string(name.substr(second + 1)),
                     .tenant = std::string(name.substr(first + 1, second - first - 1)),
                     .cluster = std::string(name.substr(0, first))};
  }
  LoginName login;
  const std::size_t at = name.find('@');
  login.user = name.substr(0, at);
  if (at == std::string_view::npos) return login;
  const std::string_view rest = name.substr(at + 1);
  const std::size_t hash = rest.find('#');
  login.tenant = rest.substr(0, hash);
  if (login.tenant.empty()) return Error{Code::invalid, fmt::format("user name '{}': no tenant after '@'", name)};
  if (hash == std::string_view::npos) return login;
  login.cluster = rest.substr(hash + 1);
  if (login.cluster.empty()) return Error{Code::invalid, fmt::format("user name '{}': no cluster after '#'", name)};
  return login;
}

Result<void> fill_in(std::string& part, std::string_view key, std::string_view value) {
  if (value.empty() || part == value) return ok();
  if (!part.empty()) {
    return Error{Code::invalid, fmt::format("the user name says {} '{}', the key says '{}'", key, part, value)};
  }
  part = value;
  return ok();
}

Result<Isolation> parse_isolation(std::string_view word) {
  if (word == "read-committed") return Isolation::read_committed;
  if (word == "repeatable-read") return Isolation::repeatable_read;
  if (word == "serializable") return Isolation::serializable;
  if (word == "read-uncommitted") {
    return Error{Code::invalid,
                 "isolation=read-uncommitted is refused: it shows orders and stock that may never be there"};
  }
  return Error{Code::invalid,
               fmt::format("isolation='{}': one of read-committed, repeatable-read, serializable", word)};
}

struct Limit {
  std::string_view key;
  milliseconds SessionOptions::* value;
  milliseconds least, most;
};
constexpr milliseconds kHour{3'600'000};
constexpr Limit kLimits[] = {
    {"statement_timeout_ms", &SessionOptions::statement_timeout, milliseconds{100}, kHour},
    {"transaction_timeout_ms", &SessionOptions::transaction_timeout, milliseconds{100}, kHour},
    {"idle_timeout_ms", &SessionOptions::idle_timeout, milliseconds{100'000}, kHour},  // OceanBase takes no less
    {"lock_timeout_ms", &SessionOptions::lock_timeout, milliseconds{1}, kHour},
};

Result<milliseconds> parse_limit(const Limit& limit, std::string_view text) {
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem == std::errc{} && end == text.data() + text.size() && milliseconds(number) >= limit.least &&
      milliseconds(number) <= limit.most) {
    return milliseconds(number);
  }
  return Error{Code::invalid,
               fmt::format("{}='{}': {} … {}", limit.key, text, limit.least.count(), limit.most.count())};
}

std::int64_t seconds_up(milliseconds time) { return std::chrono::ceil<std::chrono::seconds>(time).count(); }
std::int64_t microseconds(milliseconds time) { return std::chrono::microseconds(time).count(); }

/// Determinism: what a server, a tenant or a driver has as its default does not reach our statements.
constexpr std::string_view kEverywhere = "autocommit = 1, time_zone = '+00:00'";
/// Wrong values are refused, not bent; quotes, backslashes and || mean what they mean in SQLite and in the standard.
constexpr std::string_view kStrict =
    "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,"
    "PIPES_AS_CONCAT";

/// A lost client must not hold locks for a day, which is OceanBase's default since 4.0; a marker must be read from the
/// leader, never from a follower.
std::string oceanbase_variables(const SessionOptions& options) {
  return fmt::format(
      "SET {}, sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT', ob_query_timeout = {}, "
      "ob_trx_timeout = {}, ob_trx_idle_timeout = {}, "
      "ob_trx_lock_timeout = {}, ob_read_consistency = 'STRONG'",
      kEverywhere, microseconds(options.statement_timeout), microseconds(options.transaction_timeout),
      microseconds(options.idle_timeout), microseconds(options.lock_timeout));
}

/// In REPEATABLE READ a write to a row that changed since the snapshot must fail (1020) and be retried, or the update
/// is lost. MariaDB does that from 10.11.8 on, when asked to. In SERIALIZABLE reads lock, and nothing changes
/// meanwhile.
///
/// SIMULTANEOUS_ASSIGNMENT: "SET a = a - 1, b = a" gives b the old a, as the standard and SQLite say; MySQL and
/// OceanBase have nothing like it, so our statements do not depend on it.
std::string mariadb_variables(const SessionOptions& options) {
  const bool snapshot = options.isolation == Isolation::repeatable_read;
  return fmt::format(
      "SET {}, sql_mode = '{},SIMULTANEOUS_ASSIGNMENT', max_statement_time = {:.3f}, idle_transaction_timeout = {}, "
      "innodb_lock_wait_timeout = {}, lock_wait_timeout = {}{}",
      kEverywhere, kStrict, static_cast<double>(options.statement_timeout.count()) / 1000,
      seconds_up(options.idle_timeout), seconds_up(options.lock_timeout), seconds_up(options.statement_timeout),
      snapshot ? " /*M!101108 , innodb_snapshot_isolation = ON */" : "");
}

std::string mysql_variables(const SessionOptions& options) {
  return fmt::format(
      "SET {}, sql_mode = '{}', max_execution_time = {}, innodb_lock_wait_timeout = {}, lock_wait_timeout = {}",
      kEverywhere, kStrict, options.statement_timeout.count(), seconds_up(options.lock_timeout),
      seconds_up(options.statement_timeout));
}

std::string variables(Flavour flavour, const SessionOptions& options) {
  switch (flavour) {
    case Flavour::mysql:
      return mysql_variables(options);
    case Flavour::mariadb:
      return mariadb_variables(options);
    case Flavour::oceanbase:
      return oceanbase_variables(options);
  }
  HF_ASSERT(false);
}

}  // namespace

std::string_view collation(Flavour flavour) {
  return flavour == Flavour::mariadb ? "utf8mb4_nopad_bin" : "utf8mb4_bin";
}

Result<LoginName> parse_login_name(std::string_view name, std::string_view tenant, std::string_view cluster) {
  HF_TRY(LoginName login, parse_name(name));
  HF_TRY(fill_in(login.tenant, "tenant", tenant));
  HF_TRY(fill_in(login.cluster, "cluster", cluster));
  if (login.user.empty()) return Error{Code::invalid, fmt::format("user name '{}': no user", name)};
  if (login.tenant.empty() && !login.cluster.empty()) {
    return Error{Code::invalid, fmt::format("user name '{}': cluster '{}' without a tenant", name, login.cluster)};
  }
  return login;
}

Result<Route> parse_route(std::string_view word, std::uint16_t port) {
  constexpr std::uint16_t kServerPort = 2881;
  if (word.empty()) return port == kServerPort ? Route::direct : Route::proxy;
  if (word == "direct") return Route::direct;
  if (word == "proxy") return Route::proxy;
  return Error{Code::invalid, fmt::format("route='{}': direct or proxy", word)};
}

Result<std::string> wire_name(const LoginName& login, Route route) {
  if (login.tenant.empty()) return login.user;
  if (login.cluster.empty()) return fmt::format("{}@{}", login.user, login.tenant);
  if (route == Route::direct) {
    return Error{Code::invalid, fmt::format("'#{}' is for OceanBase's proxy; a server refuses the login. Leave the "
                                            "cluster out, or say route=proxy",
                                            login.cluster)};
  }
  return fmt::format("{}@{}#{}", login.user, login.tenant, login.cluster);
}

std::string_view to_string(Isolation isolation) {
  switch (isolation) {
    case Isolation::read_committed:
      return "READ COMMITTED";
    case Isolation::repeatable_read:
      return "REPEATABLE READ";
    case Isolation::serializable:
      return "SERIALIZABLE";
  }
  HF_ASSERT(false);
}

Result<bool> SessionOptions::set(std::string_view key, std::string_view value) {
  if (key == "isolation") {
    HF_TRY(isolation, parse_isolation(value));
    return true;
  }
  const auto limit = std::ranges::find(kLimits, key, &Limit::key);
  if (limit == std::end(kLimits)) return false;
  HF_TRY(this->*(limit->value), parse_limit(*limit, value));
  return true;
}

std::vector<std::string> session_settings(Flavour flavour, const SessionOptions& options) {
  return {"SET NAMES utf8mb4", fmt::format("SET SESSION TRANSACTION ISOLATION LEVEL {}", to_string(options.isolation)),
          variables(flavour, options)};
}

}  // namespace hf::sql::mysql
