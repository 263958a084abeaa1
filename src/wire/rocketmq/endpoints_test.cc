#include "wire/rocketmq/endpoints.h"

#include <gtest/gtest.h>

namespace hf::wire::rocketmq {
namespace {

TEST(RocketmqEndpoints, Parse) {
  struct Case {
    const char* text;
    pb::AddressScheme scheme;  // unspecified: refused
    const char* want;
  };
  constexpr Case kCases[] = {
      {"127.0.0.1:8081", pb::IPv4, "127.0.0.1:8081"},
      {"http://127.0.0.1:18081", pb::IPv4, "127.0.0.1:18081"},
      {"10.0.0.1:1;10.0.0.2:2", pb::IPv4, "10.0.0.1:1;10.0.0.2:2"},
      {"10.0.0.1:1,10.0.0.2:2", pb::IPv4, "10.0.0.1:1;10.0.0.2:2"},
      {"10.0.0.1", pb::IPv4, "10.0.0.1:8081"},
      {"[::1]:8081", pb::IPv6, "[::1]:8081"},
      {"fe80::1", pb::IPv6, "[fe80::1]:8081"},
      {"mq.example.org:80", pb::DOMAIN_NAME, "mq.example.org:80"},
      {"localhost", pb::DOMAIN_NAME, "localhost:8081"},
      {"300.0.0.1:1", pb::DOMAIN_NAME, "300.0.0.1:1"},
      {"", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {":8081", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"host:", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"host:0", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"host:65536", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"host:80x", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"ho st:80", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"[::1:80", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"[::1]80x", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"a.org:1;b.org:2", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"10.0.0.1:1;[::1]:2", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
      {"10.0.0.1:1;", pb::ADDRESS_SCHEME_UNSPECIFIED, ""},
  };
  for (const Case& c : kCases) {
    const Result<pb::Endpoints> got = parse_endpoints(c.text);
    ASSERT_EQ(got.has_value(), c.scheme != pb::ADDRESS_SCHEME_UNSPECIFIED) << c.text;
    if (!got) continue;
    EXPECT_EQ(got->scheme(), c.scheme) << c.text;
    EXPECT_EQ(to_string(*got), c.want) << c.text;
  }
}

}  // namespace
}  // namespace hf::wire::rocketmq
