#pragma once

/// Items as the configuration spells them: "id;name;price in minor units;pieces".

#include <string>
#include <vector>

#include "base/result.h"
#include "shop/order.h"

namespace hf::shop {

/// Error: invalid, naming the entry and what is wrong with it (also an id that comes twice).
Result<std::vector<Item>> parse_items(const std::vector<std::string>& entries);

}  // namespace hf::shop
