#include "base/log.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace hf {
namespace {

TEST(Log, AValueThatWouldBreakTheLineIsQuoted) {
  const std::string file = testing::TempDir() + "/hf_log_test.log";
  std::remove(file.c_str());
  log::to_file(file);
  log::info("base.test.line", {{"id", "a b\"c\n"}, {"count", 3}, {"empty", ""}});
  log::debug("base.test.hidden");
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_THAT(text.str(), testing::HasSubstr("info base.test.line id=\"a b\\\"c\\n\" count=3 empty=\"\"\n"));
  EXPECT_THAT(text.str(), testing::Not(testing::HasSubstr("hidden")));
}

TEST(Log, PhoneNumbersAreMasked) {
  EXPECT_EQ(log::mask_phone("+15551234567"), "+15*******67");
  EXPECT_EQ(log::mask_phone("+1555"), "*****");
}

}  // namespace
}  // namespace hf
