#pragma once

/// The shop's decisions, pure: rows seen → what follows. Source: design.md §3 "The local transaction", rulings W2, W3.

#include <optional>

#include "base/result.h"
#include "shop/order.h"

namespace hf::shop {

/// Inside the local transaction, after the guarded stock update and the look for the same Idempotency-Key.
struct Seen {
  bool key_known;    ///< an order with this key is stored already
  bool stock_taken;  ///< the guarded update changed its row
};
enum class Verdict {
  confirm,  ///< store the order, COMMIT its message
  refuse,   ///< store the refusal (a repeated request gets the same answer), no message: ROLLBACK
  repeat,   ///< store nothing, answer with what is stored; this attempt's message: ROLLBACK
};
Verdict decide_order(Seen seen);
TxState state_of(Verdict verdict);

/// After the local transaction: what the broker may be told now. nullopt: UNKNOWN, the broker asks later.
/// An error is never a rollback (W3), with one exception: `conflict` means that the tombstone is in place.
std::optional<TxState> decide_resolution(std::optional<TxState> stored, std::optional<Code> error);

}  // namespace hf::shop
