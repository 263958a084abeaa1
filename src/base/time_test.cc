#include "base/time.h"

namespace hf {
namespace {

// 2026-11-21 09:13:05.123456 UTC, a Saturday
const WallTime kAt = wall_from_us(1'795'252'385'123'456);

TEST(Time, Formats) {
  EXPECT_EQ(to_rfc3339(kAt), "2026-11-21T09:13:05.123456Z");
  EXPECT_EQ(to_rfc3339_seconds(kAt), "2026-11-21T09:13:05Z");
  EXPECT_EQ(to_basic_iso8601(kAt), "20261121T091305Z");
  EXPECT_EQ(to_rfc2822(kAt), "Sat, 21 Nov 2026 09:13:05 +0000");
}

TEST(Time, ParsesWhatItPrints) {
  EXPECT_EQ(*from_rfc3339("2026-11-21T09:13:05.123456Z"), kAt);
  EXPECT_EQ(*from_rfc3339("2026-11-21T11:13:05.123456+02:00"), kAt);
  EXPECT_EQ(*from_basic_iso8601("20261121T091305Z"), wall_from_us(1'795'252'385'000'000));
  for (const char* bad : {"", "2026-11-21", "2026-13-21T09:13:05Z", "2026-02-30T00:00:00Z", "2026-11-21T09:13:05",
                          "2026-11-21T09:13:05Zx", "2026-11-21T25:13:05Z"}) {
    EXPECT_FALSE(from_rfc3339(bad)) << bad;
  }
  EXPECT_FALSE(from_basic_iso8601("20261121T091305"));
}

TEST(Time, Durations) {
  EXPECT_EQ(*parse_duration("250ms"), 250ms);
  EXPECT_EQ(*parse_duration("24h"), 24h);
  for (const char* bad : {"", "5", "s", "-5s", "5 s", "5x", "99999999999999999d"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
  for (const Duration d : {Duration(0s), Duration(250ms), Duration(90s), Duration(48h)}) {
    EXPECT_EQ(*parse_duration(format_duration(d)), d);
  }
  EXPECT_EQ(format_duration(90s), "90s");
}

}  // namespace
}  // namespace hf
