#include "base/bytes.h"

namespace hf {
namespace {

TEST(Bytes, HexBothWays) {
  EXPECT_EQ(hex(as_bytes(std::string_view("\x00\xff\x1a", 3))), "00ff1a");
  EXPECT_EQ(hex(as_bytes("\xab"), HexCase::upper), "AB");
  EXPECT_EQ(unhex("00FF1a"), std::string("\x00\xff\x1a", 3));
  EXPECT_EQ(unhex("0"), std::nullopt);
  EXPECT_EQ(unhex("zz"), std::nullopt);
}

TEST(Bytes, Base64KnowsTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : cases) {
    EXPECT_EQ(base64(as_bytes(plain)), coded);
    EXPECT_EQ(unbase64(coded), plain);
  }
  EXPECT_EQ(base64(as_bytes("\xfb\xff"), Base64::url_unpadded), "-_8");
  EXPECT_EQ(unbase64("-_8", Base64::url_unpadded), "\xfb\xff");
  EXPECT_EQ(unbase64("A"), std::nullopt);
  EXPECT_EQ(unbase64("A!=="), std::nullopt);
}

TEST(Bytes, PercentEncoding) {
  EXPECT_EQ(percent_encode("a b&c#é~"), "a%20b%26c%23%C3%A9~");
  EXPECT_EQ(percent_decode("a%20b%26"), "a b&");
  EXPECT_EQ(percent_decode("%"), std::nullopt);
  EXPECT_EQ(percent_decode("%4"), std::nullopt);
  EXPECT_EQ(percent_decode("%zz"), std::nullopt);
}

TEST(Bytes, Utf8RefusesWhatTheStandardRefuses) {
  EXPECT_TRUE(is_utf8("plain, é, 漢, 😀"));
  EXPECT_FALSE(is_utf8("\xc0\xaf"));          // overlong
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));      // surrogate
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(is_utf8("\xe6\xbc"));          // cut
}

TEST(Bytes, ConstantTimeEquality) {
  EXPECT_TRUE(equal_in_constant_time("secret", "secret"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secreT"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secre"));
}

}  // namespace
}  // namespace hf
