#include "console/spans.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

namespace hf::console {
namespace {

TEST(Spans, ParallelCallsOfATransactionAreSeen) {
  const auto story = boost::json::parse(R"({"story":[
      {"at_us":100,"what":"begin"},
      {"at_us":1000,"what":"prepare","participant":"payment"},
      {"at_us":1010,"what":"prepare","participant":"inventory"},
      {"at_us":3000,"what":"vote","participant":"payment","detail":"prepared"},
      {"at_us":4000,"what":"silent","participant":"inventory"},
      {"at_us":5000,"what":"notify","participant":"payment"},
      {"at_us":6000,"what":"not-acknowledged","participant":"payment"},
      {"at_us":7000,"what":"acknowledged","participant":"payment"}]})");
  const auto trace = boost::json::parse(R"({"steps":[
      {"name":"begin","begun_at_us":50,"ended_at_us":100},
      {"name":"payment.pay","request":"POST /payment/pay","begun_at_us":200,"ended_at_us":700},
      {"name":"inventory.updateStock","request":"POST /x","begun_at_us":210,"ended_at_us":800}]})");
  std::vector<Span> spans = spans_of_trace(trace);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_TRUE(overlap(spans[0], spans[1]));
  for (Span& span : spans_of_story(story)) spans.push_back(span);
  ASSERT_EQ(spans.size(), 5U);
  EXPECT_EQ(spans[2].what, "prepare payment");
  EXPECT_EQ(spans[2].ended_us, 3000);
  EXPECT_TRUE(overlap(spans[2], spans[3])) << "both are asked at once";
  EXPECT_EQ(spans[4].what, "notify payment");
  EXPECT_EQ(spans[4].ended_us, 7000);
  EXPECT_FALSE(overlap(spans[2], spans[4]));
  const auto json = to_json(spans);
  EXPECT_EQ(json.at(0).at("overlaps").at(0).as_string(), "inventory.updateStock");
  const std::string text = print(spans);
  EXPECT_NE(text.find("0.000  0.500  shop         payment.pay"), std::string::npos) << text;
  EXPECT_EQ(print({}), "");
}

TEST(Spans, WhatIsMissingIsNoSpan) {
  EXPECT_TRUE(spans_of_story(boost::json::parse("{}")).empty());
  EXPECT_TRUE(spans_of_trace(boost::json::parse(R"({"steps":"?"})")).empty());
}

}  // namespace
}  // namespace hf::console
