#include "shop/item_list.h"

#include <gtest/gtest.h>

namespace hf::shop {
namespace {

TEST(ItemList, Reads) {
  const auto items = parse_items({"1;Espresso machine;49900;1000", "2;Grinder;0;0"});
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 2U);
  EXPECT_EQ(items->at(0).name, "Espresso machine");
  EXPECT_EQ(items->at(0).price_minor, 49900);
  EXPECT_EQ(items->at(0).initial, 1000);
  EXPECT_EQ(items->at(0).available, 1000);
}

TEST(ItemList, Refuses) {
  for (const char* entry :
       {"", "1;Kettle;7900", "1;Kettle;7900;10;x", "0;Kettle;7900;10", "x;Kettle;7900;10", "1;;7900;10",
        "1;Kettle;-1;10", "1;Kettle;79.00;10", "1;Kettle;7900;-1", "1;Kettle;7900; 10"}) {
    const auto items = parse_items({entry});
    ASSERT_FALSE(items) << entry;
    EXPECT_EQ(items.error().code, Code::invalid);
    EXPECT_NE(items.error().message.find(entry), std::string::npos) << items.error().message;
  }
  EXPECT_FALSE(parse_items({"1;Kettle;7900;10", "1;Grinder;7900;10"})) << "twice";
}

}  // namespace
}  // namespace hf::shop
