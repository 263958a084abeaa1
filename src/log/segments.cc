#include "log/segments.h"

#include <fmt/format.h>

#include <algorithm>

namespace hf::log {

Result<Bytes> Window::at(const sys::File& file, std::uint64_t offset, std::size_t size) {
  const bool held = offset >= offset_ && offset + size <= offset_ + held_;
  if (!held) {
    const std::size_t want = std::max(size, kReadAhead);
    if (buffer_.size() < want) buffer_.resize(want);
    held_ = 0;
    HF_TRY(const std::size_t got, file.read_at(offset, MutableBytes(buffer_).first(want)));
    offset_ = offset;
    held_ = got;
  }
  const std::size_t skip = offset - offset_;
  return Bytes(buffer_).subspan(skip, std::min(size, held_ - skip));
}

Result<std::optional<Parsed>> parse_at(const Segment& segment, Position position, Window& window, std::uint32_t seed) {
  const std::uint64_t offset = segment.offset_of(position);
  HF_TRY(const Bytes head, window.at(*segment.file, offset, kRecordHeaderSize));
  if (head.size() < kRecordHeaderSize) return std::optional<Parsed>{};
  const std::optional<RecordHeader> header = peek_record(head);
  if (!header || header->position != position) return std::optional<Parsed>{};
  if (offset + header->disk_size() > segment.capacity) return std::optional<Parsed>{};
  HF_TRY(const Bytes whole, window.at(*segment.file, offset, header->disk_size()));
  if (whole.size() < header->disk_size()) return std::optional<Parsed>{};
  if (!intact(whole.first(kRecordHeaderSize), whole.subspan(kRecordHeaderSize), seed)) return std::optional<Parsed>{};
  return std::optional(Parsed{*header, whole.subspan(kRecordHeaderSize, header->body_size)});
}

Segments::Segments(std::vector<std::shared_ptr<const Segment>> segments, std::uint32_t seed)
    : seed_(seed), segments_(std::move(segments)) {}

void Segments::add(std::shared_ptr<const Segment> segment) {
  const std::lock_guard lock(mutex_);
  HF_ASSERT(segments_.empty() || segments_.back()->base < segment->base);
  segments_.push_back(std::move(segment));
}

std::vector<std::shared_ptr<const Segment>> Segments::remove_before(Position needed) {
  const Position durable = durable_end();
  std::vector<std::shared_ptr<const Segment>> removed;
  const std::lock_guard lock(mutex_);
  // The header of a segment is durable with its first record: before that, the one below must stay.
  while (segments_.size() > 1 && segments_[1]->base <= needed && segments_[1]->base < durable) {
    removed.push_back(std::move(segments_.front()));
    segments_.erase(segments_.begin());
  }
  return removed;
}

Position Segments::oldest() const {
  const std::lock_guard lock(mutex_);
  return segments_.empty() ? Position{} : segments_.front()->base;
}

std::uint64_t Segments::capacity() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t total = 0;
  for (const auto& segment : segments_) total += segment->capacity;
  return total;
}

std::size_t Segments::count() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

Result<std::shared_ptr<const Segment>> Segments::find(Position position) const {
  if (position >= durable_end()) {
    return Error{Code::not_found, fmt::format("position {} is not durable yet", position.value)};
  }
  const std::lock_guard lock(mutex_);
  const auto after = std::upper_bound(segments_.begin(), segments_.end(), position,
                                      [](Position p, const auto& segment) { return p < segment->base; });
  if (after == segments_.begin()) {
    return Error{Code::not_found, fmt::format("position {} was removed by retention", position.value)};
  }
  return *std::prev(after);
}

Error Segments::explain(const Segment& segment, Position position) const {
  if (position < oldest()) {
    return Error{Code::not_found, fmt::format("position {} was removed by retention", position.value)};
  }
  return Error{Code::corrupt, fmt::format("{} is damaged at offset {} (position {})", segment.path,
                                          segment.offset_of(position), position.value)};
}

Result<Record> Segments::read(Position position) const {
  HF_TRY(const std::shared_ptr<const Segment> segment, find(position));
  constexpr std::size_t kFirstRead = 4096;  // most records come with one read
  std::uint8_t first[kFirstRead];
  const std::uint64_t offset = segment->offset_of(position);
  HF_TRY(const std::size_t got, segment->file->read_at(offset, first));
  if (got < kRecordHeaderSize) return explain(*segment, position);
  const Bytes head(first, kRecordHeaderSize);
  const std::optional<RecordHeader> header = peek_record(head);
  if (!header || header->position != position) {
    if (position < oldest()) return explain(*segment, position);
    return Error{Code::not_found,
                 fmt::format("no record begins at offset {} of {} (position {}), or its header is damaged", offset,
                             segment->path, position.value)};
  }
  if (offset + header->disk_size() > segment->capacity) return explain(*segment, position);
  Record record{position, header->next(), header->kind, std::string(header->padded_body(), '\0')};
  auto* const body = reinterpret_cast<std::uint8_t*>(record.body.data());
  const std::size_t here = std::min(got - kRecordHeaderSize, record.body.size());
  std::memcpy(body, first + kRecordHeaderSize, here);
  if (here < record.body.size()) {
    HF_TRY(const std::size_t more,
           segment->file->read_at(offset + kRecordHeaderSize + here, {body + here, record.body.size() - here}));
    if (more < record.body.size() - here) return explain(*segment, position);
  }
  if (!intact(head, {body, record.body.size()}, seed_)) return explain(*segment, position);
  record.body.resize(header->body_size);
  return record;
}

}  // namespace hf::log
