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

TEST(Config, AModeBringsItsRoles) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"message", {"broker", "shop", "router", "notifier", "phone", "console"}},
      {"outbox", {"broker", "shop", "inventory", "router", "notifier", "phone", "console"}},
      {"2pc", {"broker", "coordinator", "shop", "payment", "inventory", "router", "notifier", "phone", "console"}},
  };
  for (const auto& [mode, roles] : cases) {
    ConfigSources sources;
    sources.assignments = {std::string("shop.mode=") + mode};
    const auto config = load_configuration(sources);
    ASSERT_TRUE(config) << mode << ": " << config.error().message;
    EXPECT_EQ(config->roles, roles) << mode;
  }
}

TEST(Config, ARoleThatTheModeHasNotIsRefusedWithTheModesThatHaveIt) {
  ConfigSources sources;
  sources.roles = {"broker", "coordinator"};
  const auto config = load_configuration(sources);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message,
            "process.roles: shop.mode \"message\" has no role 'coordinator'; modes that have it: 2pc");
}

TEST(Config, TheServicesOfTwoPhaseCommitAreToldWhereTheOthersAre) {
  ConfigSources sources;
  sources.assignments = {"shop.mode=2pc"};
  sources.roles = {"payment"};
  auto config = load_configuration(sources);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, testing::HasSubstr("two_phase.coordinator_url"));
  sources.assignments.push_back("two_phase.coordinator_url=http://127.0.0.1:36789");
  EXPECT_TRUE(load_configuration(sources));
}

TEST(Config, BeyondLoopbackTheServicesOfTwoPhaseCommitWantASecret) {
  for (const char* role : {"coordinator", "payment", "inventory"}) {
    ConfigSources sources;
    sources.assignments = {"shop.mode=2pc", std::string(role) + ".host=0.0.0.0"};
    const auto config = load_configuration(sources);
    ASSERT_FALSE(config) << role;
    EXPECT_EQ(config.error().code, Code::denied) << role;
    EXPECT_THAT(config.error().message, testing::HasSubstr("two_phase.secret"));
    ::setenv("HF_TEST_SECRET", "s3cret", 1);
    sources.assignments.push_back("two_phase.secret=env:HF_TEST_SECRET");
    EXPECT_TRUE(load_configuration(sources)) << role;
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
