#pragma once

/// The router as operators and other programs of this house see it: what became of an event, what is dead and why, and
/// how it is sent on again.

#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/http.h"
#include "router/store.h"

namespace hf::router {

class Admin {
 public:
  virtual ~Admin() = default;
  /// By its id, or by the message it came from: "topic/message id".
  virtual Task<std::optional<EventStory>> event(std::string id) = 0;
  virtual Task<std::optional<DeliveryStory>> delivery(std::string id) = 0;
  /// Newest first.
  virtual Task<std::vector<Delivery>> dead_letters(std::size_t limit) = 0;
  /// A dead delivery starts over: all its retries, its age from now. Errors: not_found, conflict (it is not dead).
  virtual Task<> redrive(std::string delivery_id) = 0;
  virtual Task<Store::Counts> counts() = 0;
  virtual CataloguePtr rules() const = 0;
  /// Creates the role `name` or replaces it.
  virtual Task<> grant(std::string name, std::vector<Role::Statement> statements) = 0;
};

/// GET  /admin/router                      counts
/// GET  /admin/router/events/{id}          the event, matched rules, deliveries, attempts; id or topic%2Fmessage-id
/// GET  /admin/router/deliveries/{id}
/// GET  /admin/router/dlq[?limit=n]        dead letters with reason
/// POST /admin/router/dlq/{id}/redrive     202
/// GET  /admin/router/rules                rules, targets, destinations, connections (no secrets), roles
/// PUT  /admin/router/roles/{name}         {"statements":[{"Action":[…],"Resource":[…]}]}
/// JSON; errors {"error":{"code","message"}} with 400, 404, 405, 409, 503. Times are RFC 3339. `admin` outlives it.
net::HttpHandler admin_http(Admin& admin);

}  // namespace hf::router
