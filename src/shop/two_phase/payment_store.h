#pragma once

/// What payment keeps (docs/formats/shop.md): Payments, payment_movements, payment_openings.
///
///     Payments.amount ──branch──▶ held ──commit──▶ paid         XA: straight to paid, seen when the branch commits
///                  ◀───────────────┘ abort
///
/// For each card: amount + held + paid = opening, in every committed state (P6).

#include <optional>

#include "participant/branches.h"
#include "shop/two_phase/samples.h"
#include "sql/database.h"

namespace hf::shop::two_phase {

/// One card, for people and reconciliation; from one snapshot.
struct Account {
  std::string card_no;
  std::int64_t amount = 0, held = 0, paid = 0;
  std::optional<std::int64_t> opening;  ///< nothing: the row was made by hand
};

/// One strand. `db` outlives it.
class PaymentStore {
 public:
  explicit PaymentStore(sql::Database& db) : db_(db) {}

  /// Creates the tables, opens `accounts` that are not known yet.
  Task<> open(std::vector<SampleAccount> accounts);
  Task<std::vector<Account>> accounts();

  /// The statements of POST /payment/pay. Errors: not_found ("Card not found!"), conflict ("Insufficient balance!").
  static participant::Work charge(std::string card_no, std::int64_t amount);
  static Result<void> settle(participant::BranchTx tx, wire::two_phase::Decision decision);

 private:
  sql::Database& db_;
};

}  // namespace hf::shop::two_phase
