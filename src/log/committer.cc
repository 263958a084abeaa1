#include "log/committer.h"

#include <boost/asio/post.hpp>

namespace hf::log {
namespace {

constexpr std::size_t kPooledBatches = 3;
constexpr std::size_t kPooledBytes = 16 << 20;  // a batch that one huge record made larger is given back to the system

}  // namespace

std::uint8_t* Buffer::extend(std::size_t size) {
  if (size_ + size > capacity_) {
    const std::size_t capacity = std::max({size_ + size, capacity_ * 2, std::size_t{64} << 10});
    auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
    if (size_ > 0) std::memcpy(larger.get(), data_.get(), size_);
    data_ = std::move(larger);
    capacity_ = capacity;
  }
  return data_.get() + std::exchange(size_, size_ + size);
}

Result<void> commit(sys::World& world, const Batch& batch) {
  HF_TRY(world.faults.reach_blocking("log.before_write"));
  HF_TRY(batch.segment->file->write_at(batch.file_offset(), batch.bytes.bytes()));
  HF_TRY(world.faults.reach_blocking("log.before_sync"));
  HF_TRY(batch.segment->file->sync());
  return world.faults.reach_blocking("log.after_sync");
}

Committer::Committer(sys::World& world, std::function<void(Outcome)> on_done)
    : world_(world), shared_(std::make_shared<Shared>()), worker_(world.make_worker("log-commit", 1)) {
  shared_->on_done = std::move(on_done);
}

Committer::~Committer() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopped = true;
    shared_->queue.clear();
  }
  shared_->on_done = nullptr;
}

void Committer::want(Position end) {
  const std::lock_guard lock(shared_->mutex);
  shared_->wanted = std::max(shared_->wanted, end);
  if (shared_->running || shared_->queue.empty()) return;
  shared_->running = true;
  // By way of the strand's own queue, so that what other coroutines append in this round comes along.
  asio::post(world_.executor, [this, &world = world_, shared = shared_] {
    if (!shared->on_done) return;  // this object is gone
    const bool posted =
        worker_->post([&world, shared, guard = asio::make_work_guard(world.executor)] { run(world, shared); });
    HF_ASSERT(posted);  // one job at a time
  });
}

void Committer::run(sys::World& world, const std::shared_ptr<Shared>& shared) {
  bool failed = false;
  for (;;) {
    Outcome outcome;
    {
      const std::lock_guard lock(shared->mutex);
      const bool more =
          !failed && !shared->stopped && !shared->queue.empty() && shared->queue.front()->first < shared->wanted;
      if (!more) {
        // After a failure nothing is written any more: `running` stays, so that nobody starts again.
        if (!failed) shared->running = false;
        return;
      }
      outcome.batch = std::move(shared->queue.front());
      shared->queue.pop_front();
    }
    const Monotonic start = world.clock.now();
    outcome.result = commit(world, *outcome.batch);
    outcome.took = world.clock.now() - start;
    failed = !outcome.result.has_value();
    asio::post(world.executor, [shared, outcome = std::move(outcome)]() mutable {
      if (shared->on_done) shared->on_done(std::move(outcome));
    });
  }
}

void Committer::recycle(std::unique_ptr<Batch> batch) {
  if (pool_.size() >= kPooledBatches || batch->bytes.capacity() > kPooledBytes) return;
  batch->segment.reset();
  pool_.push_back(std::move(batch));
}

std::unique_ptr<Batch> Committer::take_pooled() {
  if (pool_.empty()) return std::make_unique<Batch>();
  std::unique_ptr<Batch> batch = std::move(pool_.back());
  pool_.pop_back();
  batch->bytes.clear();
  batch->records = 0;
  return batch;
}

}  // namespace hf::log
