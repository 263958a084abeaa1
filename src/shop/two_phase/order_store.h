#pragma once

/// What the order service keeps (docs/formats/shop.md): two_phase_orders, and the confirmations in its outbox.
///
///     processing ──┬─ its transaction committed, everywhere ──▶ confirmed   with the confirmation, in one transaction
///                  ├─ the answer is no ───────────────────────▶ refused     a repeated request hears it again
///                  └─ aborted for a passing reason ───────────▶ aborted     the key is free again
///
/// A row names one global transaction, the last one that was tried. It is stored before that transaction may be asked
/// to commit, so whoever is told its outcome finds the order.

#include <optional>

#include "participant/outbox.h"
#include "shop/two_phase/requests.h"
#include "sql/database.h"

namespace hf::shop::two_phase {

enum class OrderState { processing, confirmed, refused, aborted };
std::string_view to_string(OrderState state);

struct PlacedOrder {
  std::string order_id;
  OrderState state = OrderState::processing;
  std::string reason;  ///< of refused and aborted
  OrderRequest request;
  std::string gtrid;
  std::int64_t tries = 0, total = 0;
  std::optional<std::string> idempotency_key;
  std::int64_t received_at_us = 0, decided_at_us = 0;  ///< 0: not yet
};

/// One strand. `world`, `db` and `outbox` outlive it.
class OrderStore {
 public:
  OrderStore(sys::World& world, sql::Database& db, participant::Outbox& outbox, std::string topic)
      : world_(world), db_(db), outbox_(outbox), topic_(std::move(topic)) {}

  Task<> open();

  /// The order as it stands: a new row, or another transaction for it. Errors: conflict (its Idempotency-Key belongs to
  /// another order, or the row is decided already), and those of the database.
  Task<> put(PlacedOrder order);
  /// Decides a row that is `processing` under this gtrid, as refused or aborted. False: there is none.
  Task<bool> decide(std::string gtrid, OrderState state, std::string reason);
  /// Its transaction is committed everywhere: `confirmed` and the confirmation, at once; done before: nothing. Errors:
  /// not_found (no such order) · conflict (it is decided otherwise).
  Task<> confirm(std::string gtrid);

  Task<std::optional<PlacedOrder>> find(std::string order_id);
  Task<std::optional<PlacedOrder>> find_by_key(std::string idempotency_key);
  Task<std::optional<PlacedOrder>> find_by_gtrid(std::string gtrid);
  /// All that is `processing`: its order id and gtrid.
  Task<std::vector<std::pair<std::string, std::string>>> processing();

 private:
  Task<std::optional<PlacedOrder>> find_where(std::string where, std::string value);
  Result<void> confirm_in(sql::Transaction& tx, const std::string& gtrid) const;

  sys::World& world_;
  sql::Database& db_;
  participant::Outbox& outbox_;
  const std::string topic_;
};

}  // namespace hf::shop::two_phase
