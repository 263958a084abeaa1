#include "log/format.h"

#include <gtest/gtest.h>

#include "sys/random.h"

namespace hf::log {
namespace {

const std::uint32_t kSeed = crc_seed(0x1122334455667788);

std::vector<std::uint8_t> record_of(std::string_view body, Position position, Kind kind = 3) {
  const RecordHeader header{static_cast<std::uint32_t>(body.size()), kind, position, 5, 16};
  std::vector<std::uint8_t> bytes(header.disk_size(), 0xEE);
  std::copy(body.begin(), body.end(), bytes.begin() + kRecordHeaderSize);
  seal_record(bytes.data(), header, kSeed);
  return bytes;
}

bool accepts(Bytes bytes, Position position, std::uint32_t seed = kSeed) {
  if (bytes.size() < kRecordHeaderSize) return false;
  const std::optional<RecordHeader> header = peek_record(bytes);
  return header && header->position == position && header->disk_size() <= bytes.size() &&
         intact(bytes.first(kRecordHeaderSize), bytes.subspan(kRecordHeaderSize, header->padded_body()), seed);
}

TEST(LogFormat, RecordRoundTrip) {
  for (const std::string_view body : {"", "1", "1234567", "12345678", "a longer body than one word"}) {
    const std::vector<std::uint8_t> bytes = record_of(body, Position{4096});
    EXPECT_EQ(bytes.size() % 8, 0U);
    ASSERT_TRUE(accepts(bytes, Position{4096}));
    const RecordHeader header = *peek_record(bytes);
    EXPECT_EQ(header.body_size, body.size());
    EXPECT_EQ(header.kind, 3);
    EXPECT_EQ(header.generation, 5U);
    EXPECT_EQ(header.batch_start().value, 4080U);
    EXPECT_EQ(header.next().value, 4096 + bytes.size());
    EXPECT_EQ(as_text(Bytes(bytes).subspan(kRecordHeaderSize, body.size())), body);
  }
}

TEST(LogFormat, EveryCutAndEveryFlippedBitIsSeen) {
  const std::vector<std::uint8_t> whole = record_of("twelve bytes", Position{800});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(accepts(Bytes(whole).first(size), Position{800})) << size;
  }
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<std::uint8_t> flipped = whole;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(accepts(flipped, Position{800})) << bit;
  }
}

TEST(LogFormat, AnIntactRecordElsewhereOrOfAnotherLogDoesNotFit) {
  const std::vector<std::uint8_t> whole = record_of("body", Position{800});
  EXPECT_FALSE(accepts(whole, Position{808}));
  EXPECT_FALSE(accepts(whole, Position{800}, crc_seed(1)));
}

TEST(LogFormat, ZerosAreNoRecord) {
  const std::vector<std::uint8_t> zeros(64);
  EXPECT_FALSE(peek_record(zeros));
}

TEST(LogFormat, RandomBytesAreNoRecord) {
  sys::SeededRandom random(7);
  std::vector<std::uint8_t> bytes(256);
  for (int i = 0; i < 100'000; ++i) {
    random.fill(bytes);
    if (i % 2 == 0) put_u64(&bytes[8], 800);                        // the right position …
    if (i % 4 == 0) put_u32(&bytes[4], get_u32(&bytes[4]) & 0xFF);  // … and a possible size
    ASSERT_FALSE(accepts(bytes, Position{800}));
  }
}

TEST(LogFormat, SegmentHeaderRoundTripAndEveryFlippedBit) {
  const SegmentHeader header{0x0102030405060708, 42, Position{1 << 20}, 3, 64 << 20, 1'700'000'000'000'000};
  std::uint8_t bytes[kSegmentHeaderSize];
  put_segment_header(bytes, header);
  const Result<std::optional<SegmentHeader>> read = get_segment_header(bytes);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ(**read, header);
  for (std::size_t bit = 0; bit < kSegmentHeaderSize * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    const Result<std::optional<SegmentHeader>> flipped = get_segment_header(bytes);
    EXPECT_TRUE(flipped && !*flipped) << bit;
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  }
}

TEST(LogFormat, SegmentNames) {
  EXPECT_EQ(segment_name(42), "0000000042.seg");
  EXPECT_EQ(parse_segment_name("0000000042.seg"), 42U);
  for (const char* bad : {"", "42.seg", "0000000042", "0000000042.sex", "000000004x.seg", "0000000000.seg", "lock"}) {
    EXPECT_FALSE(parse_segment_name(bad)) << bad;
  }
}

// The worked example of docs/formats/log.md, byte for byte.
TEST(LogFormat, WorkedExample) {
  std::vector<std::uint8_t> file(kSegmentHeaderSize + 2 * 32);
  const std::uint64_t log_id = 0x1122334455667788;
  const std::int64_t opened_at = 1'767'225'600'000'000;  // 2026-01-01T00:00:00Z
  put_segment_header(file.data(), {log_id, 1, Position{0}, 0, 4096, opened_at});
  std::uint8_t* const mark = file.data() + kSegmentHeaderSize;
  put_u64(mark + kRecordHeaderSize, static_cast<std::uint64_t>(opened_at));
  seal_record(mark, {8, kMark, Position{0}, 1, 0}, crc_seed(log_id));
  std::uint8_t* const record = mark + 32;
  std::memcpy(record + kRecordHeaderSize, "hello", 5);
  seal_record(record, {5, 3, Position{32}, 1, 0}, crc_seed(log_id));
  EXPECT_EQ(hex(file),
            "48464c4f47534547c62c798401000000"
            "88776655443322110100000000000000"
            "00000000000000000000000000000000"
            "00100000000000000040204648470600"
            "3440e891080000000000000000000000"
            "01000000000000000040204648470600"
            "0c10830d050000032000000000000000"
            "010000000000000068656c6c6f000000");
}

}  // namespace
}  // namespace hf::log
