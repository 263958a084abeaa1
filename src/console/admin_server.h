#pragma once

/// The operator's face over HTTP: metrics, health, and the administration of the components that live in this process.
///
///   GET /metrics          Prometheus text
///   GET /health           200 while the process lives: {"status":"ok", "roles":{…}}; 503 while it drains or a part is
///   dead GET /admin/roles      which roles run here and where they listen …   /admin/<part>/…   what the parts offer
///   (docs/administration.md)
///
/// With a token, everything but /health wants "Authorization: Bearer <token>"; beyond loopback a token is required
/// (P10).

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "net/http.h"

namespace hf::console {

/// Requests whose path begins with `prefix` go to `handler`, path unchanged.
struct AdminMount {
  std::string prefix;  ///< "/admin/broker"
  net::HttpHandler handler;
};

struct RoleStatus {
  std::string address;  ///< "http://127.0.0.1:9650"; empty: the role has no listener
  std::string trouble;  ///< why it cannot work, "" when it can
  std::string mode{};   ///< of the shop: "message", "outbox", "2pc"
};

struct AdminOptions {
  std::string token;  ///< empty: nobody is asked
  /// Asked at each /health and /admin/roles.
  std::function<std::map<std::string, RoleStatus>()> roles;
  std::function<bool()> draining;
};

/// `metrics` outlives the handler.
net::HttpHandler make_admin_handler(AdminOptions options, const metrics::Registry& metrics,
                                    std::vector<AdminMount> mounts);

}  // namespace hf::console
