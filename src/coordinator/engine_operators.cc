// The engine's operator side: what is open, and an operator's word, recorded before it takes effect.

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "coordinator/engine.h"

namespace hf::coordinator {
namespace {

namespace wire = hf::wire::two_phase;

}  // namespace

std::vector<Transaction> Engine::list(Which which, std::size_t limit) const {
  std::vector<LivePtr> found;
  for (const auto& [gtrid, one] : live_) {
    const bool wanted = which == Which::open ? !one->tx.finished() : one->unresolved || one->tx.unacknowledged() > 0;
    if (wanted) found.push_back(one);
  }
  std::ranges::sort(found, {}, [](const LivePtr& one) { return std::pair(one->tx.began_us, one->tx.gtrid); });
  if (found.size() > limit) found.resize(limit);
  std::vector<Transaction> out;
  for (const LivePtr& one : found) out.push_back(one->tx);
  return out;
}

Task<Transaction> Engine::resolve(std::string gtrid, Decision decision, std::string reason) {
  HF_CO_TRY(ours(gtrid));
  const LivePtr one = live(gtrid);
  if (!one) {
    HF_CO_TRY(const std::optional<Transaction> row, co_await store_.find(gtrid));
    if (!row) co_return unknown_transaction(gtrid);
    co_return Error{Code::conflict, "the transaction is finished"};
  }
  if (one->tx.decision) co_return co_await give_up(one, decision, std::move(reason));
  if (decision == Decision::commit) {
    co_return Error{Code::conflict,
                    "the transaction is not decided, and only its participants' votes make it a commit"};
  }
  co_return co_await abort_by_operator(one, std::move(reason));
}

Task<Transaction> Engine::abort_by_operator(LivePtr one, std::string reason) {
  if (one->tx.state == State::deciding) co_return Error{Code::conflict, "the commit is being recorded"};
  const AbortAsked event{"operator", std::move(reason)};
  Transaction aborted = one->tx;
  step(aborted, event, to_us(world_.clock.wall()));
  // Durable first: a commit that is recorded meanwhile makes this void, and one that comes later finds it.
  std::vector<Transaction> rows{std::move(aborted)};
  std::vector<Heuristic> none;
  HF_CO_TRY(co_await store_.save(std::move(rows), std::move(none)));
  log::warn("coordinator.resolved", {{"gtrid", one->tx.gtrid}, {"decision", "abort"}, {"reason", event.reason}});
  feed(one, event);
  HF_CO_TRY(const wire::OutcomeReport report, co_await settled(one));
  if (report.outcome == Outcome::committed) co_return Error{Code::conflict, "it was committed meanwhile"};
  co_return one->tx;
}

Task<Transaction> Engine::give_up(LivePtr one, Decision decision, std::string reason) {
  if (decision != *one->tx.decision) {
    co_return Error{Code::conflict,
                    fmt::format("the decision is {}, and never changes", wire::to_string(*one->tx.decision))};
  }
  std::vector<Heuristic> records;
  std::vector<std::size_t> given_up;
  for (std::size_t who = 0; who < one->tx.participants.size(); ++who) {
    const Participant& p = one->tx.participants[who];
    if (p.stage != Stage::told) continue;
    given_up.push_back(who);
    records.push_back({one->tx.gtrid, p.id, std::string(wire::to_string(decision)), "unknown", "operator: " + reason,
                       to_us(world_.clock.wall())});
  }
  if (records.empty()) co_return Error{Code::conflict, "nobody is waited for"};
  HF_CO_TRY(co_await store_.record_heuristics(std::move(records)));
  heuristics_changed_ = true;
  log::warn("coordinator.resolved",
            {{"gtrid", one->tx.gtrid}, {"decision", wire::to_string(decision)}, {"reason", reason}});
  for (const std::size_t who : given_up) feed(one, GivenUp{who, reason});
  co_return one->tx;
}

}  // namespace hf::coordinator
