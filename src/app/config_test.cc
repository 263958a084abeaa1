#include "app/config_file.h"

namespace hf::app {
namespace {

TEST(Config, TheDefaultsAreRightAndExplainThemselves) {
  const auto config = load_configuration({});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->broker.topics.front().name, "ecommerce-orders");
  EXPECT_EQ(config->broker.topics.front().type, broker::TopicType::transaction);
  EXPECT_EQ(config->router.account_sid, config->notifier.account_sid);
  const auto text = explain_configuration({});
  ASSERT_TRUE(text);
  for (const char* key : {"[broker]", "[shop]", "[router]", "[notifier]", "[phone]", "[console]", "first_check"}) {
    EXPECT_THAT(*text, testing::HasSubstr(key));
  }
}

TEST(Config, BeyondLoopbackNobodyListensWithoutAuthentication) {
  for (const char* role : {"broker", "shop", "router", "notifier", "phone", "console"}) {
    ConfigSources sources;
    sources.assignments = {std::string(role) + ".host=0.0.0.0"};
    const auto config = load_configuration(sources);
    ASSERT_FALSE(config) << role;
    EXPECT_EQ(config.error().code, Code::denied) << role;
  }
}

TEST(Config, WhatSpansKeysIsChecked) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases = {
      {{"process.roles=[\"broker\", \"brokr\"]"}, "brokr"}, {{"process.roles=[\"shop\"]"}, "embedded:"},
      {{"broker.topics=[\"a:FIFO\"]"}, "a:FIFO"},           {{"broker.access_key=k"}, "go together"},
      {{"router.topics=[\"only-a-name\"]"}, "only-a-name"}, {{"notifier.looks=[\"soon\"]"}, "soon"},
  };
  for (const auto& [assignments, want] : cases) {
    ConfigSources sources;
    sources.assignments = assignments;
    const auto config = load_configuration(sources);
    ASSERT_FALSE(config) << assignments[0];
    EXPECT_THAT(config.error().message, testing::HasSubstr(want));
  }
}

TEST(Config, TheWindowProfileParksAfterFifteenSeconds) {
  ConfigSources sources;
  sources.assignments = {"broker.check_profile=window-15s"};
  const auto config = load_configuration(sources);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->broker.check_back.park_after, 15s);
}

}  // namespace
}  // namespace hf::app
