#include "mq/transaction_producer.h"

#include <exception>

#include "base/log.h"
#include "mq/in_flight.h"
#include "mq/own_settings.h"
#include "mq/sender.h"
#include "wire/rocketmq/status.h"

namespace hf::mq {
namespace {

constexpr int kEndAttempts = 3;

metrics::Counter& counter(sys::World& world, const char* what, const char* outcome) {
  return world.metrics.counter(std::string("holdfast_mq_") + what + "_total",
                               "Transactions of message producers, by outcome", {{"outcome", outcome}});
}

/// Runs something of the application's; whatever leaves it is an error.
template <class Call>
Task<Resolution> guarded(Call call) {
  try {
    co_return co_await call();
  } catch (const std::exception& exception) {
    co_return Error{Code::internal, std::string("exception: ") + exception.what()};
  } catch (...) {
    co_return Error{Code::internal, "exception of an unknown type"};
  }
}

pb::TransactionResolution to_wire(Resolution resolution) {
  return resolution == Resolution::commit ? pb::COMMIT : pb::ROLLBACK;
}

/// What a failed EndTransaction means.
Decided read_failure(Code code) {
  return may_repeat(code, Repeatable::idempotent) ? Decided::unheard : Decided::refused;
}

}  // namespace

struct TransactionProducer::Counters {
  explicit Counters(sys::World& w)
      : halves(counter(w, "halves", "stored")),
        halves_failed(counter(w, "halves", "failed")),
        local{&counter(w, "local_transactions", "commit"), &counter(w, "local_transactions", "rollback"),
              &counter(w, "local_transactions", "unknown")},
        checks{&counter(w, "checks", "commit"), &counter(w, "checks", "rollback"), &counter(w, "checks", "unknown")},
        checks_busy(counter(w, "checks", "left_to_next_round")),
        checks_open(counter(w, "checks", "already_being_decided")),
        decided{&counter(w, "decisions", "taken"), &counter(w, "decisions", "refused"),
                &counter(w, "decisions", "unheard"), &counter(w, "decisions", "nothing")} {}
  metrics::Counter &halves, &halves_failed;
  std::array<metrics::Counter*, 3> local, checks;  // by Resolution
  metrics::Counter &checks_busy, &checks_open;
  std::array<metrics::Counter*, 4> decided;  // by Decided
};

std::string_view to_string(Resolution resolution) {
  constexpr std::string_view kNames[] = {"commit", "rollback", "unknown"};
  return kNames[static_cast<std::size_t>(resolution)];
}

std::string_view to_string(Decided decided) {
  constexpr std::string_view kNames[] = {"taken", "refused", "unheard", "nothing"};
  return kNames[static_cast<std::size_t>(decided)];
}

TransactionProducer::TransactionProducer(sys::World world, const ClientConfig& client, Transport& transport,
                                         ProducerConfig config, Checker checker)
    : config_(std::move(config)),
      world_(world),
      drain_timeout_(client.drain_timeout),
      checker_(std::move(checker)),
      session_(std::make_unique<Session>(world, client, transport, producer_settings(config_))),
      sender_(std::make_unique<Sender>(*session_, config_)),
      idle_(world.clock),
      in_flight_(std::make_unique<InFlight>(world.clock)),
      checks_(world.executor, world.clock),
      counters_(std::make_unique<Counters>(world_)) {
  if (!checker_) return;
  session_->on_recover([this](Link& link, pb::RecoverOrphanedTransactionCommand command) {
    ReceivedMessage received = decode(std::move(*command.mutable_message()), link.name());
    check_requested(link, HalfMessage{std::move(received.message), std::move(*command.mutable_transaction_id())});
  });
}

TransactionProducer::~TransactionProducer() { HF_ASSERT(open_.empty()); }

Task<> TransactionProducer::start(Duration timeout) {
  const InFlight::Guard guard(*in_flight_);
  if (!checker_) {
    log::warn("mq.transaction.no_checker",
              {{"client_id", session_->client_id()},
               {"what", "a transaction that this process does not decide at once will be parked, not delivered"}});
  }
  co_return co_await session_->start(world_.clock.now() + timeout);
}

Task<TransactionOutcome> TransactionProducer::send_message_in_transaction(Message message, LocalExecutor executor,
                                                                          std::any argument) {
  const InFlight::Guard guard(*in_flight_);
  if (closing_) co_return Error{Code::unavailable, "the producer is closed"};
  if (message.message_id.empty()) message.message_id = session_->next_message_id();
  HalfMessage half{message, {}};
  std::vector<Message> one;
  one.push_back(std::move(message));
  Result<Sender::Sent> sent =
      co_await sender_->send(std::move(one), SendKind::half, world_.clock.now() + config_.send_timeout);
  Result<SendReceipt> receipt = sent ? sent->receipts.front() : Result<SendReceipt>(sent.error());
  if (receipt && receipt->transaction_id.empty())
    receipt = Error{Code::timeout, "the broker named no transaction id for the half message"};
  if (!receipt) {
    counters_->halves_failed.add();
    co_return receipt.error();
  }
  counters_->halves.add();
  half.transaction_id = receipt->transaction_id;
  open_.insert(half.transaction_id);

  TransactionOutcome outcome{.half = std::move(*receipt)};
  Local local = co_await run_executor(executor, half, argument);
  outcome.local = local.resolution;
  outcome.local_error = std::move(local.error);
  Answer answer = co_await end_transaction(*sent->link, half, outcome.local, Source::client);
  outcome.decided = answer.decided;
  outcome.decided_error = std::move(answer.error);
  open_.erase(half.transaction_id);
  idle_.notify_all();
  co_return outcome;
}

asio::awaitable<TransactionProducer::Local> TransactionProducer::run_executor(const LocalExecutor& executor,
                                                                              const HalfMessage& half,
                                                                              const std::any& argument) {
  auto call = [&]() -> Task<Resolution> { return executor(half, argument); };
  Result<Resolution> resolution = co_await guarded(call);
  const Resolution local = resolution.value_or(Resolution::unknown);
  counters_->local[static_cast<std::size_t>(local)]->add();
  if (resolution) co_return Local{local, std::nullopt};
  log::warn("mq.transaction.unknown", {{"key", half.message.log_key()},
                                       {"message_id", half.message.message_id},
                                       {"transaction_id", half.transaction_id},
                                       {"why", resolution.error().to_string()}});
  co_return Local{local, resolution.error()};
}

// The same answer may be given any number of times: the first one stands, and a repetition of it is accepted.
asio::awaitable<TransactionProducer::Answer> TransactionProducer::end_transaction(Link& link, const HalfMessage& half,
                                                                                  Resolution resolution,
                                                                                  Source source) {
  Answer answer;
  if (resolution == Resolution::unknown) {
    counters_->decided[static_cast<std::size_t>(answer.decided)]->add();
    co_return answer;
  }
  pb::EndTransactionRequest request;
  request.mutable_topic()->set_name(half.message.topic);
  request.set_message_id(half.message.message_id);
  request.set_transaction_id(half.transaction_id);
  request.set_resolution(to_wire(resolution));
  request.set_source(source == Source::check ? pb::SOURCE_SERVER_CHECK : pb::SOURCE_CLIENT);
  for (int attempt = 1; attempt <= kEndAttempts; ++attempt) {
    Result<void> passed = co_await world_.faults.reach("mq.before_end_transaction");
    if (passed && world_.faults.drops("mq.end_transaction"))
      passed = Error{Code::timeout, "fault point mq.end_transaction"};
    if (passed) {
      wire::rocketmq::CallContext call = session_->context(session_->request_deadline(Monotonic::max()));
      const auto response = co_await link.service().end_transaction(std::move(call), request);
      passed = !response                                   ? Result<void>(response.error())
               : wire::rocketmq::is_ok(response->status()) ? ok()
                                                           : Result<void>(wire::rocketmq::to_error(response->status()));
    }
    answer.decided = passed ? Decided::taken : read_failure(passed.error().code);
    answer.error = passed ? std::nullopt : std::optional(passed.error());
    if (answer.decided != Decided::unheard || attempt == kEndAttempts) break;
    co_await world_.clock.sleep_for(session_->server().backoff.delay(attempt));
  }
  counters_->decided[static_cast<std::size_t>(answer.decided)]->add();
  if (answer.error) {
    log::warn("mq.decision.failed", {{"key", half.message.log_key()},
                                     {"message_id", half.message.message_id},
                                     {"transaction_id", half.transaction_id},
                                     {"resolution", to_string(resolution)},
                                     {"decided", to_string(answer.decided)},
                                     {"why", answer.error->to_string()}});
  }
  co_return answer;
}

void TransactionProducer::check_requested(Link& link, HalfMessage half) {
  if (closing_) return;  // the next producer of the topic is asked
  if (open_.contains(half.transaction_id)) {
    // Its executor runs here, or another check of it: the answer is on its way. Not asking is an unknown.
    return counters_->checks_open.add();
  }
  if (checks_.running() >= static_cast<std::size_t>(config_.checks_in_flight)) {
    log::warn("mq.check.left", {{"transaction_id", half.transaction_id}, {"in_flight", checks_.running()}});
    return counters_->checks_busy.add();
  }
  open_.insert(half.transaction_id);
  checks_.spawn("mq.check", answer_check(link, std::move(half)));
}

asio::awaitable<void> TransactionProducer::answer_check(Link& link, HalfMessage half) {
  auto call = [&]() -> Task<Resolution> { return checker_(half); };
  const Result<Resolution> answer = co_await guarded(call);
  const Resolution resolution = answer.value_or(Resolution::unknown);
  counters_->checks[static_cast<std::size_t>(resolution)]->add();
  log::info("mq.check.answered", {{"key", half.message.log_key()},
                                  {"message_id", half.message.message_id},
                                  {"transaction_id", half.transaction_id},
                                  {"resolution", to_string(resolution)},
                                  {"why", answer ? std::string() : answer.error().to_string()}});
  (void)co_await end_transaction(link, half, resolution, Source::check);
  open_.erase(half.transaction_id);
  idle_.notify_all();
}

asio::awaitable<void> TransactionProducer::close() {
  closing_ = true;
  const Monotonic patience = world_.clock.now() + drain_timeout_;
  while (!open_.empty() && co_await idle_.wait_until(patience)) continue;
  if (!open_.empty()) log::warn("mq.close.waiting", {{"transactions", open_.size()}});
  session_->begin_close();
  co_await in_flight_->drained();
  co_await checks_.join();
  co_await session_->close();
}

}  // namespace hf::mq
