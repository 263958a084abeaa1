#pragma once

/// "(?, ?, …)" for `ids`, whose number grows by powers of two, so that a connection keeps few prepared statements; the
/// last id is repeated.

#include <bit>
#include <span>
#include <string>

#include "sql/database.h"

namespace hf::participant {

/// At least one id. Appends them to `params`, which must stand at that place of the statement.
inline std::string in_list(std::span<const std::string> ids, sql::Params& params) {
  HF_ASSERT(!ids.empty());
  const std::size_t slots = std::bit_ceil(ids.size());
  std::string list = "(?";
  for (std::size_t i = 0; i < slots; ++i) {
    if (i > 0) list += ", ?";
    params.emplace_back(ids[std::min(i, ids.size() - 1)]);
  }
  return list + ")";
}

}  // namespace hf::participant
