#pragma once

/// Group commit: the strand fills batches, one thread writes and syncs them, in order.
///
///   strand: add() ──▶ queue of batches ──▶ committer thread: write, sync ──▶ strand: on_done(batch), once per batch
///
/// While a batch is on its way to the disk, the next one fills; when the disk is free it takes what is there. No
/// timers.

#include <boost/asio/executor_work_guard.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "log/segments.h"
#include "sys/world.h"

namespace hf::log {

/// Bytes that grow without being cleared, and keep their memory.
class Buffer {
 public:
  /// Room for `size` more bytes, uninitialized; valid until the next call.
  std::uint8_t* extend(std::size_t size);
  void clear() { size_ = 0; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  Bytes bytes() const { return {data_.get(), size_}; }

 private:
  std::unique_ptr<std::uint8_t[]> data_;
  std::size_t size_ = 0, capacity_ = 0;
};

/// What goes into one segment with one write and one sync.
struct Batch {
  std::shared_ptr<const Segment> segment;
  Position first, end;
  Buffer bytes;  ///< with the segment's header in front if `first` is its base
  std::uint64_t records = 0;

  std::uint64_t file_offset() const { return first == segment->base ? 0 : segment->offset_of(first); }
};

/// Writes and syncs; blocks. Used by the committer and at open.
Result<void> commit(sys::World& world, const Batch& batch);

class Committer {
 public:
  struct Outcome {
    std::unique_ptr<Batch> batch;
    Result<void> result;
    Duration took{};
  };
  /// `on_done` is called on the strand, in order; not after this object is gone.
  Committer(sys::World& world, std::function<void(Outcome)> on_done);
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  /// Calls `fill` with the batch at the tail of the queue, if `fits` says that more may go in, else with a fresh one
  /// that `fresh` prepared. Strand only; the committer cannot take the batch meanwhile.
  template <class Fits, class Fresh, class Fill>
  void add(Fits&& fits, Fresh&& fresh, Fill&& fill) {
    const std::lock_guard lock(shared_->mutex);
    std::deque<std::unique_ptr<Batch>>& queue = shared_->queue;
    if (queue.empty() || !fits(*queue.back())) {
      queue.push_back(take_pooled());
      fresh(*queue.back());
    }
    fill(*queue.back());
  }
  /// Everything below `end` shall be written as soon as the disk is free. Strand only.
  void want(Position end);
  /// Gives a batch back, for its memory. Strand only.
  void recycle(std::unique_ptr<Batch> batch);

 private:
  struct Shared {
    std::mutex mutex;
    std::deque<std::unique_ptr<Batch>> queue;  // guarded
    Position wanted;                           // guarded
    bool running = false;                      // guarded
    bool stopped = false;                      // guarded
    std::function<void(Outcome)> on_done;      // strand; empty once the committer is gone
  };
  static void run(sys::World& world, const std::shared_ptr<Shared>& shared);
  std::unique_ptr<Batch> take_pooled();

  sys::World& world_;
  const std::shared_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Batch>> pool_;
  std::unique_ptr<sys::Worker> worker_;
};

}  // namespace hf::log
