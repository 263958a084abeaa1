#include "log/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "base/log.h"
#include "log/committer.h"
#include "log/keeper.h"
#include "log/recovery.h"
#include "sys/wait.h"

namespace hf::log {
namespace {

constexpr std::uint64_t kSegmentMin = 4 << 10, kSegmentMax = 4ULL << 30;

Result<void> check(const Options& options) {
  const auto bad = [](std::string_view what) { return Error{Code::invalid, std::string(what)}; };
  if (options.segment_bytes < kSegmentMin || options.segment_bytes > kSegmentMax || options.segment_bytes % 8 != 0) {
    return bad("segment_bytes: 4 KiB … 4 GiB, a multiple of 8");
  }
  if (options.first_segment_bytes < kSegmentMin || options.first_segment_bytes % 8 != 0) {
    return bad("first_segment_bytes: at least 4 KiB, a multiple of 8");
  }
  if (options.spare_segments < 1 || options.spare_segments > 16) return bad("spare_segments: 1 … 16");
  if (options.waiting_bytes_max < (64 << 10)) return bad("waiting_bytes_max: at least 64 KiB");
  if (options.batch_bytes_max < (4 << 10) || options.batch_bytes_max > (64 << 20)) {
    return bad("batch_bytes_max: 4 KiB … 64 MiB");
  }
  return ok();
}

/// Coroutines that wait for one batch.
struct BatchWait {
  BatchWait(Position f, sys::Clock& clock) : first(f), done(clock) {}
  const Position first;
  sys::Event done;
};

struct Metrics {
  Metrics(metrics::Registry& registry, const std::string& name)
      : records(registry.counter("holdfast_log_records_total", "Records made durable", {{"log", name}})),
        bytes(registry.counter("holdfast_log_bytes_total", "Bytes made durable, headers included", {{"log", name}})),
        syncs(registry.counter("holdfast_log_syncs_total", "Batches: one write and one sync each", {{"log", name}})),
        refused(registry.counter("holdfast_log_refused_total", "Appends refused: overload, disk full, log dead",
                                 {{"log", name}})),
        sync_time(registry.histogram("holdfast_log_commit_seconds", "Write and sync of one batch", {{"log", name}})),
        batch(registry.gauge("holdfast_log_batch_records", "Records of the latest batch", {{"log", name}})),
        waiting(registry.gauge("holdfast_log_waiting_bytes", "Appended, not yet durable", {{"log", name}})),
        disk(registry.gauge("holdfast_log_disk_bytes", "Size of all segment files", {{"log", name}})),
        dead(registry.gauge("holdfast_log_dead", "1 after a failed write or sync", {{"log", name}})) {}
  metrics::Counter &records, &bytes, &syncs, &refused;
  metrics::Histogram& sync_time;
  metrics::Gauge &batch, &waiting, &disk, &dead;
};

}  // namespace

struct Log::Impl {
  Impl(sys::World& w, std::string d, Options o, std::unique_ptr<sys::DirLock> l)
      : world(w), dir(std::move(d)), options(std::move(o)), lock(std::move(l)), metrics(w.metrics, options.name) {}

  Result<void> start(std::optional<Position> from, const Visitor& visit);
  Result<void> sync_folders_above();
  Result<void> first_mark(Recovered& recovered);
  void start_segment(Spare spare);
  Result<void> make_room(std::size_t size);
  Position put(Kind kind, std::span<const Bytes> parts, std::size_t body_size);
  Result<Position> append(Kind kind, std::span<const Bytes> parts, Urgency urgency);
  void begin_batch(Batch& batch);
  void done(Committer::Outcome outcome);
  void die(const Error& error);
  Task<> durable(Position position, Monotonic deadline);
  Error dead_error() const;

  sys::World& world;
  const std::string dir;
  const Options options;
  const std::unique_ptr<sys::DirLock> lock;
  Metrics metrics;

  std::uint64_t log_id = 0;
  std::uint32_t seed = 0;
  std::uint32_t generation = 0;
  std::shared_ptr<Segments> segments;
  std::shared_ptr<const Segment> active;  ///< the last of `segments`
  Position end;                           ///< of the last record appended
  std::uint64_t waiting_bytes = 0;
  bool closed = false;
  std::optional<Error> dead;
  Stats stats;
  std::deque<std::shared_ptr<BatchWait>> waits;  ///< one for each batch that is not durable, oldest first
  sys::Event room_changed{world.clock};
  std::function<void(Position)> on_durable;
  std::function<void(const Error&)> on_failed;
  std::unique_ptr<Keeper> keeper;
  std::unique_ptr<Committer> committer;  // first to go: its thread writes to the segments
};

// ---- opening --------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Log>> Log::open(sys::World& world, std::string dir, Options options,
                                       std::optional<Position> from, Visitor visit) {
  HF_TRY(check(options));
  HF_TRY(world.files.make_dirs(dir));
  Result<std::unique_ptr<sys::DirLock>> lock = world.files.lock(dir + "/lock");
  if (!lock) return lock.error().with_context(fmt::format("opening the message log in {}", dir));
  auto impl = std::make_unique<Impl>(world, dir, std::move(options), std::move(*lock));
  if (Result<void> started = impl->start(from, visit); !started) {
    return started.error().with_context(fmt::format("opening the message log in {}", dir));
  }
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

Result<void> Log::Impl::start(std::optional<Position> from, const Visitor& visit) {
  const Monotonic begun = world.clock.now();
  HF_TRY(Recovered recovered, recover(world.files, dir, options.segment_bytes, from, visit));
  log_id = recovered.log_id;
  while (log_id == 0) log_id = world.random.u64();
  seed = crc_seed(log_id);
  end = recovered.end;
  generation = recovered.generation;
  stats.truncated_bytes = recovered.truncated_bytes;
  if (!recovered.segments.empty()) active = recovered.segments.back();
  segments = std::make_shared<Segments>(std::move(recovered.segments), seed);
  if (!active) HF_TRY(sync_folders_above());
  HF_TRY(first_mark(recovered));

  std::deque<Spare> spares(std::make_move_iterator(recovered.spares.begin()),
                           std::make_move_iterator(recovered.spares.end()));
  const Keeper::Settings settings{dir, options.segment_bytes, options.spare_segments};
  keeper = std::make_unique<Keeper>(world, settings, std::move(spares), recovered.next_sequence,
                                    [this] { room_changed.notify_all(); });
  committer = std::make_unique<Committer>(world, [this](Committer::Outcome outcome) { done(std::move(outcome)); });
  keeper->work();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(world.clock.now() - begun);
  info("log.opened", {{"dir", dir},
                      {"oldest", segments->oldest().value},
                      {"end", end.value},
                      {"generation", generation},
                      {"torn_bytes", stats.truncated_bytes},
                      {"ms", took.count()}});
  return ok();
}

/// A new folder is durable when the folders above it are synced; one that may not be read was not made by us.
Result<void> Log::Impl::sync_folders_above() {
  for (std::string at = dir; at != "/" && at != ".";) {
    const std::size_t slash = at.rfind('/');
    at = slash == std::string::npos ? "." : slash == 0 ? "/" : at.substr(0, slash);
    const Result<void> synced = world.files.sync_dir(at);
    if (!synced && synced.error().code != Code::denied) return synced;
  }
  return ok();
}

/// Begins this life with a durable mark: records that an earlier life left behind the end have a lower generation.
Result<void> Log::Impl::first_mark(Recovered& recovered) {
  if (!active || active->offset_of(end) + kMarkSize > active->capacity) {
    if (recovered.spares.empty()) {
      const std::uint64_t bytes =
          active ? options.segment_bytes : std::min(options.first_segment_bytes, options.segment_bytes);
      const std::atomic<bool> stop{false};
      HF_TRY(Spare spare, make_spare(world, dir, recovered.next_sequence++, bytes, stop));
      recovered.spares.push_back(std::move(spare));
    }
    Spare spare = std::move(recovered.spares.front());
    recovered.spares.erase(recovered.spares.begin());
    start_segment(std::move(spare));
  }
  Batch batch;
  begin_batch(batch);
  ++generation;  // after begin_batch: a header tells the generation before its first record
  std::uint8_t now[kMarkBodySize];
  put_u64(now, static_cast<std::uint64_t>(to_us(world.clock.wall())));
  const RecordHeader header{kMarkBodySize, kMark, end, generation, 0};
  std::uint8_t* const at = batch.bytes.extend(header.disk_size());
  std::memcpy(at + kRecordHeaderSize, now, sizeof now);
  seal_record(at, header, seed);
  HF_TRY(commit(world, batch));
  end = header.next();
  segments->set_durable_end(end);
  return ok();
}

// ---- appending ------------------------------------------------------------------------------------------------------

/// Nothing is on disk yet: its header goes there with its first batch.
void Log::Impl::start_segment(Spare spare) {
  active = std::make_shared<const Segment>(
      Segment{spare.sequence, std::move(spare.path), std::move(spare.file), spare.capacity, end});
  segments->add(active);
}

void Log::Impl::begin_batch(Batch& batch) {
  batch.segment = active;
  batch.first = batch.end = end;
  if (end != active->base) return;
  const SegmentHeader header{log_id, active->sequence, end, generation, active->capacity, to_us(world.clock.wall())};
  put_segment_header(batch.bytes.extend(kSegmentHeaderSize), header);
}

/// Makes sure that a record of `size` bytes fits into the active segment, by starting the next one if need be.
Result<void> Log::Impl::make_room(std::size_t size) {
  if (active->offset_of(end) + size <= active->capacity) return ok();
  const Spare* const next = keeper->next();
  if (next == nullptr) {
    keeper->work();
    return keeper->why();
  }
  HF_ASSERT(kSegmentHeaderSize + size <= next->capacity);
  start_segment(*keeper->take());
  return ok();
}

Position Log::Impl::put(Kind kind, std::span<const Bytes> parts, std::size_t body_size) {
  RecordHeader header{static_cast<std::uint32_t>(body_size), kind, end, generation, 0};
  committer->add(
      [&](const Batch& tail) {
        return tail.segment == active && tail.bytes.size() + header.disk_size() <= options.batch_bytes_max;
      },
      [&](Batch& fresh) {
        begin_batch(fresh);
        waits.push_back(std::make_shared<BatchWait>(end, world.clock));
      },
      [&](Batch& batch) {
        header.batch_offset = static_cast<std::uint32_t>(end.value - batch.first.value);
        std::uint8_t* const at = batch.bytes.extend(header.disk_size());
        std::uint8_t* body = at + kRecordHeaderSize;
        for (const Bytes part : parts) body = std::copy(part.begin(), part.end(), body);
        seal_record(at, header, seed);
        batch.end = header.next();
        ++batch.records;
      });
  waiting_bytes += header.disk_size();
  return std::exchange(end, header.next());
}

Result<Position> Log::Impl::append(Kind kind, std::span<const Bytes> parts, Urgency urgency) {
  HF_ASSERT(kind != kMark);
  HF_ASSERT(!closed);
  std::size_t body_size = 0;
  for (const Bytes part : parts) body_size += part.size();
  if (body_size > kBodyMax)
    return Error{Code::invalid, fmt::format("a body of {} bytes is above {}", body_size, kBodyMax)};
  const std::size_t size = disk_size_of(body_size);
  const auto refuse = [this](Error error) {
    metrics.refused.add();
    return error;
  };
  if (kSegmentHeaderSize + size > options.segment_bytes) {
    return Error{Code::invalid,
                 fmt::format("a record of {} bytes does not fit into a segment of {}", size, options.segment_bytes)};
  }
  if (dead) return refuse(dead_error());
  if (waiting_bytes > 0 && waiting_bytes + size > options.waiting_bytes_max) {
    committer->want(end);
    return refuse(Error{Code::exhausted, fmt::format("{} bytes wait for the disk", waiting_bytes)});
  }
  if (Result<void> room = make_room(size); !room) return refuse(room.error());
  const Position position = put(kind, parts, body_size);
  if (urgency == Urgency::now || end.value - waits.back()->first.value >= options.batch_bytes_max) committer->want(end);
  return position;
}

// ---- completion -----------------------------------------------------------------------------------------------------

void Log::Impl::done(Committer::Outcome outcome) {
  if (!outcome.result) return die(outcome.result.error());
  const Batch& batch = *outcome.batch;
  const std::uint64_t bytes = batch.end.value - batch.first.value;
  const std::shared_ptr<BatchWait> wait = std::move(waits.front());
  waits.pop_front();
  HF_ASSERT(wait->first == batch.first);
  waiting_bytes -= bytes;
  stats.records += batch.records;
  stats.bytes += bytes;
  ++stats.batches;
  metrics.records.add(static_cast<double>(batch.records));
  metrics.bytes.add(static_cast<double>(bytes));
  metrics.syncs.add();
  metrics.batch.set(static_cast<double>(batch.records));
  metrics.waiting.set(static_cast<double>(waiting_bytes));
  metrics.disk.set(static_cast<double>(segments->capacity() + keeper->disk_bytes()));
  metrics.sync_time.observe_seconds(std::chrono::duration<double>(outcome.took).count());
  const Position durable_end = batch.end;
  segments->set_durable_end(durable_end);
  committer->recycle(std::move(outcome.batch));
  keeper->work();
  if (on_durable) on_durable(durable_end);
  wait->done.notify_all();
  room_changed.notify_all();
}

/// Nothing is known any more about what the failed write or sync should have made durable: no retry, no further write.
void Log::Impl::die(const Error& error) {
  dead = error;
  metrics.dead.set(1);
  log::error("log.dead", {{"dir", dir}, {"durable_end", segments->durable_end().value}, {"error", error.to_string()}});
  const auto all = std::exchange(waits, {});
  for (const auto& wait : all) wait->done.notify_all();
  room_changed.notify_all();
  if (on_failed) on_failed(dead_error());
}

Error Log::Impl::dead_error() const {
  const bool full = dead->code == Code::exhausted;
  return {full ? Code::exhausted : Code::unavailable,
          fmt::format("the message log in {} takes nothing any more{}: {}", dir,
                      full ? ", the disk is full" : " after a failed write", dead->message)};
}

Task<> Log::Impl::durable(Position position, Monotonic deadline) {
  while (position >= segments->durable_end()) {
    if (dead) co_return dead_error();
    HF_ASSERT(position < end);
    committer->want({position.value + 1});
    const auto after = std::upper_bound(waits.begin(), waits.end(), position,
                                        [](Position p, const auto& wait) { return p < wait->first; });
    HF_ASSERT(after != waits.begin());
    const std::shared_ptr<BatchWait> wait = *std::prev(after);  // outlives the wait, whatever happens to the queue
    if (!co_await wait->done.wait_until(deadline)) co_return Error{Code::timeout, "not yet durable"};
  }
  co_return ok();
}

// ---- the public face ------------------------------------------------------------------------------------------------

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::~Log() = default;

Result<Position> Log::append(Kind kind, std::initializer_list<Bytes> parts, Urgency urgency) {
  return impl_->append(kind, {parts.begin(), parts.size()}, urgency);
}
Result<Position> Log::append(Kind kind, std::span<const Bytes> parts, Urgency urgency) {
  return impl_->append(kind, parts, urgency);
}

Task<> Log::durable(Position position, Monotonic deadline) { return impl_->durable(position, deadline); }

Task<> Log::flush() {
  if (impl_->dead) co_return impl_->dead_error();
  if (impl_->end == durable_end()) co_return ok();
  co_return co_await impl_->durable({impl_->end.value - 1}, Monotonic::max());
}

Task<> Log::wait_for_room(std::size_t size, Monotonic deadline) {
  const std::size_t need = disk_size_of(std::min(size, kBodyMax));
  for (;;) {
    if (impl_->dead) co_return impl_->dead_error();
    const bool memory = impl_->waiting_bytes == 0 || impl_->waiting_bytes + need <= impl_->options.waiting_bytes_max;
    const bool disk =
        impl_->active->offset_of(impl_->end) + need <= impl_->active->capacity || impl_->keeper->spares() > 0;
    if (memory && disk) co_return ok();
    impl_->keeper->work();
    impl_->committer->want(impl_->end);
    const Monotonic now = impl_->world.clock.now();
    if (now >= deadline) co_return Error{Code::timeout, impl_->keeper->why().message};
    co_await impl_->room_changed.wait_until(std::min(deadline, now + 1s));  // a full disk may have space by then
  }
}

Task<> Log::close() {
  HF_ASSERT(!impl_->closed);
  impl_->closed = true;
  if (impl_->dead) co_return impl_->dead_error();
  if (impl_->make_room(kMarkSize)) {  // without room the log closes without the mark, which costs nothing but its proof
    // A batch of its own proves that all before it was synced.
    HF_CO_TRY(co_await flush());
    std::uint8_t now[kMarkBodySize];
    put_u64(now, static_cast<std::uint64_t>(to_us(impl_->world.clock.wall())));
    const Bytes body(now);
    impl_->put(kMark, {&body, 1}, sizeof now);
  }
  HF_CO_TRY(co_await flush());
  info("log.closed", {{"dir", impl_->dir}, {"end", impl_->end.value}});
  co_return ok();
}

void Log::on_durable(std::function<void(Position)> callback) { impl_->on_durable = std::move(callback); }
void Log::on_failed(std::function<void(const Error&)> callback) { impl_->on_failed = std::move(callback); }

Position Log::durable_end() const { return impl_->segments->durable_end(); }
Position Log::end() const { return impl_->end; }
Position Log::oldest() const { return impl_->segments->oldest(); }

std::uint64_t Log::room() const {
  const std::uint64_t left = impl_->active->capacity - impl_->active->offset_of(impl_->end);
  return left + (impl_->keeper->next() != nullptr ? impl_->keeper->next()->capacity - kSegmentHeaderSize : 0);
}

Log::Cursor Log::scan(Position from) const { return {impl_->segments, from}; }
Result<Record> Log::read(Position position) const { return impl_->segments->read(position); }

void Log::remove_before(Position needed) {
  std::vector<std::shared_ptr<const Segment>> removed = impl_->segments->remove_before(needed);
  if (removed.empty()) return;
  info("log.removed", {{"dir", impl_->dir}, {"segments", removed.size()}, {"oldest", oldest().value}});
  impl_->keeper->retire(std::move(removed));
}

Stats Log::stats() const {
  Stats stats = impl_->stats;
  stats.waiting_bytes = impl_->waiting_bytes;
  stats.segments = impl_->segments->count();
  stats.spare_segments = impl_->keeper->spares();
  stats.disk_bytes = impl_->segments->capacity() + impl_->keeper->disk_bytes();
  return stats;
}

}  // namespace hf::log
