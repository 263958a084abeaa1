#include "sys/random.h"

namespace hf::sys {
namespace {

TEST(Random, TheSameSeedGivesTheSameNumbers) {
  SeededRandom a(7), b(7), c(8);
  EXPECT_EQ(a.hex(24), b.hex(24));
  EXPECT_NE(a.u64(), c.u64());
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  SeededRandom random(1);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(7));
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_EQ(*seen.rbegin(), 6u);
}

TEST(Random, UuidsHaveTheirFormAndDiffer) {
  RealRandom random;
  const std::string id = random.uuid();
  EXPECT_THAT(id, testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_NE(id, random.uuid());
}

}  // namespace
}  // namespace hf::sys
