#pragma once

/// Who logs in, and what every session is told before its first use. Pure: names, numbers and SQL text.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/mysql/flavour.h"

namespace hf::sql::mysql {

/// An OceanBase login has three parts; elsewhere the last two are empty.
struct LoginName {
  std::string user, tenant, cluster;
  bool operator==(const LoginName&) const = default;
};

/// Reads "user", "user@tenant", "user@tenant#cluster", "cluster:tenant:user"; the URL's `tenant=` and `cluster=` fill
/// what the name leaves out. The proxy's forms "cluster-tenant-user" and "cluster.tenant.user" are passed on as a plain
/// user: ordinary names have such characters, too, and the proxy takes them apart itself.
/// Errors: invalid (a part is empty, a cluster without a tenant, or name and keys contradict each other).
Result<LoginName> parse_login_name(std::string_view name, std::string_view tenant = {}, std::string_view cluster = {});

enum class Route : std::uint8_t {
  direct,  ///< to a server. OceanBase's (port 2881) refuses a login that names the cluster
  proxy,   ///< to OceanBase's proxy (port 2883), which needs it unless it serves one cluster only
};
/// By the port, unless the URL says `route=direct` or `route=proxy`. Errors: invalid (another word).
Result<Route> parse_route(std::string_view word, std::uint16_t port);

/// "user@tenant#cluster", as it goes over the wire and into logs. Errors: invalid (a cluster on a direct route).
Result<std::string> wire_name(const LoginName& login, Route route);

/// There is no READ UNCOMMITTED: nothing here may show or use what is not committed.
enum class Isolation : std::uint8_t { read_committed, repeatable_read, serializable };
std::string_view to_string(Isolation isolation);  ///< "READ COMMITTED"

/// What a URL may change about a session: `isolation=repeatable-read`, `lock_timeout_ms=500`, … There is no key for
/// OceanBase's weak reads: an old follower would answer a marker or a check-back wrongly.
struct SessionOptions {
  Isolation isolation = Isolation::read_committed;
  std::chrono::milliseconds statement_timeout{10'000};    ///< 100 ms … 1 h. MySQL: SELECT only
  std::chrono::milliseconds transaction_timeout{30'000};  ///< whole life; OceanBase only (its default is a day). ≤ 1 h
  std::chrono::milliseconds idle_timeout{100'000};  ///< between statements of a transaction. 100 s … 1 h; not in MySQL
  std::chrono::milliseconds lock_timeout{1'000};  ///< per lock, ≤ statement_timeout. MariaDB, MySQL: whole seconds, up

  /// Takes one key of the URL. False: not a key of a session. Errors: invalid (value; READ UNCOMMITTED).
  Result<bool> set(std::string_view key, std::string_view value);
};

/// The statements to send after every login, every reset of a session and every change of server, in this order. All
/// of them must succeed, or the session is not used.
std::vector<std::string> session_settings(Flavour flavour, const SessionOptions& options);

/// How our databases and tables compare texts: byte by byte, as SQLite does. MariaDB also without padding, so that 'a'
/// and 'a ' are two keys; the others have no such collation for utf8mb4 in common.
std::string_view collation(Flavour flavour);

}  // namespace hf::sql::mysql
