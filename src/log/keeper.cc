#include "log/keeper.h"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "base/log.h"

namespace hf::log {
namespace {

constexpr std::size_t kFillStep = 1 << 20;
constexpr std::uint64_t kFillSync =
    4 << 20;  // synced in small steps, so that the committer's sync never waits for long
constexpr Duration kRetryAfter = 1s;
/// Reused files kept above the number that is filled ahead: with retention at work nothing needs to be filled.
constexpr std::size_t kReusedExtra = 2;

Result<void> fill(sys::File& file, std::uint64_t capacity, const std::atomic<bool>& stop) {
  HF_TRY(file.truncate(0));
  const std::vector<std::uint8_t> zeros(std::min<std::uint64_t>(capacity, kFillStep));
  for (std::uint64_t at = 0; at < capacity; at += zeros.size()) {
    if (stop) return Error{Code::unavailable, "the log is closing"};
    HF_TRY(file.write_at(at, Bytes(zeros).first(std::min<std::uint64_t>(zeros.size(), capacity - at))));
    if ((at + zeros.size()) % kFillSync == 0) HF_TRY(file.sync());
  }
  return file.sync();
}

Result<Spare> reuse(sys::World& world, const std::string& dir, const Segment& old, std::uint64_t sequence) {
  Spare spare{sequence, dir + "/" + segment_name(sequence), nullptr, old.capacity};
  // Not found: an earlier attempt got as far as the new name.
  Result<void> renamed = world.files.rename(old.path, spare.path);
  if (!renamed && renamed.error().code != Code::not_found) return renamed.error();
  HF_TRY(world.files.sync_dir(dir));
  HF_TRY(spare.file, world.files.open(spare.path, sys::OpenMode::read_write));
  return spare;
}

Result<void> remove(sys::World& world, const std::string& dir, const Segment& old) {
  Result<void> removed = world.files.remove(old.path);
  if (!removed && removed.error().code != Code::not_found) return removed;
  return world.files.sync_dir(dir);
}

}  // namespace

Result<Spare> make_spare(sys::World& world, const std::string& dir, std::uint64_t sequence, std::uint64_t capacity,
                         const std::atomic<bool>& stop) {
  HF_TRY(world.faults.reach_blocking("log.before_fill"));
  const std::string unfinished = dir + "/" + std::string(kUnfinishedName);
  Spare spare{sequence, dir + "/" + segment_name(sequence), nullptr, capacity};
  HF_TRY(spare.file, world.files.open(unfinished, sys::OpenMode::create_or_open));
  if (Result<void> filled = fill(*spare.file, capacity, stop); !filled) {
    spare.file.reset();
    (void)world.files.remove(unfinished);  // gives the space back; if that fails too, the next open removes it
    return filled.error();
  }
  HF_TRY(world.files.rename(unfinished, spare.path));
  HF_TRY(world.files.sync_dir(dir));
  return spare;
}

Keeper::Keeper(sys::World& world, Settings settings, std::deque<Spare> spares, std::uint64_t next_sequence,
               std::function<void()> on_spare)
    : world_(world),
      settings_(std::move(settings)),
      spares_(std::move(spares)),
      next_sequence_(next_sequence),
      on_spare_(std::move(on_spare)),
      shared_(std::make_shared<Shared>()),
      failures_(world.metrics.counter("holdfast_log_prepare_failures_total",
                                      "Segment files that could not be prepared or removed")),
      worker_(world.make_worker("log-keep", 1)) {
  shared_->keeper = this;
}

Keeper::~Keeper() {
  shared_->stop = true;
  shared_->keeper = nullptr;
}

std::optional<Spare> Keeper::take() {
  if (spares_.empty()) return std::nullopt;
  Spare spare = std::move(spares_.front());
  spares_.pop_front();
  work();
  return spare;
}

Error Keeper::why() const {
  if (!failure_) return Error{Code::exhausted, "the next segment is still being prepared"};
  return Error{Code::exhausted, fmt::format("the next segment cannot be prepared: {}", failure_->message)};
}

void Keeper::retire(std::vector<std::shared_ptr<const Segment>> segments) {
  retired_.insert(retired_.end(), segments.begin(), segments.end());
  work();
}

void Keeper::work() {
  if (busy_ || (failure_ && world_.clock.now() < not_before_)) return;
  const auto start = [this](auto job, auto done) {
    busy_ =
        worker_->post([&world = world_, shared = shared_, job, done, guard = asio::make_work_guard(world_.executor)] {
          asio::post(world.executor, [shared, done, outcome = job(shared->stop)]() mutable {
            if (shared->keeper == nullptr) return;
            shared->keeper->busy_ = false;
            done(*shared->keeper, std::move(outcome));
          });
        });
  };
  const bool can_reuse = !retired_.empty() && retired_.front()->capacity == settings_.segment_bytes;
  if (can_reuse && spares_.size() < settings_.spare_segments + kReusedExtra) {
    start([&world = world_, dir = settings_.dir, old = retired_.front(),
           sequence = next_sequence_](const std::atomic<bool>&) { return reuse(world, dir, *old, sequence); },
          [](Keeper& keeper, Result<Spare> spare) { keeper.done_spare(std::move(spare), true); });
  } else if (!retired_.empty()) {
    start([&world = world_, dir = settings_.dir,
           old = retired_.front()](const std::atomic<bool>&) { return remove(world, dir, *old); },
          [](Keeper& keeper, Result<void> removed) { keeper.done_remove(std::move(removed)); });
  } else if (spares_.size() < settings_.spare_segments) {
    start([&world = world_, dir = settings_.dir, sequence = next_sequence_, bytes = settings_.segment_bytes](
              const std::atomic<bool>& stop) { return make_spare(world, dir, sequence, bytes, stop); },
          [](Keeper& keeper, Result<Spare> spare) { keeper.done_spare(std::move(spare), false); });
  }
}

void Keeper::done_spare(Result<Spare> spare, bool was_retired) {
  const bool vanished = !spare && spare.error().code == Code::not_found;  // somebody deleted the old file
  if (was_retired && (spare || vanished)) retired_.pop_front();
  if (!spare) return failed("log.prepare.failed", spare.error());
  failure_.reset();
  ++next_sequence_;
  spares_.push_back(std::move(*spare));
  work();
  on_spare_();
}

void Keeper::done_remove(Result<void> removed) {
  if (!removed) return failed("log.remove.failed", removed.error());
  failure_.reset();
  retired_.pop_front();
  work();
}

void Keeper::failed(const char* event, const Error& error) {
  failures_.add();
  warn(event, {{"dir", settings_.dir}, {"error", error.to_string()}});
  failure_ = error;
  not_before_ = world_.clock.now() + kRetryAfter;
}

std::uint64_t Keeper::disk_bytes() const {
  std::uint64_t total = 0;
  for (const Spare& spare : spares_) total += spare.capacity;
  for (const auto& segment : retired_) total += segment->capacity;
  return total;
}

}  // namespace hf::log
