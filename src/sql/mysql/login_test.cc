#include "sql/mysql/login.h"

#include <gtest/gtest.h>

namespace hf::sql::mysql {
namespace {

struct NameCase {
  const char *what, *name, *tenant, *cluster;
  const char* proxy;   ///< what goes to the proxy; "" is refused
  const char* direct;  ///< and to a server
};
constexpr NameCase kNames[] = {
    {"plain", "shop", "", "", "shop", "shop"},
    {"with tenant", "shop@t1", "", "", "shop@t1", "shop@t1"},
    {"with tenant and cluster", "shop@t1#c1", "", "", "shop@t1#c1", ""},
    {"colons", "c1:t1:shop", "", "", "shop@t1#c1", ""},
    {"dashes are the proxy's business", "c1-t1-shop", "", "", "c1-t1-shop", "c1-t1-shop"},
    {"dots, too", "c1.t1.shop", "", "", "c1.t1.shop", "c1.t1.shop"},
    {"keys", "shop", "t1", "c1", "shop@t1#c1", ""},
    {"tenant key", "shop", "t1", "", "shop@t1", "shop@t1"},
    {"cluster key", "shop@t1", "", "c1", "shop@t1#c1", ""},
    {"keys that agree", "shop@t1#c1", "t1", "c1", "shop@t1#c1", ""},
    {"another tenant", "shop@t1", "t2", "", "", ""},
    {"another cluster", "c1:t1:shop", "", "c2", "", ""},
    {"cluster without tenant", "shop", "", "c1", "", ""},
    {"no user", "@t1", "", "", "", ""},
    {"no user after colons", "c1:t1:", "", "", "", ""},
    {"no tenant", "shop@", "", "", "", ""},
    {"no tenant before cluster", "shop@#c1", "", "", "", ""},
    {"no cluster", "shop@t1#", "", "", "", ""},
    {"nothing", "", "", "", "", ""},
    {"one colon is a plain name", "a:b", "", "", "a:b", "a:b"},
};

std::string name_on(const NameCase& c, Route route) {
  const Result<LoginName> login = parse_login_name(c.name, c.tenant, c.cluster);
  if (!login) return "";
  return wire_name(*login, route).value_or("");
}

TEST(MysqlLogin, Names) {
  for (const NameCase& c : kNames) {
    EXPECT_EQ(name_on(c, Route::proxy), c.proxy) << c.what;
    EXPECT_EQ(name_on(c, Route::direct), c.direct) << c.what;
  }
}

TEST(MysqlLogin, TheClusterOnADirectRouteIsExplained) {
  const Result<std::string> name = wire_name({"shop", "t1", "c1"}, Route::direct);
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code, Code::invalid);
  EXPECT_NE(name.error().message.find("#c1"), std::string::npos);
}

TEST(MysqlLogin, RouteByPortOrWord) {
  EXPECT_EQ(*parse_route("", 2881), Route::direct);
  EXPECT_EQ(*parse_route("", 2883), Route::proxy);
  EXPECT_EQ(*parse_route("", 3306), Route::proxy);
  EXPECT_EQ(*parse_route("proxy", 2881), Route::proxy);
  EXPECT_EQ(*parse_route("direct", 2883), Route::direct);
  EXPECT_EQ(parse_route("both", 2883).error().code, Code::invalid);
}

struct KeyCase {
  const char *key, *value;
  bool good;
};
constexpr KeyCase kKeys[] = {
    {"isolation", "read-committed", true},
    {"isolation", "repeatable-read", true},
    {"isolation", "serializable", true},
    {"isolation", "read-uncommitted", false},
    {"isolation", "READ COMMITTED", false},
    {"lock_timeout_ms", "500", true},
    {"lock_timeout_ms", "0", false},
    {"lock_timeout_ms", "-1", false},
    {"lock_timeout_ms", "5s", false},
    {"lock_timeout_ms", "", false},
    {"statement_timeout_ms", "99", false},
    {"transaction_timeout_ms", "3600000", true},
    {"transaction_timeout_ms", "3600001", false},
    {"idle_timeout_ms", "99999", false},
    {"idle_timeout_ms", "99999999999999999999", false},
};
TEST(MysqlLogin, SessionKeys) {
  for (const KeyCase& c : kKeys) {
    SessionOptions options;
    const Result<bool> taken = options.set(c.key, c.value);
    EXPECT_EQ(taken.has_value(), c.good) << c.key << "=" << c.value;
    if (!taken) EXPECT_EQ(taken.error().code, Code::invalid);
  }
  SessionOptions options;
  for (const char* key : {"writers", "read_consistency", "ob_read_consistency", ""})
    EXPECT_FALSE(*options.set(key, "1"));
}

std::string all(Flavour flavour, const SessionOptions& options) {
  std::string text;
  for (const std::string& statement : session_settings(flavour, options)) text += statement + "\n";
  return text;
}

TEST(MysqlLogin, OceanBaseIsToldEveryVariable) {
  SessionOptions options;
  ASSERT_TRUE(options.set("statement_timeout_ms", "5000"));
  EXPECT_EQ(all(Flavour::oceanbase, options),
            "SET NAMES utf8mb4\n"
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED\n"
            "SET autocommit = 1, time_zone = '+00:00', sql_mode = "
            "'STRICT_ALL_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT', ob_query_timeout = 5000000, "
            "ob_trx_timeout = 30000000, ob_trx_idle_timeout = 100000000, ob_trx_lock_timeout = 1000000, "
            "ob_read_consistency = 'STRONG'\n");
}

TEST(MysqlLogin, MariaDbRefusesWritesBehindASnapshotOnlyInRepeatableRead) {
  const auto asked_for = [](Isolation isolation) {
    return all(Flavour::mariadb, {.isolation = isolation}).find("innodb_snapshot_isolation = ON") != std::string::npos;
  };
  EXPECT_FALSE(asked_for(Isolation::read_committed));
  EXPECT_TRUE(asked_for(Isolation::repeatable_read));
  EXPECT_FALSE(asked_for(Isolation::serializable));
}

TEST(MysqlLogin, NoSessionReadsWhatIsNotCommittedOrOld) {
  for (const Flavour flavour : {Flavour::mysql, Flavour::mariadb, Flavour::oceanbase}) {
    for (const Isolation isolation : {Isolation::read_committed, Isolation::repeatable_read, Isolation::serializable}) {
      const std::string text = all(flavour, {.isolation = isolation});
      EXPECT_EQ(text.find("UNCOMMITTED"), std::string::npos);
      EXPECT_EQ(text.find("WEAK"), std::string::npos);
      EXPECT_NE(text.find(std::string(to_string(isolation))), std::string::npos);
      EXPECT_NE(text.find("autocommit = 1"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace hf::sql::mysql
