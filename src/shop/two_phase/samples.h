#pragma once

/// Accounts and stock as the configuration spells them: "card;balance", "item;pieces;unit price".

#include <string>
#include <vector>

#include "base/result.h"

namespace hf::shop::two_phase {

struct SampleAccount {
  std::string card_no;
  std::int64_t amount = 0;
};
struct SampleStock {
  std::int64_t item_id = 0, amount = 0, unit_price = 0;
};
/// Errors: invalid, naming the entry and what is wrong with it (also what comes twice).
Result<std::vector<SampleAccount>> parse_accounts(const std::vector<std::string>& entries);
Result<std::vector<SampleStock>> parse_stock(const std::vector<std::string>& entries);

}  // namespace hf::shop::two_phase
