#include "log/recovery.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace hf::log {
namespace {

/// A file by name, with its header if it has been started.
struct Found {
  Segment segment;
  std::optional<SegmentHeader> header;
  bool untouched = false;  ///< the header's place is all zeros
};

Error damaged(const Segment& segment, std::uint64_t offset, std::string_view why) {
  return Error{Code::corrupt, fmt::format("{} is damaged at offset {}: {}", segment.path, offset, why)};
}

Result<Found> look_at(sys::FileSystem& files, const std::string& dir, std::uint64_t sequence) {
  Found found;
  Segment& segment = found.segment;
  segment.sequence = sequence;
  segment.path = dir + "/" + segment_name(sequence);
  HF_TRY(segment.file, files.open(segment.path, sys::OpenMode::read_write));
  HF_TRY(segment.capacity, segment.file->size());
  std::uint8_t head[kSegmentHeaderSize] = {};
  HF_TRY(const std::size_t got, segment.file->read_at(0, head));
  if (got < kSegmentHeaderSize) return damaged(segment, got, "the file ends inside its header");
  found.untouched = std::all_of(std::begin(head), std::end(head), [](std::uint8_t byte) { return byte == 0; });
  Result<std::optional<SegmentHeader>> header = get_segment_header(head);
  if (!header) return header.error().with_context(segment.path);
  if (!*header || (*header)->sequence != sequence) return found;  // a recycled file carries its old number
  found.header = *header;
  segment.base = found.header->base;
  if (segment.capacity != found.header->capacity) {
    return damaged(segment, segment.capacity,
                   fmt::format("the file has {} bytes and was made with {}", segment.capacity, found.header->capacity));
  }
  return found;
}

Result<std::vector<Found>> look_at_all(sys::FileSystem& files, const std::string& dir) {
  HF_TRY(const std::vector<std::string> names, files.list(dir));
  std::vector<Found> all;
  for (const std::string& name : names) {
    if (name == kUnfinishedName) HF_TRY(files.remove(dir + "/" + name));
    const std::optional<std::uint64_t> sequence = parse_segment_name(name);
    if (!sequence) continue;
    if (!all.empty() && *sequence != all.back().segment.sequence + 1) {
      return Error{Code::corrupt, fmt::format("{}/{} is missing", dir, segment_name(all.back().segment.sequence + 1))};
    }
    HF_TRY(all.emplace_back(), look_at(files, dir, *sequence));
  }
  return all;
}

/// An intact record after `torn` that belongs to a batch that began after it.
Result<std::optional<Position>> find_later_batch(const Segment& segment, Position torn, std::uint32_t seed) {
  constexpr std::size_t kChunk = 128 << 10;
  Window window, candidate;
  const std::uint64_t start = segment.offset_of(torn);
  for (std::uint64_t chunk = start; chunk + kRecordHeaderSize <= segment.capacity; chunk += kChunk) {
    HF_TRY(const Bytes bytes, window.at(*segment.file, chunk, kChunk + kRecordHeaderSize - 8));
    for (std::size_t at = 0; at + kRecordHeaderSize <= bytes.size(); at += 8) {
      const Position here{torn.value + (chunk - start) + at};
      if (get_u64(&bytes[at + 8]) != here.value) continue;
      const std::optional<RecordHeader> header = peek_record(bytes.subspan(at));
      if (!header || header->batch_start() <= torn) continue;
      HF_TRY(const std::optional<Parsed> later, parse_at(segment, here, candidate, seed));
      if (later) return std::optional(here);
    }
  }
  return std::optional<Position>{};
}

/// Walks the records of the started segments in order.
class Walk {
 public:
  Walk(std::vector<std::shared_ptr<const Segment>> segments, std::uint32_t seed, std::optional<Position> from,
       const Visitor& visit)
      : segments_(std::move(segments)), seed_(seed), from_(from), visit_(visit) {}

  /// `generations` as the headers say, one for each segment.
  Result<void> run(const std::vector<std::uint32_t>& generations) {
    std::size_t first = 0;
    while (from_ && first + 1 < segments_.size() && segments_[first + 1]->base <= *from_) ++first;
    end_ = segments_[first]->base;
    generation_ = generations[first];
    for (std::size_t i = first; i < segments_.size(); ++i) {
      const Segment& segment = *segments_[i];
      // A header is written only after all before it was synced: what it says is what must be.
      if (segment.base != end_) {
        return damaged(*segments_[i - 1], segments_[i - 1]->offset_of(end_),
                       fmt::format("the records of the segment end at position {}, the next begins at {}", end_.value,
                                   segment.base.value));
      }
      if (generation_ != generations[i]) return damaged(segment, 0, "the generation does not continue");
      batch_start_ = segment.base;
      HF_TRY(walk(segment));
    }
    return ok();
  }
  Position end() const { return end_; }
  std::uint32_t generation() const { return generation_; }
  Position batch_start() const { return batch_start_; }  ///< of the last record

 private:
  Result<void> walk(const Segment& segment) {
    for (;;) {
      HF_TRY(const std::optional<Parsed> record, parse_at(segment, end_, window_, seed_));
      if (!record || !continues(record->header)) break;
      generation_ = record->header.generation;
      batch_start_ = record->header.batch_start();
      const Position next = record->header.next();
      if (record->header.kind != kMark && (!from_ || end_ >= *from_)) {
        const RecordView view{end_, next, record->header.kind, record->body};
        HF_TRY(visit_(view));
      }
      end_ = next;
    }
    window_.forget();
    return ok();
  }
  bool continues(const RecordHeader& header) const {
    return header.generation == generation_ || (header.kind == kMark && header.generation == generation_ + 1);
  }

  const std::vector<std::shared_ptr<const Segment>> segments_;
  const std::uint32_t seed_;
  const std::optional<Position> from_;
  const Visitor& visit_;
  Window window_;
  Position end_, batch_start_;
  std::uint32_t generation_ = 0;
};

/// Size of the record that was being written when the log ended, if enough of its header arrived.
Result<std::uint64_t> torn_bytes(const Segment& segment, Position end) {
  std::uint8_t head[kRecordHeaderSize];
  HF_TRY(const std::size_t got, segment.file->read_at(segment.offset_of(end), head));
  if (got < kRecordHeaderSize) return std::uint64_t{0};
  const std::optional<RecordHeader> header = peek_record(head);
  return header && header->position == end ? std::uint64_t{header->disk_size()} : std::uint64_t{0};
}

Result<void> write_again(const Segment& segment, Position start, Position end) {
  const std::uint64_t from = start == segment.base ? 0 : segment.offset_of(start);
  std::vector<std::uint8_t> bytes(segment.offset_of(end) - from);
  HF_TRY(const std::size_t got, segment.file->read_at(from, bytes));
  if (got < bytes.size()) return Error{Code::unavailable, fmt::format("{} became shorter", segment.path)};
  HF_TRY(segment.file->write_at(from, bytes));
  return segment.file->sync();
}

Result<void> keep_spares(sys::FileSystem& files, const std::string& dir, std::uint64_t segment_bytes,
                         std::span<Found> rest, Recovered& into) {
  // A file that was used before is not kept: on a file system without a journal its old and new name may both be there.
  // Removal from the end keeps the numbers without a gap.
  std::size_t kept = 0;
  while (kept < rest.size() && rest[kept].untouched && rest[kept].segment.capacity == segment_bytes) ++kept;
  for (std::size_t i = rest.size(); i > kept; --i) {
    HF_TRY(files.remove(rest[i - 1].segment.path));
    HF_TRY(files.sync_dir(dir));
  }
  for (Found& found : rest.first(kept)) {
    Segment& s = found.segment;
    into.spares.push_back({s.sequence, std::move(s.path), std::move(s.file), s.capacity});
    into.next_sequence = s.sequence + 1;
  }
  return ok();
}

/// No segment was started: the log is new, or the header of its oldest segment is damaged.
Result<void> check_new(const std::vector<Found>& all, std::optional<Position> from) {
  if (from && from->value > 0) {
    return Error{Code::corrupt, fmt::format("the log is empty; records from position {} are missing", from->value)};
  }
  if (all.empty() || all.front().untouched) return ok();
  const Segment& first = all.front().segment;
  if (first.sequence != 1) return damaged(first, 0, "the header of the oldest segment is not one");
  // The first write to a new log is one header and one mark, and this file was all zeros before.
  Window window;
  for (std::uint64_t offset = kFirstWriteSize; offset < first.capacity;) {
    HF_TRY(const Bytes bytes, window.at(*first.file, offset, 1));
    if (bytes.empty()) break;
    if (bytes[0] != 0) return damaged(first, 0, "the header is not one, but records follow it");
    ++offset;
  }
  return ok();
}

}  // namespace

Result<Recovered> recover(sys::FileSystem& files, const std::string& dir, std::uint64_t segment_bytes,
                          std::optional<Position> from, const Visitor& visit) {
  HF_TRY(std::vector<Found> all, look_at_all(files, dir));
  const auto unstarted = std::find_if(all.begin(), all.end(), [](const Found& f) { return !f.header; });
  const auto again = std::find_if(unstarted, all.end(), [](const Found& f) { return f.header.has_value(); });
  if (again != all.end()) return damaged(unstarted->segment, 0, "no header, although the next segment was started");
  const std::size_t started = static_cast<std::size_t>(unstarted - all.begin());

  Recovered result;
  if (!all.empty()) result.next_sequence = all.front().segment.sequence;
  if (started == 0) {
    HF_TRY(check_new(all, from));
    HF_TRY(keep_spares(files, dir, segment_bytes, all, result));
    return result;
  }

  result.log_id = all.front().header->log_id;
  const std::uint32_t seed = crc_seed(result.log_id);
  std::vector<std::uint32_t> generations;
  for (const Found& found : std::span(all).first(started)) {
    if (found.header->log_id != result.log_id) return damaged(found.segment, 16, "it belongs to another log");
    generations.push_back(found.header->generation);
    result.segments.push_back(std::make_shared<const Segment>(found.segment));
  }
  const Segment& last = *result.segments.back();
  result.next_sequence = last.sequence + 1;
  if (from && *from < result.segments.front()->base) {
    return Error{Code::corrupt, fmt::format("{}: records from position {} are missing, the oldest is {}", dir,
                                            from->value, result.segments.front()->base.value)};
  }

  Walk walk(result.segments, seed, from, visit);
  HF_TRY(walk.run(generations));
  result.end = walk.end();
  result.generation = walk.generation();
  HF_TRY(const std::optional<Position> later, find_later_batch(last, result.end, seed));
  if (later) {
    return damaged(
        last, last.offset_of(result.end),
        fmt::format("no intact record at position {}, but one of a later write at {}", result.end.value, later->value));
  }
  if (started < all.size() && !all[started].untouched) {
    Segment next = all[started].segment;  // its header may be damaged: then it began where this one ends
    next.base = result.end;
    HF_TRY(const std::optional<Position> beyond, find_later_batch(next, result.end, seed));
    if (beyond) return damaged(next, 0, "the header is not one, but records follow it");
  }
  if (from && *from > result.end) {
    return Error{Code::corrupt, fmt::format("{}: the log ends at position {}, records up to {} are missing", dir,
                                            result.end.value, from->value)};
  }
  HF_TRY(result.truncated_bytes, torn_bytes(last, result.end));
  HF_TRY(write_again(last, walk.batch_start(), result.end));
  HF_TRY(keep_spares(files, dir, segment_bytes, std::span(all).subspan(started), result));
  return result;
}

}  // namespace hf::log
