#pragma once

/// Whether a server takes XA statements. For OceanBase, whose MySQL mode has them or not by version; its answer is
/// logged, and changes nothing yet: branches there are reservations (docs/protocols/oceanbase.md).

#include <cstdint>
#include <string>
#include <string_view>

#include "sql/mysql/connection.h"

namespace hf::sql::mysql {

enum class XaSupport : std::uint8_t { yes, no, unknown };
std::string_view to_string(XaSupport support);

/// Starts, ends and rolls back an empty branch "hf.probe.<id>". The connection is of no use afterwards: it may be in a
/// branch.
XaSupport probe_xa(Connection& connection, const std::string& id);

}  // namespace hf::sql::mysql
