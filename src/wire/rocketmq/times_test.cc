#include "wire/rocketmq/times.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace hf::wire::rocketmq {
namespace {

TEST(RocketmqTimes, RoundTrips) {
  for (const Duration d : {Duration(0), Duration(1), Duration(1500ms), Duration(-1500ms), Duration(12h)}) {
    google::protobuf::Duration wire;
    to_proto(d, wire);
    EXPECT_EQ(from_proto(wire), d);
  }
  for (const std::int64_t us : {0LL, 1LL, -1LL, -1'500'000LL, 1'795'000'000'123'456LL}) {
    google::protobuf::Timestamp wire;
    to_proto(wall_from_us(us), wire);
    EXPECT_GE(wire.nanos(), 0);
    EXPECT_EQ(to_us(from_proto(wire)), us);
  }
}

TEST(RocketmqTimes, AbsurdValuesStayInRange) {
  google::protobuf::Duration d;
  for (const std::int64_t s : {INT64_MAX, INT64_MIN}) {
    d.set_seconds(s);
    d.set_nanos(INT32_MAX);
    EXPECT_LE(from_proto(d), kDurationMax);
    EXPECT_GE(from_proto(d), -kDurationMax);
  }
  google::protobuf::Timestamp t;
  t.set_seconds(INT64_MAX);
  t.set_nanos(-7);
  EXPECT_EQ(to_rfc3339(from_proto(t)).substr(0, 10), "9999-12-31");
  t.set_seconds(INT64_MIN);
  EXPECT_LT(to_us(from_proto(t)), 0);
}

}  // namespace
}  // namespace hf::wire::rocketmq
