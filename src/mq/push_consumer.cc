#include "mq/push_consumer.h"

#include <exception>

#include "base/log.h"
#include "mq/in_flight.h"
#include "mq/own_settings.h"
#include "mq/receiver.h"
#include "net/backoff.h"

namespace hf::mq {
namespace {

// As the official clients.
constexpr Duration kAssignmentScan = 5s, kThrottled = 20ms, kReceiveFailed = 1s;
constexpr net::Backoff kAckBackoff{.first = 100ms, .max = 5s};

metrics::Counter& counter(sys::World& world, const char* outcome) {
  return world.metrics.counter("holdfast_mq_consumed_total", "Messages given to listeners, by outcome",
                               {{"outcome", outcome}});
}

}  // namespace

/// One long poll after the other, of one queue.
struct PushConsumer::Loop {
  explicit Loop(Assignment a) : assignment(std::move(a)) {}
  const Assignment assignment;
  Cancellation cancellation;  // of the poll under way
  bool stopped = false;
  std::string attempt_id;
};

struct PushConsumer::Counters {
  explicit Counters(sys::World& w)
      : received(w.metrics.counter("holdfast_mq_received_total", "Messages received by push consumers")),
        done(counter(w, "done")),
        failed(counter(w, "failed")),
        lost_handle(counter(w, "acknowledged_too_late")),
        dead(counter(w, "dead_letter")),
        running(w.metrics.gauge("holdfast_mq_listeners_running", "Listeners of push consumers that run now")) {}
  metrics::Counter &received, &done, &failed, &lost_handle, &dead;
  metrics::Gauge& running;
};

PushConsumer::PushConsumer(sys::World world, const ClientConfig& client, Transport& transport, ConsumerConfig config,
                           Listener listener)
    : config_(std::move(config)),
      world_(world),
      drain_timeout_(client.drain_timeout),
      listener_(std::move(listener)),
      session_(std::make_unique<Session>(world, client, transport, consumer_settings(config_, pb::PUSH_CONSUMER))),
      receiver_(std::make_unique<Receiver>(*session_, config_.group)),
      free_slots_(config_.concurrency),
      slot_(world.clock),
      stop_(world.clock),
      starting_(std::make_unique<InFlight>(world.clock)),
      tasks_(world.executor, world.clock),
      counters_(std::make_unique<Counters>(world_)) {}

PushConsumer::~PushConsumer() { HF_ASSERT(tasks_.running() == 0); }

Task<> PushConsumer::start(Duration timeout) {
  const InFlight::Guard guard(*starting_);
  HF_CO_TRY(co_await session_->start(world_.clock.now() + timeout));
  HF_CO_TRY(co_await assign());
  if (!std::exchange(started_, true) && !stopping_) tasks_.spawn("mq.assignments", scan());
  co_return ok();
}

/// False once we are stopping.
asio::awaitable<bool> PushConsumer::pause(Duration duration) {
  if (!stopping_) co_await stop_.wait_until(world_.clock.now() + duration);
  co_return !stopping_;
}

asio::awaitable<void> PushConsumer::scan() {
  while (co_await pause(kAssignmentScan)) {
    const Result<void> assigned = co_await assign();
    if (!assigned) log::warn("mq.assignment.stale", {{"group", config_.group}, {"why", assigned.error().to_string()}});
  }
}

Task<> PushConsumer::assign() {
  std::map<std::string, Assignment> wanted;
  for (const Subscription& subscription : config_.subscriptions) {
    HF_CO_TRY(const std::vector<Assignment> some,
              co_await receiver_->assignments(subscription, world_.clock.now() + session_->config().request_timeout));
    for (const Assignment& assignment : some) wanted.emplace(assignment.key(), assignment);
  }
  if (stopping_) co_return Error{Code::unavailable, "the consumer is closed"};
  std::erase_if(loops_, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    entry.second->stopped = true;
    entry.second->cancellation.cancel();
    return true;
  });
  for (const auto& [key, assignment] : wanted) {
    if (loops_.contains(key)) continue;
    loops_[key] = std::make_shared<Loop>(assignment);
    tasks_.spawn("mq.poll", poll(loops_[key]));
  }
  co_return ok();
}

asio::awaitable<void> PushConsumer::poll(std::shared_ptr<Loop> loop) {
  while (!stopping_ && !loop->stopped) {
    const ServerSettings& server = session_->server();
    if (loop->attempt_id.empty()) loop->attempt_id = world_.random.uuid();
    ReceiveOptions options{.batch = std::min(config_.batch, server.receive_batch),
                           .invisible = std::nullopt,
                           .polling = server.polling,
                           .attempt_id = loop->attempt_id};
    loop->cancellation = Cancellation();
    Result<std::vector<ReceivedMessage>> received =
        co_await receiver_->receive(loop->assignment, std::move(options), loop->cancellation);
    if (received) {
      loop->attempt_id
          .clear();  // a call that failed is repeated under its id: an ordered group gets its messages again
      co_await dispatch(std::move(*received));
    } else if (!stopping_ && !loop->stopped) {
      const Error& error = received.error();
      if (error.code != Code::exhausted)
        log::warn("mq.receive.failed", {{"queue", loop->assignment.key()}, {"why", error.to_string()}});
      co_await pause(error.code == Code::exhausted ? kThrottled : kReceiveFailed);
    }
  }
}

/// Returns when every listener of the batch was called: what we hold without working on it is one batch for each queue.
asio::awaitable<void> PushConsumer::dispatch(std::vector<ReceivedMessage> messages) {
  counters_->received.add(static_cast<double>(messages.size()));
  for (ReceivedMessage& message : messages) {
    while (free_slots_ == 0 && !stopping_) co_await slot_.wait();
    if (stopping_) co_return;  // not started: NotifyClientTermination gives it back
    --free_slots_;
    counters_->running.add(1);
    if (session_->server().fifo) {
      co_await handle_in_order(std::move(message));
    } else {
      tasks_.spawn("mq.listener", handle(std::move(message)));
    }
  }
}

asio::awaitable<void> PushConsumer::handle(ReceivedMessage message) {
  const Result<void> done = co_await call_listener(message);
  co_await settle(message, done ? Settle::acknowledge : Settle::give_back);
  ++free_slots_;
  counters_->running.add(-1);
  slot_.notify_one();
}

asio::awaitable<void> PushConsumer::handle_in_order(ReceivedMessage message) {
  co_await repeat_in_order(message);
  ++free_slots_;
  counters_->running.add(-1);
  slot_.notify_one();
}

/// The server holds back what comes after `message` until it is acknowledged; so it is repeated here.
asio::awaitable<void> PushConsumer::repeat_in_order(ReceivedMessage& message) {
  while (true) {
    const Result<void> done = co_await call_listener(message);
    if (done) co_return co_await settle(message, Settle::acknowledge);
    const BackoffPolicy& backoff = session_->server().backoff;
    if (message.attempt >= backoff.max_attempts()) co_return co_await settle(message, Settle::dead_letter);
    if (!co_await pause(backoff.delay(message.attempt))) co_return;  // it comes again, with those after it
    ++message.attempt;
  }
}

Task<> PushConsumer::call_listener(const ReceivedMessage& message) {
  Result<void> done = ok();
  try {
    done = co_await listener_(message);
  } catch (const std::exception& exception) {
    done = Error{Code::internal, std::string("exception: ") + exception.what()};
  } catch (...) {
    done = Error{Code::internal, "exception of an unknown type"};
  }
  (done ? counters_->done : counters_->failed).add();
  if (!done) {
    log::warn("mq.listener.failed", {{"group", config_.group},
                                     {"key", message.message.log_key()},
                                     {"message_id", message.message.message_id},
                                     {"attempt", message.attempt},
                                     {"why", done.error().to_string()}});
  }
  co_return done;
}

/// Repeats until the broker has heard it, or says that the message is no longer ours.
asio::awaitable<void> PushConsumer::settle(ReceivedMessage& message, Settle how) {
  if (how == Settle::dead_letter) counters_->dead.add();
  for (std::uint32_t retry = 0;; ++retry) {
    const Result<void> settled = co_await settle_once(message, how);
    if (settled) co_return;
    const Error& error = settled.error();
    const Monotonic again = world_.clock.now() + kAckBackoff.delay(retry, world_.random);
    const bool repeat = may_repeat(error.code, Repeatable::idempotent) && again < patience_;
    if (!repeat && error.code == Code::not_found) counters_->lost_handle.add();
    if (!repeat || retry == 0) {
      log::warn("mq.settle.failed", {{"group", config_.group},
                                     {"message_id", message.message.message_id},
                                     {"repeat", repeat},
                                     {"why", error.to_string()}});
    }
    if (!repeat) co_return;
    co_await world_.clock.sleep_until(again);
  }
}

Task<> PushConsumer::settle_once(ReceivedMessage& message, Settle how) {
  HF_CO_TRY(co_await world_.faults.reach("mq.before_ack"));
  const BackoffPolicy& backoff = session_->server().backoff;
  switch (how) {
    case Settle::acknowledge:
      co_return co_await receiver_->ack(message);
    case Settle::give_back:
      co_return co_await receiver_->change_invisible(message, std::min<Duration>(backoff.delay(message.attempt), 12h));
    case Settle::dead_letter:
      co_return co_await receiver_->forward_to_dead_letters(message, backoff.max_attempts());
  }
  co_return ok();
}

asio::awaitable<void> PushConsumer::close() {
  if (std::exchange(stopping_, true)) co_return;
  patience_ = world_.clock.now() + drain_timeout_;
  stop_.notify_all();
  slot_.notify_all();
  session_->begin_close();
  for (const auto& [key, loop] : loops_) loop->cancellation.cancel();
  co_await starting_->drained();
  co_await tasks_.join();
  co_await session_->close();
}

}  // namespace hf::mq
