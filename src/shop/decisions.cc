#include "shop/decisions.h"

namespace hf::shop {

Verdict decide_order(Seen seen) {
  if (seen.key_known) return Verdict::repeat;
  return seen.stock_taken ? Verdict::confirm : Verdict::refuse;
}

TxState state_of(Verdict verdict) { return verdict == Verdict::confirm ? TxState::committed : TxState::rolled_back; }

std::optional<TxState> decide_resolution(std::optional<TxState> stored, std::optional<Code> error) {
  if (error == Code::conflict) return TxState::rolled_back;
  return error ? std::nullopt : stored;
}

}  // namespace hf::shop
