#include "app/local_stores.h"

#include <signal.h>
#include <stdlib.h>

#include <filesystem>

#include "app/data_layout.h"
#include "sql/database.h"
#include "sys/files.h"
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

Task<> use_and_borrow(sys::World world, Config config) {
  const Config at_rest = config;
  Config beside = config;
  LocalStores servers(world), command(world), later(world);
  HF_CO_TRY(co_await servers.start(config));
  EXPECT_THAT(config.payment_database, testing::StartsWith("mysql://root@localhost/payment?socket="));
  EXPECT_EQ(config.shop_database, "sqlite:shop.db");
  HF_CO_TRY(co_await command.borrow(beside));
  EXPECT_EQ(beside.payment_database, config.payment_database);
  EXPECT_EQ(command.running(), 0U) << "they run already";
  co_await command.stop();
  co_await servers.stop();
  Config resting = at_rest;
  HF_CO_TRY(co_await later.borrow(resting));
  EXPECT_EQ(later.running(), 2U) << "nobody ran them";
  auto opened = sql::open(world, resting.inventory_database, "");
  EXPECT_TRUE(opened);
  if (opened) co_await (*opened)->close();
  co_await later.stop();
  co_return ok();
}

TEST_F(DataFolder, CommandsUseTheServersOfAnotherProcessOrStartThem) {
  auto config = load_configuration(sources("2pc", "mariadb"));
  ASSERT_TRUE(config);
  const Result<void> done = loop_.run_until_done(use_and_borrow(loop_.world(), std::move(*config)));
  EXPECT_TRUE(done) << done.error().message;
}

Task<> kill_one(sys::World world, Config config) {
  LocalStores servers(world);
  HF_CO_TRY(co_await servers.start(config));
  const auto pid = sys::read_file(world.files, config.data + "/mariadb/all/pid");
  EXPECT_TRUE(pid);
  ::kill(static_cast<pid_t>(std::stol(*pid)), SIGKILL);
  const Monotonic limit = world.clock.now() + 60s;
  while (servers.trouble().empty() && world.clock.now() < limit) co_await world.clock.sleep_for(1ms);
  EXPECT_TRUE(servers.trouble().contains("all"));
  while (!servers.trouble().empty() && world.clock.now() < limit) co_await world.clock.sleep_for(1ms);
  EXPECT_TRUE(servers.trouble().empty());
  auto opened = sql::open(world, config.shop_database, "");
  EXPECT_TRUE(opened);
  if (opened) co_await (*opened)->close();
  co_await servers.stop();
  co_return ok();
}

TEST_F(DataFolder, AServerThatDiesIsReportedAndStartedAgain) {
  auto config = load_configuration(sources("message", "mariadb"));
  ASSERT_TRUE(config);
  const Result<void> done = loop_.run_until_done(kill_one(loop_.world(), std::move(*config)));
  EXPECT_TRUE(done) << done.error().message;
}

}  // namespace
}  // namespace hf::app
