#include "base/crc32c.h"

namespace hf {
namespace {

TEST(Crc32c, KnowsThePublishedVectors) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);
  const std::string zeros(32, '\0');
  EXPECT_EQ(crc32c(as_bytes(zeros)), 0x8A9136AAu);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, BothWaysAgreeAtEveryLengthAndCut) {
  std::string text;
  for (int i = 0; i < 100; ++i) text.push_back(static_cast<char>(i * 37));
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const Bytes whole = as_bytes(std::string_view(text).substr(0, size));
    EXPECT_EQ(crc32c(whole), crc32c_by_table(whole));
    const std::size_t cut = size / 3;
    EXPECT_EQ(crc32c(whole.subspan(cut), crc32c(whole.first(cut))), crc32c(whole));
  }
}

}  // namespace
}  // namespace hf
