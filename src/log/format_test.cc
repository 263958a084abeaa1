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

}  // namespace
}  // namespace hf::log
