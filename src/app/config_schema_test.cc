#include "app/config_schema.h"

#include <cstdlib>

namespace hf::app {
namespace {

struct Sample {
  std::uint16_t port = 8081;
  Duration wait = 6s;
  std::string name = "x";
  std::string secret;
  bool on = true;
  double rate = 0.5;
  std::vector<std::string> items{"a"};
  std::string level = "info";
};

class Schema : public testing::Test {
 protected:
  Schema() {
    schema_.section("broker", "the broker")
        .port("port", sample_.port, "where it listens")
        .duration("wait", sample_.wait, 1s, 1h, "how long")
        .text("name", sample_.name, "its name")
        .secret("secret", sample_.secret, "hidden")
        .flag("on", sample_.on, "whether")
        .real("rate", sample_.rate, 0, 1, "how often")
        .list("items", sample_.items, "which")
        .choice("level", sample_.level, {"info", "warn"}, "how loud");
  }
  Sample sample_;
  ConfigSchema schema_;
};

TEST_F(Schema, ReadsEveryKind) {
  ASSERT_TRUE(
      schema_.apply_toml("[broker]\nport = 9\nwait = \"2m\"\nname = \"n\"\non = false\nrate = 1\n"
                         "items = [\"b\", \"c\"]\nlevel = \"warn\"\n",
                         "f"));
  EXPECT_EQ(sample_.port, 9);
  EXPECT_EQ(sample_.wait, 2min);
  EXPECT_EQ(sample_.name, "n");
  EXPECT_FALSE(sample_.on);
  EXPECT_EQ(sample_.rate, 1.0);
  EXPECT_THAT(sample_.items, testing::ElementsAre("b", "c"));
  EXPECT_EQ(sample_.level, "warn");
}

TEST_F(Schema, EachMistakeNamesTheKeyAndTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"[broker]\nprot = 9\n", "f:2: broker.prot"},
      {"[borker]\nport = 9\n", "borker"},
      {"port = 9\n", "outside any"},
      {"[broker]\nport = 70000\n", "0 … 65535"},
      {"[broker]\nport = \"9\"\n", "an integer"},
      {"[broker]\nwait = \"2\"\n", "duration"},
      {"[broker]\nwait = \"2h\"\n", "1s … 1h"},
      {"[broker]\nlevel = \"loud\"\n", "one of info, warn"},
      {"[broker]\nitems = [1]\n", "lists hold texts"},
      {"[broker]\nport = \n", "f:2"},
      {"[broker]\nsecret = \"plain\"\n", "env:NAME"},
      {"[broker]\nsecret = \"env:HF_NOT_THERE\"\n", "HF_NOT_THERE"},
  };
  for (const auto& [text, want] : cases) {
    const auto result = schema_.apply_toml(text, "f");
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Code::invalid);
    EXPECT_THAT(result.error().message, testing::HasSubstr(want)) << text;
  }
}

TEST_F(Schema, AnAssignmentTakesTomlOrBareText) {
  ASSERT_TRUE(schema_.apply_assignment("broker.port=17"));
  ASSERT_TRUE(schema_.apply_assignment("broker.name=plain"));
  ASSERT_TRUE(schema_.apply_assignment("broker.wait=5s"));
  EXPECT_EQ(sample_.port, 17);
  EXPECT_EQ(sample_.name, "plain");
  EXPECT_EQ(sample_.wait, 5s);
  EXPECT_FALSE(schema_.apply_assignment("port=17"));
  EXPECT_FALSE(schema_.apply_assignment("broker.port"));
}

TEST_F(Schema, WhatItExplainsCanBeReadBackAndHidesSecrets) {
  ::setenv("HF_TEST_SECRET", "sesame", 1);
  ASSERT_TRUE(schema_.apply_assignment("broker.secret=env:HF_TEST_SECRET"));
  EXPECT_EQ(sample_.secret, "sesame");
  const std::string text = schema_.explain();
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("sesame")));
  EXPECT_THAT(text, testing::HasSubstr("wait = \"6s\""));
  sample_.secret.clear();
  EXPECT_TRUE(schema_.apply_toml(schema_.explain(), "explained"));
}

}  // namespace
}  // namespace hf::app
