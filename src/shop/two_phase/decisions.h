#pragma once

/// The order service's decisions, pure: answers of the others → what follows for the order.

#include <string>
#include <string_view>

#include "wire/two_phase/messages.h"

namespace hf::shop::two_phase {

/// What a call, or a whole transaction, came to.
enum class Ended {
  done,     ///< the call succeeded; the transaction is committed
  refused,  ///< no repetition changes it: the order is refused
  passing,  ///< certainly not committed, and another transaction may do better
  unknown,  ///< commit was asked for, and nobody said what was decided
};
struct End {
  Ended ended = Ended::done;
  std::string reason;  ///< refused, passing: for the customer
  bool operator==(const End&) const = default;
};

enum class Call { get_total_price, pay, update_stock };
/// "inventory.getTotalPrice" …: in traces and metrics.
std::string_view to_string(Call call);

/// A call that was answered, and one that was not (`error`: why).
End judge_answer(Call call, int status, std::string_view body);
End judge_silence(Call call, std::string_view error);
/// Both calls of a transaction: a refusal first, for it is final; then payment before inventory.
End both(End pay, End update_stock);
/// What the coordinator said.
End judge_outcome(const wire::two_phase::OutcomeReport& report);

/// Whether another transaction is begun for the order.
bool try_again(const End& end, std::size_t tries, std::size_t tries_max, bool late);

/// An order that is `processing`, about which nobody waits here for an answer.
enum class Orphan {
  wait,     ///< committed: completion will come, and if not, it is asked again · not decided yet
  confirm,  ///< committed and finished: whoever acknowledged the completion did not store it
  abort,    ///< not decided: nobody will ask for commit any more
  drop,     ///< aborted
};
Orphan decide_orphan(const wire::two_phase::OutcomeReport& report);

}  // namespace hf::shop::two_phase
