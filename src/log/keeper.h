#pragma once

/// Looks after the segment files that hold no needed records: fills new ones with zeros ahead of need, gives the files
/// of removed segments a new number, deletes what is too many. One thread of its own, one file at a time, in the order
/// of their numbers, so that the numbers on disk never have a gap.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "log/recovery.h"
#include "sys/world.h"

namespace hf::log {

/// A zero-filled, synced file of `capacity` bytes with the given number. Blocks. `exhausted`: disk full; then nothing
/// of it is left. `stop` ends it early with `unavailable`.
Result<Spare> make_spare(sys::World& world, const std::string& dir, std::uint64_t sequence, std::uint64_t capacity,
                         const std::atomic<bool>& stop);

class Keeper {
 public:
  struct Settings {
    std::string dir;
    std::uint64_t segment_bytes = 0;
    std::uint32_t spare_segments = 1;
  };
  /// `on_spare` is called on the strand when another spare is there; not after this object is gone.
  Keeper(sys::World& world, Settings settings, std::deque<Spare> spares, std::uint64_t next_sequence,
         std::function<void()> on_spare);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  /// The next ready file. nullopt: none is ready; why() says why. Strand only, as all that follows.
  std::optional<Spare> take();
  /// Error: `exhausted`, with the reason of the last failure if there was one.
  Error why() const;
  const Spare* next() const { return spares_.empty() ? nullptr : &spares_.front(); }
  /// Segments that nobody needs any more, oldest first.
  void retire(std::vector<std::shared_ptr<const Segment>> segments);
  /// Starts what is to be done, unless it is under way or failed less than a second ago.
  void work();

  std::size_t spares() const { return spares_.size(); }
  std::uint64_t disk_bytes() const;

 private:
  struct Shared {
    std::atomic<bool> stop{false};
    Keeper* keeper = nullptr;  // strand; null once the keeper is gone
  };
  void done_spare(Result<Spare> spare, bool was_retired);
  void done_remove(Result<void> removed);
  void failed(const char* event, const Error& error);

  sys::World& world_;
  const Settings settings_;
  std::deque<Spare> spares_;
  std::deque<std::shared_ptr<const Segment>> retired_;
  std::uint64_t next_sequence_;
  const std::function<void()> on_spare_;
  std::optional<Error> failure_;
  Monotonic not_before_{};
  bool busy_ = false;
  const std::shared_ptr<Shared> shared_;
  metrics::Counter& failures_;
  std::unique_ptr<sys::Worker> worker_;
};

}  // namespace hf::log
