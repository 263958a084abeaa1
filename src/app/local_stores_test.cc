#include "app/local_stores.h"

#include <stdlib.h>

#include <filesystem>

#include "app/data_layout.h"
#include "sys/loop.h"

namespace hf::app {
namespace {

Config config_of(std::vector<std::string> assignments) {
  ConfigSources sources;
  sources.assignments = std::move(assignments);
  auto config = load_configuration(sources);
  EXPECT_TRUE(config) << config.error().message;
  return std::move(*config);
}

TEST(LocalStores, EachModeHasItsServers) {
  using Plans = std::vector<LocalServerPlan>;
  const struct {
    std::vector<std::string> assignments;
    Plans want;
  } cases[] = {
      {{}, {}},
      {{"shop.mode=2pc"}, {}},
      {{"process.store=mariadb"}, {{"all", {"notifier", "phone", "router", "shop"}}}},
      {{"process.store=mariadb", "shop.mode=outbox"}, {{"all", {"inventory", "notifier", "phone", "router", "shop"}}}},
      {{"process.store=mariadb", "shop.mode=2pc"}, {{"payment", {"payment"}}, {"inventory", {"inventory"}}}},
      {{"process.store=mariadb-all", "shop.mode=2pc"},
       {{"payment", {"payment"}},
        {"inventory", {"inventory"}},
        {"all", {"coordinator", "notifier", "phone", "router", "shop"}}}},
      {{"process.store=mariadb", "shop.mode=2pc", "payment.database=mysql://u@h/db"}, {{"inventory", {"inventory"}}}},
  };
  for (const auto& c : cases) {
    Config config = config_of(c.assignments);
    EXPECT_EQ(plan_local_servers(config), c.want) << testing::PrintToString(c.assignments);
  }
}

class DataFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "hf-layout-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  ConfigSources sources(std::string shop, std::string store) {
    ConfigSources sources;
    sources.data = folder_;
    sources.shop = std::move(shop);
    sources.store = std::move(store);
    return sources;
  }
  sys::Loop loop_;
  std::string folder_;
};

TEST_F(DataFolder, IsWhatItWasMadeFor) {
  const auto outbox = load_configuration(sources("outbox", "sqlite"));
  ASSERT_TRUE(outbox);
  ASSERT_TRUE(check_layout(loop_.world(), *outbox));
  ASSERT_TRUE(claim_layout(loop_.world(), *outbox));
  EXPECT_TRUE(check_layout(loop_.world(), *outbox));
  const auto other = load_configuration(sources("2pc", "sqlite"));
  ASSERT_TRUE(other);
  const auto refused = check_layout(loop_.world(), *other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::conflict);
  const auto beside = load_configuration_beside(loop_.world(), sources("", ""));
  ASSERT_TRUE(beside) << beside.error().message;
  EXPECT_EQ(beside->mode, ShopMode::outbox);
}

TEST_F(DataFolder, CommandsFindTheLocalServersOfAnotherProcess) {
  const auto config = load_configuration(sources("2pc", "mariadb"));
  ASSERT_TRUE(config);
  ASSERT_TRUE(claim_layout(loop_.world(), *config));
  EXPECT_EQ(load_configuration_beside(loop_.world(), sources("", "")).error().code, Code::unavailable);
  for (const char* server : {"payment", "inventory"}) {
    const std::string folder = folder_ + "/mariadb/" + server;
    ASSERT_TRUE(loop_.world().files.make_dirs(folder));
    ASSERT_TRUE(sys::replace_file(loop_.world().files, folder + "/url", "mysql://root@localhost/{store}?socket=/s"));
  }
  const auto beside = load_configuration_beside(loop_.world(), sources("", ""));
  ASSERT_TRUE(beside) << beside.error().message;
  EXPECT_EQ(beside->payment_database, "mysql://root@localhost/payment?socket=/s");
  EXPECT_EQ(beside->shop_database, "sqlite:shop.db");
}

}  // namespace
}  // namespace hf::app
