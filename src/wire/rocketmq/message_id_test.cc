#include "wire/rocketmq/message_id.h"

#include <gtest/gtest.h>

namespace hf::wire::rocketmq {
namespace {

TEST(RocketmqMessageId, LayoutAndSequence) {
  MessageIdMaker maker({0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF});
  const WallTime now = wall_from_us((1'609'459'200LL + 0x0A0B0C0D) * 1'000'000 + 999'999);
  EXPECT_EQ(maker.next(now),
            "01"
            "0123456789AB"
            "CDEF"
            "0A0B0C0D"
            "00000000");
  EXPECT_EQ(maker.next(now),
            "01"
            "0123456789AB"
            "CDEF"
            "0A0B0C0D"
            "00000001");
  EXPECT_EQ(maker.next(now - 1h).substr(26), "00000002") << "a clock that jumps back makes no duplicate";
}

}  // namespace
}  // namespace hf::wire::rocketmq
