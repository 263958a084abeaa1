#include "sys/fault_points.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <thread>

#include "base/log.h"

namespace hf::sys {
namespace {

constexpr FaultPointInfo kFaultPoints[] = {
    {"log.before_fill", "before a new segment file of a message log is filled with zeros"},
    {"log.before_write", "a batch of the message log is in memory; nothing of it is on disk"},
    {"log.before_sync", "a batch is written, not synced; nobody was told"},
    {"log.after_sync", "a batch is durable; nobody was told"},
    {"mq.before_ack", "a listener is done with a message; the broker has not heard it"},
    {"mq.before_end_transaction", "a local transaction is decided; the broker has not heard it"},
    {"mq.end_transaction", "the decision on its way to the broker; drop loses it"},
    {"net.http_before_send", "an outgoing HTTP request, nothing of it sent; an error here is `unavailable`"},
    {"net.http_after_answer",
     "its whole answer arrived; an error here loses it, which is `timeout`: it may have happened"},
    {"sys.test", "nowhere in the product; for the tests of fault points themselves"},
    {"sql.before_statement", "on the database thread, before a statement of a unit of work that may write"},
    {"sql.before_commit", "on the database thread, a batch of units written and not yet committed"},
    {"sql.after_commit", "on the database thread, a batch durable and nobody told; an error here is a lost answer"},
    {"shop.before_half", "an order was admitted, nothing was sent or stored"},
    {"shop.after_half", "its half message is acknowledged, the local transaction has not begun"},
    {"shop.before_begin", "right before the local transaction is handed to the database"},
    {"shop.before_commit", "on the database thread, inside the local transaction, all rows written"},
    {"shop.after_commit", "the local transaction is durable, the broker was not told"},
    {"shop.before_end_tx", "right before the decision goes to the broker"},
    {"shop.after_end_tx", "the decision went out, the buyer was not answered"},
    {"shop.before_answer", "the answer is ready; an error here loses it and the buyer sees a 503"},
    {"shop.tx_begun", "two-phase commit: a transaction is begun for an order, nobody was called"},
    {"shop.tx_stored", "two-phase commit: the order is stored as processing, no branch is open"},
    {"shop.tx_worked", "two-phase commit: payment and inventory have done their work, commit was not asked for"},
    {"shop.tx_decided", "two-phase commit: commit was asked for, the customer was not answered"},
    {"shop.tx_completion", "two-phase commit: all branches ended, the order does not know it yet"},
    {"shop.tx_confirmed", "two-phase commit: an order is confirmed, the coordinator was not told"},
    {"broker.before_half_append", "a half message arrived and nothing of it is stored"},
    {"broker.after_half_durable", "a half message is durable and its producer not told"},
    {"broker.half_ack", "drop: the producer never hears that its half message is durable"},
    {"broker.end_tx", "drop: a commit or rollback never reaches the broker"},
    {"broker.after_decision_durable", "a commit or rollback is durable and its producer not told"},
    {"broker.before_ack_append", "an acknowledgement arrived and nothing of it is stored"},
    {"broker.after_ack_durable", "an acknowledgement is durable and its consumer not told"},
    {"notifier.after_call", "notifier: the provider answered (or did not), nothing of it is recorded"},
    {"notifier.after_record", "notifier: the outcome is durable, the client has no answer yet"},
    {"notifier.after_row", "notifier: the ledger row is durable, no byte has gone to the provider"},
    {"notifier.before_callback_record", "notifier: a status callback is verified, not recorded"},
    {"notifier.before_row", "notifier: a request is checked, nothing is stored"},
    {"coordinator.before_prepare", "a participant is about to be asked for its vote; an error here is a silence"},
    {"coordinator.after_first_prepare",
     "the first participant of a transaction has answered prepare; an error loses it"},
    {"coordinator.after_prepares", "all have voted yes, nothing is decided; an error here aborts"},
    {"coordinator.before_decision", "right before the COMMIT record is handed to the database; an error here aborts"},
    {"coordinator.after_decision", "the COMMIT record is durable, nobody was told; an error here is a lost answer"},
    {"coordinator.after_first_notify", "the first participant has acknowledged the decision; an error loses that"},
    {"coordinator.after_last_notify", "the last participant has acknowledged, END is not written; an error loses that"},
    {"coordinator.prepare_request", "drop: a prepare never reaches its participant"},
    {"coordinator.prepare_reply", "drop: the answer to a prepare is lost; the participant may be prepared"},
    {"coordinator.notify_request", "drop: a commit or abort never reaches its participant"},
    {"coordinator.notify_ack", "drop: the acknowledgement of a commit or abort is lost"},
    {"participant.before_prepare", "a prepare arrived and nothing of the branch is durable; an error here is no vote"},
    {"participant.after_prepare", "a branch is prepared, durably, and the coordinator not told"},
    {"participant.prepare_reply", "drop: the coordinator never hears the vote"},
    {"participant.before_end", "a decision arrived, or was asked for, and the branch is as it was"},
    {"participant.after_end", "a branch has ended, durably, and the coordinator not told"},
    {"participant.notify_reply", "drop: the coordinator never hears that the branch has ended"},
    {"phone.after_create", "phone: message or call is durable, the answer is not sent"},
    {"outbox.between",
     "on the database thread, between the business rows and the message row of one local transaction"},
    {"outbox.after_claim", "messages of an outbox are claimed, nothing of them is published"},
    {"outbox.after_publish",
     "the broker has messages of an outbox, nothing of it is recorded; an error loses its answer"},
    {"outbox.after_record", "messages of an outbox are published and recorded"},
    {"inbox.between", "on the database thread, between the key of a message and its effect in one local transaction"},
    {"router.before_store", "an event is matched, nothing of it is stored"},
    {"router.after_store",
     "an event and its deliveries are durable, the message is not acknowledged, PutEvents not answered"},
    {"router.before_call", "a delivery is due, its request has not gone out; an error here is a failed connection"},
    {"router.after_call", "the destination has answered, the attempt is not recorded; an error here is a lost answer"},
    {"router.after_record", "an attempt and the state it led to are durable"},
};

bool known(std::string_view name) {
  return std::any_of(std::begin(kFaultPoints), std::end(kFaultPoints), [&](const auto& p) { return p.name == name; });
}

[[noreturn]] void die(std::string_view name) {
  log::warn("sys.fault.crash", {{"point", name}});
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

Error injected(std::string_view name) { return Error{Code::unavailable, fmt::format("fault point {}", name)}; }

Result<std::int64_t> parse_count(std::string_view text, std::string_view item) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1) {
    return Error{Code::invalid, fmt::format("'{}': '{}' is not a positive number", item, text)};
  }
  return value;
}

}  // namespace

std::span<const FaultPointInfo> all_fault_points() { return kFaultPoints; }

Result<void> FaultPoints::arm(std::string_view spec) {
  std::map<std::string, Armed, std::less<>> parsed;
  while (!spec.empty()) {
    const std::string_view item = spec.substr(0, spec.find(','));
    spec.remove_prefix(std::min(spec.size(), item.size() + 1));
    const std::size_t equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    if (equals == std::string_view::npos) {
      return Error{Code::invalid, fmt::format("'{}' is not name=action[:number]", item)};
    }
    if (!known(name)) return Error{Code::invalid, fmt::format("there is no fault point '{}'", name)};
    std::string_view action = item.substr(equals + 1);
    Armed armed;
    if (const std::size_t colon = action.find(':'); colon != std::string_view::npos) {
      HF_TRY(armed.count, parse_count(action.substr(colon + 1), item));
      action = action.substr(0, colon);
    }
    if (action == "crash") {
      armed.action = Action::crash;
    } else if (action == "error") {
      armed.action = Action::error;
    } else if (action == "drop") {
      armed.action = Action::drop;
    } else if (action == "delay" && armed.count > 0) {
      armed.action = Action::delay;
      armed.delay_ms = std::exchange(armed.count, 0);
    } else {
      return Error{Code::invalid, fmt::format("'{}': the actions are crash, error, drop, delay:<ms>", item)};
    }
    parsed.insert_or_assign(std::string(name), armed);
  }
  const std::lock_guard lock(mutex_);
  for (auto& [name, armed] : parsed) armed_.insert_or_assign(name, armed);
  any_.store(!armed_.empty(), std::memory_order_release);
  return ok();
}

void FaultPoints::disarm_all() {
  const std::lock_guard lock(mutex_);
  armed_.clear();
  any_.store(false, std::memory_order_release);
}

FaultPoints::Fired FaultPoints::take(std::string_view name, bool may_drop) {
  if (!any_.load(std::memory_order_acquire)) return {};
  HF_ASSERT(known(name));
  const std::lock_guard lock(mutex_);
  const auto found = armed_.find(name);
  if (found == armed_.end()) return {};
  Armed& armed = found->second;
  if ((armed.action == Action::drop) != may_drop) return {};
  ++armed.reached;
  const bool fires =
      armed.count == 0 || (armed.action == Action::crash ? armed.reached == armed.count : armed.reached <= armed.count);
  if (!fires) return {};
  return {armed.action, armed.delay_ms};
}

asio::awaitable<Result<void>> FaultPoints::reach(std::string_view name) {
  const Fired fired = take(name, false);
  if (fired.action == Action::crash) die(name);
  if (fired.action == Action::error) co_return injected(name);
  if (fired.action == Action::delay) co_await clock_.sleep_for(std::chrono::milliseconds(fired.delay_ms));
  co_return ok();
}

Result<void> FaultPoints::reach_blocking(std::string_view name) {
  const Fired fired = take(name, false);
  if (fired.action == Action::crash) die(name);
  if (fired.action == Action::error) return injected(name);
  if (fired.action == Action::delay) std::this_thread::sleep_for(std::chrono::milliseconds(fired.delay_ms));
  return ok();
}

bool FaultPoints::drops(std::string_view name) { return take(name, true).action == Action::drop; }

}  // namespace hf::sys
