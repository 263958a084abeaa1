#pragma once

/// Items as the configuration spells them: "id;name;price in minor units;pieces".

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "shop/order.h"

namespace hf::shop {

/// Error: invalid, naming the entry and what is wrong with it (also an id that comes twice).
Result<std::vector<Item>> parse_items(const std::vector<std::string>& entries);

/// For other lists of that kind: the parts between semicolons, an integer within bounds. Errors: invalid.
std::vector<std::string_view> split_entry(std::string_view entry);
Result<std::int64_t> parse_number(std::string_view text, std::int64_t min, std::int64_t max, std::string_view what);

}  // namespace hf::shop
