#include "broker/store.h"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "log/snapshot.h"

namespace hf::broker {
namespace {

constexpr char kSnapshotName[] = "broker";

}  // namespace

Task<> Commit::durable() {
  if (waiting_ > 0 && !error_) {
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [this](auto handler) {
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          resume_ = [shared] { std::move (*shared)(); };
        },
        asio::use_awaitable);
  }
  if (error_) co_return *error_;
  co_return ok();
}

Store::Store(sys::World world, const BrokerConfig& config, std::string dir, State& state, Listener listener)
    : world_(world),
      config_(config),
      dir_(std::move(dir)),
      state_(state),
      listener_(std::move(listener)),
      reader_(world_.make_worker("broker-read", 1)),
      keeper_(world_.make_worker("broker-keep", 1)),
      wake_(world_.clock),
      unread_removed_(world_.metrics.counter("holdfast_broker_unread_removed_total",
                                             "messages of topics that no group reads, removed by retention")) {}

Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(sys::World world, const BrokerConfig& config, std::string dir, State& state,
                                           Listener listener) {
  std::unique_ptr<Store> store(new Store(world, config, std::move(dir), state, std::move(listener)));
  HF_TRY(world.files.make_dirs(store->dir_));
  HF_TRY(std::optional<log::Snapshot> snapshot, log::load_newest_snapshot(world.files, store->dir_, kSnapshotName));
  std::optional<log::Position> from;
  if (snapshot) {
    HF_TRY(state.load(as_bytes(snapshot->state), world.clock.now()));
    from = snapshot->position;
    store->snapshot_at_ = store->oldest_snapshot_ = snapshot->position.value;
    store->snapshot_size_ = snapshot->state.size();
    snapshot.reset();
  }
  log::Options options;
  options.name = "broker";
  options.segment_bytes = config.segment_bytes;
  options.first_segment_bytes = std::min(options.first_segment_bytes, config.segment_bytes);
  options.waiting_bytes_max = config.limits.bytes_waiting;
  std::uint64_t replayed = 0;
  const auto visit = [&](const log::RecordView& record) -> Result<void> {
    ++replayed;
    const auto kind = static_cast<RecordKind>(record.kind);
    HF_TRY([[maybe_unused]] const State::Applied applied,
           state.apply(kind, record.body, record.position.value, world.clock.now()));
    if (store->listener_.applied) store->listener_.applied(kind, as_text(record.body), record.position.value);
    return ok();
  };
  HF_TRY(store->log_, log::Log::open(store->world_, store->dir_ + "/log", options, from, visit));
  store->log_->on_durable([raw = store.get()](log::Position end) { raw->on_durable(end.value); });
  store->log_->on_failed([raw = store.get()](const Error& error) { raw->on_failed(error); });
  log::info(
      "broker.store.opened",
      {{"dir", store->dir_}, {"replayed", replayed}, {"from", store->snapshot_at_}, {"end", store->log_->end().value}});
  return store;
}

Result<Position> Store::append(RecordKind kind, std::string head, std::shared_ptr<const std::string> message,
                               const std::shared_ptr<Commit>& commit, log::Urgency urgency) {
  if (failure_) return *failure_;
  if (stopping_) return Error{Code::unavailable, "the broker is stopping"};
  if (pending_.size() >= config_.limits.sends_waiting)
    return Error{Code::exhausted, "too many records wait for the disk"};
  const Bytes body = message ? as_bytes(*message) : Bytes();
  HF_TRY(const log::Position position, log_->append(static_cast<log::Kind>(kind), {as_bytes(head), body}, urgency));
  if (message) remember(kind, position.value, head, std::move(message));
  if (commit) ++commit->waiting_;
  pending_.push_back({position.value, kind, std::move(head), commit});
  return position.value;
}

void Store::on_durable(Position end) {
  TopicId grown;
  const Monotonic now = world_.clock.now();
  while (!pending_.empty() && pending_.front().position < end) {
    const Pending pending = std::move(pending_.front());
    pending_.pop_front();
    const Result<State::Applied> applied = state_.apply(pending.kind, as_bytes(pending.head), pending.position, now);
    HF_ASSERT(applied.has_value());  // we encoded it ourselves
    if (applied->offset && grown != applied->topic) {
      if (grown.value() != 0) listener_.grew(grown);
      grown = applied->topic;
    }
    if (applied->opened.value() != 0) listener_.opened(applied->opened);
    if (listener_.applied) listener_.applied(pending.kind, pending.head, pending.position);
    if (!pending.commit) continue;
    if (!pending.commit->offset_) pending.commit->offset_ = applied->offset;
    if (--pending.commit->waiting_ == 0) complete(*pending.commit);
  }
  if (grown.value() != 0) listener_.grew(grown);
  if (snapshot_at_ + std::max(config_.snapshot_every, snapshot_size_ * 4) < end) wake_.notify_all();
  resume_all();
}

void Store::on_failed(const Error& error) {
  failure_ = error.with_context("the broker's log");
  log::error("broker.store.failed", {{"error", error.to_string()}});
  for (Pending& pending : std::exchange(pending_, {})) {
    if (!pending.commit || pending.commit->error_) continue;
    pending.commit->error_ = failure_;
    complete(*pending.commit);
  }
  resume_all();
  listener_.failed(*failure_);
}

void Store::complete(Commit& commit) {
  if (commit.resume_) resumable_.push_back(std::exchange(commit.resume_, nullptr));
}

/// One hop through the loop for all of a batch.
void Store::resume_all() {
  if (resumable_.empty()) return;
  asio::post(world_.executor, [all = std::exchange(resumable_, {})] {
    for (const auto& resume : all) resume();
  });
}

Task<> Store::durable(Position position) { return log_->durable({position}); }

void Store::remember(RecordKind kind, Position position, const std::string& head,
                     std::shared_ptr<const std::string> message) {
  StoredBody body;
  body.kind = kind;
  const Result<StoredMessage> stored = decode_message(as_bytes(head));  // `half` begins with a message header
  HF_ASSERT(stored.has_value());
  body.topic = stored->header.topic;
  body.stored_at_us = stored->header.stored_at_us;
  cache_bytes_ += message->size() + sizeof(Cached);
  body.bytes = std::move(message);
  cache_.push_back({position, std::move(body)});
  while (cache_bytes_ > config_.cache_bytes && !cache_.empty()) {
    cache_bytes_ -= cache_.front().body.bytes->size() + sizeof(Cached);
    cache_.pop_front();
  }
}

std::optional<StoredBody> Store::cached(Position position) const {
  const auto at = std::lower_bound(cache_.begin(), cache_.end(), position,
                                   [](const Cached& cached, Position p) { return cached.position < p; });
  if (at == cache_.end() || at->position != position) return std::nullopt;
  return at->body;
}

Result<StoredBody> Store::read_body(const log::Log& log, Position position) {
  HF_TRY(log::Record record, log.read({position}));
  StoredBody body;
  body.kind = static_cast<RecordKind>(record.kind);
  MessageHeader header;
  if (body.kind == RecordKind::half) {
    HF_TRY(const StoredHalf half, decode_half(as_bytes(record.body)));
    header = half.header.message;
    body.message_at = record.body.size() - half.message.size();
  } else if (body.kind == RecordKind::message) {
    HF_TRY(const StoredMessage message, decode_message(as_bytes(record.body)));
    header = message.header;
    body.message_at = record.body.size() - message.message.size();
  } else {
    return Error{Code::not_found, "no message is stored there"};
  }
  body.topic = header.topic;
  body.stored_at_us = header.stored_at_us;
  body.bytes = std::make_shared<const std::string>(std::move(record.body));
  return body;
}

Task<std::vector<Result<StoredBody>>> Store::read(std::vector<Position> positions) {
  using Bodies = std::vector<Result<StoredBody>>;
  Bodies bodies;
  bodies.reserve(positions.size());
  bool complete = true;
  for (const Position position : positions) {
    std::optional<StoredBody> body = cached(position);
    complete = complete && body.has_value();
    if (body) {
      bodies.emplace_back(std::move(*body));
    } else {
      bodies.emplace_back(Error{Code::not_found, "not read yet"});
    }
  }
  if (complete) co_return bodies;
  // A consumer that lags: one job for the whole batch, off the loop.
  std::function<Result<Bodies>()> work = [&]() -> Result<Bodies> {
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (!bodies[i]) bodies[i] = read_body(*log_, positions[i]);
    }
    return std::move(bodies);
  };
  co_return co_await reader_->run<Bodies>(std::move(work));
}

Task<> Store::snapshot() {
  if (snapshotting_ || failure_) co_return ok();
  snapshotting_ = true;
  // Only what is durable was applied, so the state is exactly the log below this.
  const Position position = log_->durable_end().value;
  std::string state = state_.save();
  const std::size_t size = state.size();
  std::function<Result<Position>()> work = [&]() -> Result<Position> {
    HF_TRY(const log::Position oldest,
           log::write_snapshot(world_.files, dir_, kSnapshotName, {position}, as_bytes(state)));
    return oldest.value;
  };
  Result<Position> oldest = co_await keeper_->run<Position>(std::move(work));
  snapshotting_ = false;
  snapshot_at_ = position;
  snapshot_size_ = size;
  if (!oldest) {
    log::warn("broker.snapshot.failed", {{"error", oldest.error().to_string()}});
    co_return oldest.error();
  }
  oldest_snapshot_ = *oldest;
  log::debug("broker.snapshot.written", {{"position", position}, {"bytes", size}});
  co_return ok();
}

void Store::retain() {
  const auto keep = std::chrono::duration_cast<std::chrono::microseconds>(config_.retention.keep_consumed);
  const std::uint64_t end = log_->durable_end().value;
  const std::uint64_t size_floor =
      end > config_.retention.keep_consumed_bytes ? end - config_.retention.keep_consumed_bytes : 0;
  const Position consumed = std::max(state_.position_at(to_us(world_.clock.wall() - keep)), size_floor);
  const Position floor = std::min({state_.needed_from(), oldest_snapshot_, consumed});
  if (floor <= log_->oldest().value) return;
  log_->remove_before({floor});
  const std::int64_t unread = state_.trim(log_->oldest().value);
  if (unread > 0) {
    unread_removed_.add(static_cast<double>(unread));
    log::warn("broker.retention.unread_removed", {{"messages", unread}});
  }
}

asio::awaitable<void> Store::maintain() {
  while (!stopping_ && !failure_) {
    co_await wake_.wait_until(world_.clock.now() + config_.retention.every);
    if (stopping_ || failure_) break;
    if (snapshot_at_ + std::max(config_.snapshot_every, snapshot_size_ * 4) < log_->durable_end().value) {
      // A failed one (disk full) counts as taken: the next is tried when as much was logged again.
      [[maybe_unused]] const Result<void> written = co_await snapshot();
    }
    retain();
  }
}

Task<> Store::stop() {
  stopping_ = true;
  wake_.notify_all();
  if (failure_) co_return *failure_;
  HF_CO_TRY(co_await log_->flush());
  if (snapshot_at_ < log_->durable_end().value) {
    Result<void> written = co_await snapshot();
    if (!written) log::warn("broker.stop.no_snapshot", {{"error", written.error().to_string()}});
  }
  co_return co_await log_->close();
}

}  // namespace hf::broker
