#pragma once

/// The operator's commands for global transactions (two-phase commit). As commands.h: exit code 0 yes, 1 no.

#include "console/commands.h"

namespace hf::console {

/// Ids of the coordinator's transactions begin so; all others are transactional messages.
inline constexpr std::string_view kGlobalTransactionPrefix = "hf1.";

enum class GlobalList {
  open,       ///< not finished
  in_doubt,   ///< decided, and not acknowledged by all; and the branches of this process's services without a decision
  heuristic,  ///< ended against the decision, or by an operator
  finished,   ///< the latest
};
Task<int> list_global_transactions(AdminClient& client, GlobalList which, Format format);

/// As a timeline, then what ran beside what. `http`: with the headers of the calls.
Task<int> show_global_transaction(AdminClient& client, std::string id, bool http, Format format);

/// `decision`: "commit" or "abort". The reason is recorded before anything happens. `participant`: at this one's branch
/// alone, in doubt, without its coordinator; "": at the coordinator.
Task<int> resolve_global_transaction(AdminClient& client, std::string id, std::string participant, std::string decision,
                                     std::string reason, Format format);

}  // namespace hf::console
