#pragma once

/// The bytes of a segment file. docs/formats/log.md draws them with a worked example. Pure.

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "log/log.h"

namespace hf::log {

/// First bytes of a segment: written together with its first batch, in one write. Little-endian.
///   at  size
///    0     8  magic        "HFLOGSEG"
///    8     4  crc          CRC-32C over bytes [12, 64)
///   12     4  version      1
///   16     8  log_id       random, the same in all segments of a log; seeds the CRC of every record
///   24     8  sequence     the number in the file's name; a recycled file still carries an older one
///   32     8  base         position of the first record: where the segment before ended
///   40     4  generation   of the record before the first one; 0 in a new log
///   44     4  zero
///   48     8  capacity     size of the file
///   56     8  started_at   µs since the Unix epoch; shown to people, never compared
struct SegmentHeader {
  std::uint64_t log_id = 0;
  std::uint64_t sequence = 0;
  Position base;
  std::uint32_t generation = 0;
  std::uint64_t capacity = 0;
  std::int64_t started_at_us = 0;
  bool operator==(const SegmentHeader&) const = default;
};
inline constexpr std::size_t kSegmentHeaderSize = 64;

void put_segment_header(std::uint8_t* out, const SegmentHeader& header);
/// nullopt: not the header of a segment (never started, torn, or damaged). Error: `invalid`, intact but of a version
/// that this program does not know. `in` has kSegmentHeaderSize bytes.
Result<std::optional<SegmentHeader>> get_segment_header(Bytes in);

inline constexpr std::size_t kRecordHeaderSize = 24;
constexpr std::size_t padded(std::size_t body_size) { return (body_size + 7) & ~std::size_t{7}; }
constexpr std::size_t disk_size_of(std::size_t body_size) { return kRecordHeaderSize + padded(body_size); }

/// One record: written once, never changed. Little-endian.
///   at  size
///    0     4  crc           CRC-32C over bytes [4, size on disk), seeded with the log's id
///    4     3  body_size     bytes, 0 … kBodyMax
///    7     1  kind          0: a mark of the log itself
///    8     8  position      its own address: a stale record of a recycled file has another
///   16     4  generation    1 or more; one more with every open: what an earlier life left behind has a lower one
///   20     4  batch_offset  position − first position of its batch. All before the batch was synced before this was
///                           written, so an intact record proves every record below (position − batch_offset) durable
///   24     …  body, then zeros to a multiple of 8
struct RecordHeader {
  std::uint32_t body_size = 0;
  Kind kind = 0;
  Position position;
  std::uint32_t generation = 0;
  std::uint32_t batch_offset = 0;

  std::size_t padded_body() const { return padded(body_size); }
  std::size_t disk_size() const { return disk_size_of(body_size); }
  Position next() const { return {position.value + disk_size()}; }
  Position batch_start() const { return {position.value - batch_offset}; }
};
/// Kind of the log's own records: with the next generation it opens a life, with the same one it closes it cleanly.
/// Body: µs since the Unix epoch, shown to people.
inline constexpr Kind kMark = 0;
inline constexpr std::size_t kMarkBodySize = 8, kMarkSize = kRecordHeaderSize + kMarkBodySize;
/// A new log begins with one write: the header of its first segment and the mark that opens its first life.
inline constexpr std::size_t kFirstWriteSize = kSegmentHeaderSize + kMarkSize;
static_assert(kBodyMax < (1U << 24), "body_size has three bytes");

/// What seeds the CRC of every record of the log.
std::uint32_t crc_seed(std::uint64_t log_id);
/// Fills in header and padding around a body that already stands at `at + kRecordHeaderSize`.
void seal_record(std::uint8_t* at, const RecordHeader& header, std::uint32_t seed);
/// The header's fields if they are possible ones; says nothing about the CRC. `in` has kRecordHeaderSize bytes.
std::optional<RecordHeader> peek_record(Bytes in);
/// Whether head (kRecordHeaderSize bytes) and padded body belong together and are undamaged.
bool intact(Bytes head, Bytes padded_body, std::uint32_t seed);

/// "0000000042.seg"
std::string segment_name(std::uint64_t sequence);
std::optional<std::uint64_t> parse_segment_name(std::string_view name);

}  // namespace hf::log
