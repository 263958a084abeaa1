#include "broker/message_table.h"

#include <algorithm>

#include "base/assert.h"

namespace hf::broker {

QueueOffset MessageTable::append(Entry entry) {
  const auto index = static_cast<std::size_t>((end_ - base_) / kChunk);
  if (index == chunks_.size()) chunks_.push_back(std::make_unique<Chunk>());
  const auto slot = static_cast<std::size_t>(end_ % kChunk);
  Chunk& chunk = *chunks_[index];
  chunk.positions[slot] = entry.position;
  chunk.tags[slot] = entry.tag_hash;
  chunk.lowest = std::min(chunk.lowest, entry.position);
  return end_++;
}

const MessageTable::Chunk& MessageTable::chunk_of(QueueOffset offset) const {
  HF_ASSERT(offset >= begin_ && offset < end_);
  return *chunks_[static_cast<std::size_t>((offset - base_) / kChunk)];
}

MessageTable::Entry MessageTable::at(QueueOffset offset) const {
  const Chunk& chunk = chunk_of(offset);
  const auto slot = static_cast<std::size_t>(offset % kChunk);
  return {chunk.positions[slot], chunk.tags[slot]};
}

void MessageTable::erase(QueueOffset offset) {
  const_cast<Chunk&>(chunk_of(offset)).positions[static_cast<std::size_t>(offset % kChunk)] = kGone;
}

void MessageTable::trim_before(QueueOffset offset) {
  begin_ = std::clamp(offset, begin_, end_);
  while (!chunks_.empty() && base_ + kChunk <= begin_) {
    chunks_.pop_front();
    base_ += kChunk;
  }
}

Position MessageTable::lowest_position(QueueOffset from) const {
  Position lowest = kGone;
  QueueOffset offset = std::max(from, begin_);
  while (offset < end_) {
    const Chunk& chunk = chunk_of(offset);
    if (offset % kChunk == 0 && offset + kChunk <= end_) {  // whole chunks by their minimum, the edges one by one
      lowest = std::min(lowest, chunk.lowest);
      offset += kChunk;
    } else {
      lowest = std::min(lowest, chunk.positions[static_cast<std::size_t>(offset % kChunk)]);
      ++offset;
    }
  }
  return lowest;
}

void MessageTable::start_at(QueueOffset begin) {
  HF_ASSERT(empty() && chunks_.empty());
  begin_ = end_ = begin;
  base_ = begin - begin % kChunk;
}

}  // namespace hf::broker
