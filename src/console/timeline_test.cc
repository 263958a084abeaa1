#include "console/timeline.h"

namespace hf::console {
namespace {

TEST(Timeline, HopsAreSortedByTimeAndPrintedFromTheFirst) {
  Timeline timeline;
  timeline.add(1'795'252'385'002'500, "router", "event matched", "rule sms");
  timeline.add(1'795'252'385'000'000, "shop", "order received");
  EXPECT_EQ(timeline.print(),
            "time (UTC)          ms  where   what\n"
            "09:13:05.000000  0.000  shop    order received\n"
            "09:13:05.002500  2.500  router  event matched   rule sms\n");
}

TEST(Timeline, AHopWithoutATimeStaysBehindTheOneBeforeIt) {
  Timeline timeline;
  timeline.add(20, "b", "second");
  timeline.add(0, "b", "third");
  timeline.add(10, "a", "first");
  const auto hops = timeline.hops();
  EXPECT_EQ(hops[0].what, "first");
  EXPECT_EQ(hops[2].what, "third");
}

}  // namespace
}  // namespace hf::console
