#pragma once

/// What an operator sees and does of a service's outbox, as JSON (docs/administration.md):
///
///   GET  /admin/outbox/{service}?state=blocked&limit=100      {"service", "counts": {state: n}, "rows": […]}
///   GET  /admin/outbox/{service}/{id}                         one row
///   POST /admin/outbox/{service}/{id}/unblock                 it is tried anew, its aggregate goes on behind it
///   POST /admin/outbox/{service}/{id}/skip {"reason":"why"}   it is given up, its aggregate goes on
///
/// Without a state: all that is not done and not skipped. Errors: {"error":{"code","message"}} with 400, 404, 405, 409,
/// 503.

#include "net/http.h"
#include "participant/outbox.h"

namespace hf::participant {

/// `outbox` outlives the handler.
net::HttpHandler make_outbox_admin(std::string service, Outbox& outbox);

}  // namespace hf::participant
