#include "base/result.h"

namespace hf {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error{Code::invalid, "odd"};
  return n / 2;
}
Result<void> check(int n) {
  HF_TRY(half(n));
  return ok();
}
Result<std::string> quarter(int n) {
  HF_TRY(const int once, half(n));
  HF_TRY(const int twice, half(once));
  return std::to_string(twice);
}

TEST(Result, CarriesAValueOrAnError) {
  EXPECT_EQ(*quarter(8), "2");
  EXPECT_EQ(quarter(6).error().code, Code::invalid);
  EXPECT_TRUE(check(2));
  EXPECT_FALSE(check(3));
}

TEST(Result, AnErrorKeepsItsPlaceWhenContextIsAdded) {
  const Error inner = half(1).error();
  const Error outer = inner.with_context("counting");
  EXPECT_EQ(outer.message, "counting: odd");
  EXPECT_EQ(outer.where.line(), inner.where.line());
}

TEST(ResultDeathTest, AWrongAssumptionStopsTheProcess) { EXPECT_DEATH((void)half(1).value(), "assertion failed"); }

}  // namespace
}  // namespace hf
