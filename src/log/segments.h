#pragma once

/// The segment files of a log that hold records, and reading from them. Any thread.

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "log/format.h"
#include "sys/files.h"

namespace hf::log {

/// A started segment: records from `base` on lie in `file` from kSegmentHeaderSize on.
struct Segment {
  std::uint64_t sequence = 0;
  std::string path;
  std::shared_ptr<sys::File> file;
  std::uint64_t capacity = 0;
  Position base;

  std::uint64_t offset_of(Position p) const { return p.value - base.value + kSegmentHeaderSize; }
};

/// A file read forward through a buffer.
class Window {
 public:
  /// Up to `size` bytes from `offset`, fewer only at the end of the file. Valid until the next call.
  Result<Bytes> at(const sys::File& file, std::uint64_t offset, std::size_t size);
  void forget() { held_ = 0; }

 private:
  static constexpr std::size_t kReadAhead = 256 << 10;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t offset_ = 0;
  std::size_t held_ = 0;
};

/// The record that should stand at `position`, if what stands there is one, whole and undamaged.
struct Parsed {
  RecordHeader header;
  Bytes body;
};
Result<std::optional<Parsed>> parse_at(const Segment& segment, Position position, Window& window, std::uint32_t seed);

/// Which segment holds a position. The writer adds at the end, retention takes from the front, readers look.
class Segments {
 public:
  Segments(std::vector<std::shared_ptr<const Segment>> segments, std::uint32_t seed);

  void add(std::shared_ptr<const Segment> segment);
  /// Takes off the segments that lie wholly below `needed`, never the last two: the last may not be on disk yet.
  std::vector<std::shared_ptr<const Segment>> remove_before(Position needed);
  void set_durable_end(Position end) { durable_end_.store(end.value, std::memory_order_release); }

  Position durable_end() const { return {durable_end_.load(std::memory_order_acquire)}; }
  Position oldest() const;
  std::uint64_t capacity() const;
  std::size_t count() const;
  std::uint32_t seed() const { return seed_; }

  Result<Record> read(Position position) const;
  /// The segment that holds `position`. Error: not_found.
  Result<std::shared_ptr<const Segment>> find(Position position) const;
  /// What bytes at `position` of `segment` that are no intact record mean: not_found if retention took the segment
  /// meanwhile, else corrupt.
  Error explain(const Segment& segment, Position position) const;

 private:
  const std::uint32_t seed_;
  std::atomic<std::uint64_t> durable_end_{0};
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const Segment>> segments_;  // by base
};

}  // namespace hf::log
