#include "participant/outbox_relay.h"

#include "base/log.h"

namespace hf::participant {

struct OutboxRelay::Metrics {
  Metrics(metrics::Registry& r, const std::string& name)
      : published(r.counter("holdfast_participant_outbox_published_total", "Messages published", {{"outbox", name}})),
        away(failed(r, name, "away")),
        refused(failed(r, name, "refused")),
        blocked_total(
            r.counter("holdfast_participant_outbox_blocked_total", "Rows that were blocked", {{"outbox", name}})),
        redone(r.counter("holdfast_participant_outbox_redone_total", "Rows published again, since no answer came",
                         {{"outbox", name}})),
        removed(
            r.counter("holdfast_participant_outbox_removed_total", "Rows removed after retention", {{"outbox", name}})),
        blocked(r.gauge("holdfast_participant_outbox_blocked", "Rows that are blocked now", {{"outbox", name}})),
        in_flight(
            r.gauge("holdfast_participant_outbox_in_flight", "Rows claimed and not yet recorded", {{"outbox", name}})),
        seconds(r.histogram("holdfast_participant_outbox_publish_seconds",
                            "From put to the broker's acknowledgement, by the wall clock", {{"outbox", name}})) {}

  static metrics::Counter& failed(metrics::Registry& r, const std::string& name, const char* fault) {
    return r.counter("holdfast_participant_outbox_failures_total", "Tries that failed, by whose fault it was",
                     {{"outbox", name}, {"fault", fault}});
  }

  metrics::Counter &published, &away, &refused, &blocked_total, &redone, &removed;
  metrics::Gauge &blocked, &in_flight;
  metrics::Histogram& seconds;
};

OutboxRelay::OutboxRelay(sys::World& world, OutboxStore& store, const OutboxConfig& config, Publish publish)
    : world_(world),
      store_(store),
      config_(config),
      publish_(std::move(publish)),
      gate_(config),
      wake_(world.clock),
      stop_(world.clock),
      tasks_(world.executor, world.clock),
      metrics_(std::make_unique<Metrics>(world.metrics, config.name)) {}
OutboxRelay::~OutboxRelay() = default;

void OutboxRelay::start() {
  tasks_.spawn("outbox.run", run());
  tasks_.spawn("outbox.scan", scan());
}

void OutboxRelay::wake() {
  woken_ = true;
  wake_.notify_all();
}

asio::awaitable<void> OutboxRelay::run() {
  while (!stopping_) {
    woken_ = false;
    const std::size_t limit = gate_.limit(world_.clock.now(), in_flight_);
    if (limit == 0) {  // full, or the broker is away: a send that ends wakes us, or the gate opens
      const Monotonic poll = world_.clock.now() + config_.poll;
      co_await wake_.wait_until(gate_.opens_at() > world_.clock.now() ? std::min(poll, gate_.opens_at()) : poll);
      continue;
    }
    Result<Claimed> claimed = co_await store_.claim(limit);
    if (!claimed) {
      log::warn("participant.outbox.claim_failed", {{"outbox", config_.name}, {"error", claimed.error().to_string()}});
      const net::Backoff backoff{.first = config_.retry_first, .max = std::min<Duration>(config_.retry_max, 5s)};
      co_await stop_.wait_until(world_.clock.now() + backoff.delay(database_failures_++, world_.random));
      continue;
    }
    database_failures_ = 0;
    const bool more = claimed->rows.size() == limit && !gate_.away();
    dispatch(std::move(claimed->rows));
    if (!more) co_await idle(claimed->next_due_us);
  }
}

/// Until committed() or `next_due_us`. What neither tells is found by scan().
asio::awaitable<void> OutboxRelay::idle(std::int64_t next_due_us) {
  const std::int64_t in_us = next_due_us == 0 ? INT64_MAX : next_due_us - to_us(world_.clock.wall());
  const Duration wait =
      in_us >= 60'000'000 ? Duration(1min) : std::chrono::microseconds(std::max<std::int64_t>(in_us, 0));
  const Monotonic deadline = world_.clock.now() + wait;
  while (!stopping_ && !woken_) {
    if (!co_await wake_.wait_until(deadline)) co_return;
  }
}

void OutboxRelay::dispatch(std::vector<ClaimedRow> rows) {
  std::vector<Parcel> parcels;
  parcels.reserve(rows.size());
  for (const ClaimedRow& row : rows) parcels.push_back({row.message.topic, row.message.body.size()});
  for (const std::vector<std::size_t>& group : pack(parcels, config_)) {
    std::vector<ClaimedRow> request;
    request.reserve(group.size());
    for (const std::size_t i : group) request.push_back(std::move(rows[i]));
    in_flight_ += request.size();
    tasks_.spawn("outbox.send", send(std::move(request)));
  }
  metrics_->in_flight.set(static_cast<double>(in_flight_));
}

asio::awaitable<void> OutboxRelay::send(std::vector<ClaimedRow> rows) {
  std::vector<mq::Message> messages;
  messages.reserve(rows.size());
  for (ClaimedRow& row : rows) messages.push_back(std::move(row.message));
  Result<std::vector<Result<mq::SendReceipt>>> verdicts = Error{Code::unavailable, "not sent"};
  const Result<void> before = co_await world_.faults.reach("outbox.after_claim");
  if (before) {
    verdicts = co_await publish_(std::move(messages));
  } else {
    verdicts = before.error();
  }
  if (const Result<void> after = co_await world_.faults.reach("outbox.after_publish"); !after) {
    verdicts = after.error();  // the broker's answer was lost
  }
  std::vector<Tally> tallies = tally(rows, verdicts);
  co_await record(std::move(tallies));
  in_flight_ -= rows.size();
  metrics_->in_flight.set(static_cast<double>(in_flight_));
  if (in_flight_ + rows.size() >= config_.in_flight || gate_.away()) wake();
}

std::vector<Tally> OutboxRelay::tally(const std::vector<ClaimedRow>& rows,
                                      const Result<std::vector<Result<mq::SendReceipt>>>& verdicts) {
  HF_ASSERT(!verdicts || verdicts->size() == rows.size());
  std::vector<Tally> tallies;
  tallies.reserve(rows.size());
  bool reached = false;
  std::string trouble;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const ClaimedRow& row = rows[i];
    const Error* error = nullptr;
    if (!verdicts) {
      error = &verdicts.error();
    } else if (!(*verdicts)[i]) {
      error = &(*verdicts)[i].error();
    }
    const Fault fault = fault_of(error == nullptr ? std::nullopt : std::optional(error->code));
    Tally tally{row.id,
                row.aggregate,
                decide_fate(row.tried, fault, config_, world_.random),
                fault == Fault::refused,
                error == nullptr ? "" : error->to_string(),
                to_us(world_.clock.wall())};
    if (fault != Fault::away) reached = true;
    if (error != nullptr) trouble = tally.error;
    (fault == Fault::none ? metrics_->published : fault == Fault::away ? metrics_->away : metrics_->refused).add();
    if (fault == Fault::none) {
      const std::int64_t waited_us = std::max<std::int64_t>(to_us(world_.clock.wall()) - row.put_at_us, 0);
      metrics_->seconds.observe_seconds(static_cast<double>(waited_us) / 1e6);
      log::debug("participant.outbox.published",
                 {{"outbox", config_.name}, {"outbox_id", row.id}, {"attempts", row.tried.attempts + 1}});
    } else {
      log::debug("participant.outbox.failed", {{"outbox", config_.name},
                                               {"outbox_id", row.id},
                                               {"attempts", row.tried.attempts + 1},
                                               {"next_try_in", format_duration(tally.fate.due_in)},
                                               {"error", tally.error}});
    }
    if (tally.fate.state == RowState::blocked) {
      metrics_->blocked_total.add();
      log::error("participant.outbox.blocked", {{"outbox", config_.name},
                                                {"outbox_id", row.id},
                                                {"aggregate", row.aggregate},
                                                {"refusals", row.tried.refusals + 1},
                                                {"error", tally.error}});
    }
    tallies.push_back(std::move(tally));
  }
  note_broker(reached, trouble);
  return tallies;
}

void OutboxRelay::note_broker(bool reached, const std::string& error) {
  if (reached) {
    if (gate_.away()) log::info("participant.outbox.broker_back", {{"outbox", config_.name}});
    return gate_.passed();
  }
  if (!gate_.away()) log::warn("participant.outbox.broker_away", {{"outbox", config_.name}, {"error", error}});
  gate_.failed(world_.clock.now(), world_.random);
}

/// Repeated while the rows are ours; after that they are published again, which costs a duplicate and loses nothing.
asio::awaitable<void> OutboxRelay::record(std::vector<Tally> tallies) {
  const Monotonic deadline = world_.clock.now() + config_.lease;
  const bool failures = std::any_of(tallies.begin(), tallies.end(), [](const Tally& t) { return !t.error.empty(); });
  const net::Backoff backoff{.first = config_.retry_first, .max = 1s};
  for (std::uint32_t tries = 0;; ++tries) {
    const Result<std::int64_t> released = co_await store_.record(tallies);
    if (released) {
      (void)co_await world_.faults.reach("outbox.after_record");
      if (*released > 0 || failures) wake();
      co_return;
    }
    log::warn("participant.outbox.record_failed", {{"outbox", config_.name}, {"error", released.error().to_string()}});
    if (stopping_ || world_.clock.now() >= deadline) co_return;
    co_await stop_.wait_until(world_.clock.now() + backoff.delay(tries, world_.random));
  }
}

asio::awaitable<void> OutboxRelay::scan() {
  while (!stopping_) {
    const Result<Chores> chores = co_await store_.look();
    if (chores) {
      metrics_->blocked.set(static_cast<double>(chores->blocked));
      co_await do_chores(*chores);
      if (chores->next_due_us > 0 && chores->next_due_us <= to_us(world_.clock.wall())) wake();
    } else {
      log::warn("participant.outbox.scan_failed", {{"outbox", config_.name}, {"error", chores.error().to_string()}});
    }
    if (!stopping_) co_await stop_.wait_until(world_.clock.now() + config_.poll);
  }
}

asio::awaitable<void> OutboxRelay::do_chores(const Chores& chores) {
  if (chores.redo) {
    const Result<std::int64_t> redone = co_await store_.redo_unanswered();
    if (redone && *redone > 0) {
      metrics_->redone.add(static_cast<double>(*redone));
      log::warn("participant.outbox.unanswered", {{"outbox", config_.name}, {"published_again", *redone}});
      wake();
    }
  }
  if (chores.held) {
    const Result<std::int64_t> released = co_await store_.release_held();
    if (released && *released > 0) wake();
  }
  bool more = chores.remove;
  while (more && !stopping_) {
    const Result<std::int64_t> removed = co_await store_.remove_finished();
    if (removed) metrics_->removed.add(static_cast<double>(*removed));
    more = removed && *removed >= static_cast<std::int64_t>(config_.remove_batch);
  }
}

asio::awaitable<void> OutboxRelay::close() {
  stopping_ = true;
  stop_.notify_all();
  wake();
  co_await tasks_.join();
}

}  // namespace hf::participant
