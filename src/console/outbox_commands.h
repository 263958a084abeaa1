#pragma once

/// The operator's commands for the outboxes of the services (local message table). As commands.h: exit code 0 yes, 1
/// no.

#include "console/commands.h"

namespace hf::console {

/// Rows of every service's outbox. `state`: pending, held, sent, done, blocked, skipped; empty: what is not finished.
/// No: nothing is there.
Task<int> list_outbox(AdminClient& client, std::string state, Format format);
/// A blocked row is tried anew. `service`: shop, inventory; empty: whoever has the row.
Task<int> unblock_outbox(AdminClient& client, std::string service, std::string id, Format format);
/// A blocked row is given up; the reason stays with it.
Task<int> skip_outbox(AdminClient& client, std::string service, std::string id, std::string reason, Format format);

}  // namespace hf::console
