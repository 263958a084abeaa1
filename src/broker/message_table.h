#pragma once

/// Which record is the n-th message of a topic: twelve bytes a message, whatever the backlog. Bodies stay in the log.

#include <array>
#include <deque>
#include <memory>

#include "broker/ids.h"

namespace hf::broker {

/// Pure state; strand only. Offsets are never reused; the front is trimmed when retention has removed the bodies.
class MessageTable {
 public:
  struct Entry {
    Position position = 0;       ///< of the record with the body (or the dead letter record that points to it)
    std::uint32_t tag_hash = 0;  ///< java_hash of the tag; 0 also means no tag
  };
  static constexpr Position kGone = ~Position{0};

  QueueOffset begin() const { return begin_; }
  QueueOffset end() const { return end_; }
  bool empty() const { return begin_ == end_; }
  QueueOffset append(Entry entry);
  /// `offset` in [begin, end). position == kGone: taken out by erase().
  Entry at(QueueOffset offset) const;
  void erase(QueueOffset offset);
  /// Forgets everything before `offset`; offsets before it are then out of range.
  void trim_before(QueueOffset offset);
  /// The lowest position among [from, end), kGone if there is none.
  Position lowest_position(QueueOffset from) const;
  /// For restoring a snapshot into an empty table.
  void start_at(QueueOffset begin);

 private:
  static constexpr QueueOffset kChunk = 1024;
  struct Chunk {
    std::array<Position, kChunk> positions;
    std::array<std::uint32_t, kChunk> tags;
    Position lowest = kGone;
  };
  const Chunk& chunk_of(QueueOffset offset) const;

  QueueOffset begin_ = 0, end_ = 0;
  QueueOffset base_ = 0;  ///< offset of the first slot of chunks_.front(); a multiple of kChunk
  std::deque<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace hf::broker
