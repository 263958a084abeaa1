#pragma once

/// What an operator sees and does of a service's branches, as JSON (docs/administration.md):
///
///   GET  /admin/branches/{participant}                     in doubt, and what ended against a decision
///   POST /admin/branches/{participant}/{gtrid}/resolve     {"decision":"commit"|"abort","reason":"why"}
///
/// Errors: {"error":"…"} with 400, 404, 409, 503.

#include "net/http.h"
#include "participant/branches.h"

namespace hf::participant {

/// `branches` outlives the handler.
net::HttpHandler make_branches_admin(std::string participant, Branches& branches);

}  // namespace hf::participant
