#include "net/crypto.h"

#include "base/bytes.h"

namespace hf::net {
namespace {

std::string hex_of(const std::string& raw) { return hex(as_bytes(raw)); }

TEST(Crypto, Sha256MatchesFips180) {
  EXPECT_EQ(hex_of(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Crypto, Md5MatchesRfc1321) { EXPECT_EQ(hex_of(md5("abc")), "900150983cd24fb0d6963f7d28e17f72"); }

TEST(Crypto, HmacSha256MatchesRfc4231) {
  EXPECT_EQ(hex_of(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_of(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Crypto, HmacSha1MatchesRfc2202) {
  EXPECT_EQ(hex_of(hmac_sha1("Jefe", "what do ya want for nothing?")), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(Crypto, AnEmptyKeyIsAKeyAndNotTheLastOne) {
  (void)hmac_sha256("some other key", "x");
  EXPECT_EQ(hex_of(hmac_sha256(std::string_view(), "")),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

}  // namespace
}  // namespace hf::net
