#pragma once

/// Transactional messages: a message that is delivered if, and only if, a local transaction committed (P1). Made by
/// Client::transaction_producer().
///
///   auto executor = [&](const mq::HalfMessage& half, const std::any& argument) -> Task<mq::Resolution> {
///     const auto& order = std::any_cast<const Order&>(argument);
///     HF_CO_TRY(co_await orders.place(order, half.message.message_id));   // an error: nothing is known, UNKNOWN
///     co_return mq::Resolution::commit;
///   };
///   HF_CO_TRY(const mq::TransactionOutcome outcome,
///             co_await producer->send_message_in_transaction(std::move(message), executor, order));
///
/// Source of the shape: RocketMQ's sendMessageInTransaction(msg, localExecutor, arg) and checkLocalTransaction(msg).

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/task.h"
#include "mq/config.h"
#include "mq/message.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::mq {

class InFlight;
class Link;
class Sender;
class Session;
class Transport;

/// What became of a local transaction.
enum class Resolution {
  commit,
  rollback,
  unknown,  ///< not known now: the broker asks again later
};
std::string_view to_string(Resolution resolution);

/// A message the broker has, durably, and shows to nobody.
struct HalfMessage {
  Message message;
  std::string transaction_id;  ///< the broker's name for it
};

/// Does the local transaction. Called exactly once for each half message that was acknowledged, never for another.
/// `half` and `argument` outlive the task. An error or an exception counts as `unknown`.
using LocalExecutor = std::function<Task<Resolution>(const HalfMessage& half, const std::any& argument)>;

/// Says what became of the local transaction of a half message, perhaps one that another process sent: rollback only if
/// it is proven that it can never commit. An error or an exception counts as `unknown`. `half` outlives the task.
using Checker = std::function<Task<Resolution>(const HalfMessage& half)>;

/// What the broker made of our decision.
enum class Decided {
  taken,    ///< durable there
  refused,  ///< it knows another decision, or no such half message
  unheard,  ///< no answer: it will ask the checker
  nothing,  ///< there was none to tell (unknown): it will ask the checker
};
std::string_view to_string(Decided decided);

struct TransactionOutcome {
  SendReceipt half;
  Resolution local = Resolution::unknown;
  std::optional<Error> local_error{};  ///< why `local` is unknown, if the executor failed
  Decided decided = Decided::nothing;
  std::optional<Error> decided_error{};  ///< of refused and unheard
};

/// One strand; as many transactions at a time as wanted. close() is awaited before it is destroyed.
class TransactionProducer {
 public:
  /// Without a checker, what is not decided at once is asked for in vain, and parked by the broker in the end: start()
  /// warns.
  TransactionProducer(sys::World world, const ClientConfig& client, Transport& transport, ProducerConfig config,
                      Checker checker);
  ~TransactionProducer();
  TransactionProducer(const TransactionProducer&) = delete;
  TransactionProducer& operator=(const TransactionProducer&) = delete;

  /// Waits until the broker knows the configured topics and whom to ask about them. List every topic in the
  /// configuration: check-backs of transactions of an earlier process come from here on.
  Task<> start(Duration timeout);

  /// 1. The half message is sent and acknowledged durable. 2. `executor` runs, once. 3. Its answer goes to the broker;
  /// `unknown` does not.
  /// Errors are of step 1, and the executor did not run: invalid, not_found, denied, exhausted, unavailable: no half
  /// message exists · timeout: one may exist; the broker will ask the checker. After step 1 there is always an outcome:
  /// what the executor said is never lost to the caller, whatever the network does.
  Task<TransactionOutcome> send_message_in_transaction(Message message, LocalExecutor executor, std::any argument);

  /// Nothing new is begun; waits for transactions and checks under way, then says goodbye to the broker. Executors and
  /// checkers refer to us, so they are waited for as long as they take; beyond drain_timeout that is logged.
  asio::awaitable<void> close();

 private:
  struct Counters;
  struct Local {
    Resolution resolution = Resolution::unknown;
    std::optional<Error> error;
  };
  struct Answer {
    Decided decided = Decided::nothing;
    std::optional<Error> error;
  };
  enum class Source { client, check };

  asio::awaitable<Local> run_executor(const LocalExecutor& executor, const HalfMessage& half, const std::any& argument);
  asio::awaitable<void> answer_check(Link& link, HalfMessage half);
  asio::awaitable<Answer> end_transaction(Link& link, const HalfMessage& half, Resolution resolution, Source source);
  void check_requested(Link& link, HalfMessage half);

  const ProducerConfig config_;
  sys::World world_;
  const Duration drain_timeout_;
  const Checker checker_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Sender> sender_;
  /// Transactions that are being decided here, by their executor or by a check: not asked a second time meanwhile.
  std::set<std::string> open_;
  sys::Event idle_;
  std::unique_ptr<InFlight> in_flight_;
  bool closing_ = false;
  sys::TaskGroup checks_;
  std::unique_ptr<Counters> counters_;
};

}  // namespace hf::mq
