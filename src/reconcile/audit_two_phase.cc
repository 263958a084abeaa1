#include <fmt/format.h>

#include <map>
#include <unordered_map>

#include "reconcile/mode_audits.h"

namespace hf::reconcile {
namespace {

class TwoPhaseAudit {
 public:
  TwoPhaseAudit(const Facts& facts, Report& report) : facts_(facts), report_(report) {
    for (const TransactionFact& tx : facts.transactions) transactions_[tx.gtrid] = &tx;
    for (const MovementFact& movement : facts.movements) movements_[{movement.gtrid, movement.store}] = &movement;
  }

  void run() {
    for (const HoldingFact& holding : facts_.holdings) check_holding(holding);
    for (const OrderFact& order : facts_.orders_before) check_order(order);
    for (const MovementFact& movement : facts_.movements) check_decision(movement);
    for (const BranchFact& branch : facts_.prepared) check_branch(branch);
    for (const HeuristicFact& entry : facts_.heuristics) {
      find(Class::heuristic, entry.gtrid,
           fmt::format("{}: decided {}, found {}: {}", entry.where, entry.decided, entry.found, entry.reason));
    }
  }

 private:
  void find(Class kind, std::string id, std::string text) {
    report_.findings.push_back({kind, std::move(id), std::move(text)});
  }
  const TransactionFact* transaction(const std::string& gtrid) const {
    const auto found = transactions_.find(gtrid);
    return found == transactions_.end() ? nullptr : found->second;
  }
  const MovementFact* movement(const std::string& gtrid, const char* store) const {
    const auto found = movements_.find({gtrid, store});
    return found == movements_.end() ? nullptr : found->second;
  }

  void check_holding(const HoldingFact& holding) {
    const bool money = holding.store == "payment";
    (money ? report_.money_left : report_.stock_avail) += holding.left;
    (money ? report_.money_held : report_.stock_held) += holding.held;
    (money ? report_.money_paid : report_.stock_sold) += holding.taken;
    const bool known = holding.opening >= 0;
    const std::int64_t sum = holding.left + holding.held + holding.taken;
    (money ? report_.money_opening : report_.stock_initial) += known ? holding.opening : sum;
    if (holding.left < 0) {
      find(money ? Class::money_mismatch : Class::stock_negative, holding.id, fmt::format("{} left", holding.left));
    }
    if (known && sum != holding.opening) {
      find(money ? Class::money_mismatch : Class::stock_mismatch, holding.id,
           fmt::format("opened with {}, but {} left + {} held + {} taken = {}", holding.opening, holding.left,
                       holding.held, holding.taken, sum));
    }
  }

  /// An order that was decided before the stores were read.
  void check_order(const OrderFact& order) {
    if (order.status == "confirmed") return check_confirmed(order);
    if (order.status == "processing") return;
    for (const char* store : {"payment", "inventory"}) {
      const MovementFact* const left = movement(order.tx_id, store);
      if (left == nullptr) continue;
      const TransactionFact* const tx = transaction(order.tx_id);
      if ((tx != nullptr && !tx->finished) || order.committed_at_us >= report_.window.until_us) {
        note_open(report_, fmt::format("order {} is being taken back at {}", order.order_id, store));
      } else {
        find(Class::order_in_one_store, order.order_id,
             fmt::format("the order is {}, {} has {} of it", order.status, store, left->amount));
      }
    }
  }

  void check_confirmed(const OrderFact& order) {
    const std::pair<const char*, std::int64_t> wanted[] = {{"payment", order.total}, {"inventory", order.quantity}};
    for (const auto& [store, amount] : wanted) {
      const MovementFact* const found = movement(order.tx_id, store);
      if (found != nullptr && !found->held && found->amount == amount) continue;
      find(Class::order_in_one_store, order.order_id,
           fmt::format("confirmed with {}, but {} has {}", amount, store,
                       found == nullptr ? "nothing of it"
                                        : fmt::format("{}{}", found->amount, found->held ? ", still held" : "")));
    }
  }

  void check_decision(const MovementFact& movement) {
    const TransactionFact* const tx = transaction(movement.gtrid);
    if (tx == nullptr || movement.held || tx->decision != "abort") return;
    find(Class::decision_broken, movement.gtrid,
         fmt::format("aborted, but {} has taken {}", movement.store, movement.amount));
  }

  void check_branch(const BranchFact& branch) {
    const TransactionFact* const tx = transaction(branch.gtrid);
    const bool open = tx != nullptr && !tx->finished;
    if (open || branch.since_us == 0 || branch.since_us >= report_.window.until_us) {
      note_open(report_, fmt::format("{}'s branch of {} is prepared", branch.store, branch.gtrid));
    } else {
      find(Class::branch_left_prepared, branch.gtrid,
           fmt::format("{} waits for it, the coordinator {}", branch.store,
                       tx == nullptr ? "does not know it (presumed abort)" : "has finished it"));
    }
  }

  const Facts& facts_;
  Report& report_;
  std::unordered_map<std::string, const TransactionFact*> transactions_;
  std::map<std::pair<std::string, std::string>, const MovementFact*> movements_;  ///< by gtrid and store
};

}  // namespace

void audit_two_phase(const Facts& facts, Report& report) { TwoPhaseAudit(facts, report).run(); }

}  // namespace hf::reconcile
