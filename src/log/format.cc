#include "log/format.h"

#include <fmt/format.h>

#include <charconv>

#include "base/crc32c.h"

namespace hf::log {
namespace {

constexpr std::string_view kMagic = "HFLOGSEG";
constexpr std::uint32_t kVersion = 1;
constexpr std::string_view kSuffix = ".seg";
constexpr std::size_t kNameDigits = 10;

}  // namespace

void put_segment_header(std::uint8_t* out, const SegmentHeader& header) {
  std::memset(out, 0, kSegmentHeaderSize);
  std::memcpy(out, kMagic.data(), kMagic.size());
  put_u32(out + 12, kVersion);
  put_u64(out + 16, header.log_id);
  put_u64(out + 24, header.sequence);
  put_u64(out + 32, header.base.value);
  put_u32(out + 40, header.generation);
  put_u64(out + 48, header.capacity);
  put_u64(out + 56, static_cast<std::uint64_t>(header.started_at_us));
  put_u32(out + 8, crc32c({out + 12, kSegmentHeaderSize - 12}));
}

Result<std::optional<SegmentHeader>> get_segment_header(Bytes in) {
  HF_ASSERT(in.size() == kSegmentHeaderSize);
  if (as_text(in.first(kMagic.size())) != kMagic) return std::optional<SegmentHeader>{};
  if (get_u32(&in[8]) != crc32c(in.subspan(12))) return std::optional<SegmentHeader>{};
  if (const std::uint32_t version = get_u32(&in[12]); version != kVersion) {
    return Error{Code::invalid, fmt::format("format version {} is not known to this program", version)};
  }
  SegmentHeader header;
  header.log_id = get_u64(&in[16]);
  header.sequence = get_u64(&in[24]);
  header.base = {get_u64(&in[32])};
  header.generation = get_u32(&in[40]);
  header.capacity = get_u64(&in[48]);
  header.started_at_us = static_cast<std::int64_t>(get_u64(&in[56]));
  return std::optional(header);
}

std::uint32_t crc_seed(std::uint64_t log_id) {
  std::uint8_t bytes[8];
  put_u64(bytes, log_id);
  return crc32c(bytes);
}

void seal_record(std::uint8_t* at, const RecordHeader& header, std::uint32_t seed) {
  HF_ASSERT(header.body_size <= kBodyMax);
  HF_ASSERT(header.position.value % 8 == 0 && header.generation > 0);
  HF_ASSERT(header.batch_offset <= header.position.value);
  std::memset(at + kRecordHeaderSize + header.body_size, 0, header.padded_body() - header.body_size);
  put_u32(at + 4, static_cast<std::uint32_t>(header.kind) << 24 | header.body_size);
  put_u64(at + 8, header.position.value);
  put_u32(at + 16, header.generation);
  put_u32(at + 20, header.batch_offset);
  put_u32(at, crc32c({at + 4, header.disk_size() - 4}, seed));
}

std::optional<RecordHeader> peek_record(Bytes in) {
  HF_ASSERT(in.size() >= kRecordHeaderSize);
  RecordHeader header;
  header.body_size = get_u32(&in[4]) & 0xFF'FFFF;
  header.kind = in[7];
  header.position = {get_u64(&in[8])};
  header.generation = get_u32(&in[16]);
  header.batch_offset = get_u32(&in[20]);
  const bool possible = header.body_size <= kBodyMax && header.generation > 0 && header.position.value % 8 == 0 &&
                        header.batch_offset <= header.position.value;
  return possible ? std::optional(header) : std::nullopt;
}

bool intact(Bytes head, Bytes padded_body, std::uint32_t seed) {
  HF_ASSERT(head.size() == kRecordHeaderSize);
  return get_u32(head.data()) == crc32c(padded_body, crc32c(head.subspan(4), seed));
}

std::string segment_name(std::uint64_t sequence) { return fmt::format("{:0{}}{}", sequence, kNameDigits, kSuffix); }

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (name.size() != kNameDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kNameDigits, sequence);
  if (error != std::errc{} || end != name.data() + kNameDigits || sequence == 0) return std::nullopt;
  return sequence;
}

}  // namespace hf::log
