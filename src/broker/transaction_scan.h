#pragma once

/// Every transaction the log still holds, decided ones included: what reconciliation compares with the orders.

#include <string>
#include <vector>

#include "broker/admin.h"
#include "log/log.h"

namespace hf::broker {

/// Oldest first; `topic` empty: of all topics. Reads the whole log; any thread. What was appended and is not durable
/// yet is not seen: a transaction whose decision is on its way counts as pending.
Result<std::vector<HalfInfo>> scan_transactions(const log::Log& log, const std::string& topic);

}  // namespace hf::broker
