#include "sql/mysql/settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <fstream>

namespace hf::sql::mysql {
namespace {

using std::chrono::milliseconds;

Settings good(const std::string& url) {
  Result<Settings> settings = parse_url(url);
  EXPECT_TRUE(settings) << url << ": " << settings.error().to_string();
  return settings ? *settings : Settings{};
}

TEST(MysqlSettings, TheWholeUrl) {
  const Settings s = good(
      "mysql://shop:s3cret@db.example:3307/orders?writers=4&readers=8&branches=64&isolation=serializable&tls=verify&"
      "tls_ca=/etc/ca.pem&create=1&mode=ro&flavour=mysql&statement_timeout_ms=2000&lock_timeout_ms=1500&"
      "connect_timeout_ms=1000&answer_timeout_ms=20000&resolve_timeout_ms=5000");
  EXPECT_EQ(s.user, "shop");
  EXPECT_EQ(s.password, "s3cret");
  EXPECT_EQ(s.host, "db.example");
  EXPECT_EQ(s.port, 3307);
  EXPECT_EQ(s.database, "orders");
  EXPECT_EQ(s.writers, 4U);
  EXPECT_EQ(s.readers, 8U);
  EXPECT_EQ(s.branches, 64U);
  EXPECT_EQ(s.session.isolation, Isolation::serializable);
  EXPECT_EQ(s.tls, Tls::verify);
  EXPECT_EQ(s.tls_ca, "/etc/ca.pem");
  EXPECT_TRUE(s.create);
  EXPECT_EQ(s.access, Access::read);
  EXPECT_EQ(s.flavour, Flavour::mysql);
  EXPECT_EQ(s.session.statement_timeout, milliseconds(2000));
  EXPECT_EQ(s.session.lock_timeout, milliseconds(1500));
  EXPECT_EQ(s.connect_timeout, milliseconds(1000));
  EXPECT_EQ(s.answer_timeout, milliseconds(20000));
  EXPECT_EQ(s.resolve_timeout, milliseconds(5000));
  EXPECT_EQ(s.display(), "mysql://shop@db.example:3307/orders");
}

TEST(MysqlSettings, Defaults) {
  const Settings s = good("mysql://root@localhost/shop?socket=/run/my%20sql.sock");
  EXPECT_EQ(s.socket, "/run/my sql.sock");
  EXPECT_EQ(s.password, "");
  EXPECT_EQ(s.writers, 1U);
  EXPECT_EQ(s.session.isolation, Isolation::read_committed);
  EXPECT_EQ(s.access, Access::write);
  EXPECT_FALSE(s.create);
  EXPECT_FALSE(s.flavour.has_value());
  EXPECT_EQ(s.display(), "mysql://root@localhost/shop?socket=/run/my sql.sock");
  EXPECT_EQ(good("mysql://a@[::1]:3300/b").host, "::1");
  EXPECT_EQ(good("mysql://a@[::1]:3300/b").display(), "mysql://a@[::1]:3300/b");
}

TEST(MysqlSettings, OceanBaseLogins) {
  EXPECT_EQ(good("mysql://app%40tenant%23cluster:pw@proxy:2883/shop").user, "app@tenant#cluster");
  EXPECT_EQ(good("mysql://app@tenant#cluster:pw@proxy:2883/shop").user, "app@tenant#cluster");
  EXPECT_EQ(good("mysql://app@proxy:2883/shop?tenant=t&cluster=c").user, "app@t#c");
  EXPECT_EQ(good("mysql://app@server:2881/shop?tenant=t").user, "app@t");
  EXPECT_EQ(parse_url("mysql://app@server:2881/shop?tenant=t&cluster=c").error().code, Code::invalid);
}

TEST(MysqlSettings, PasswordsThatStandElsewhere) {
  ::setenv("HF_TEST_PASSWORD", "from env", 1);
  EXPECT_EQ(good("mysql://a:env:HF_TEST_PASSWORD@h/d").password, "from env");
  ::unsetenv("HF_TEST_PASSWORD");
  EXPECT_EQ(parse_url("mysql://a:env:HF_TEST_PASSWORD@h/d").error().code, Code::not_found);
  char name[] = "/tmp/hf_password_XXXXXX";
  ::close(::mkstemp(name));
  std::ofstream(name) << "from a file\n";
  EXPECT_EQ(good(std::string("mysql://a:file:") + name + "@h/d").password, "from a file");
  std::remove(name);
  EXPECT_EQ(parse_url(std::string("mysql://a:file:") + name + "@h/d").error().code, Code::not_found);
  EXPECT_EQ(good("mysql://a:p%3aw%40d@x@h/d").password, "p:w@d@x");
}

TEST(MysqlSettings, WhatIsRefused) {
  for (const char* url : {"mysql:/a@b/c",
                          "mysql://localhost/shop",
                          "mysql://a@b",
                          "mysql://@b/c",
                          "mysql://a@/c",
                          "mysql://a@b/",
                          "mysql://a@b/c;drop",
                          "mysql://a@b/c`",
                          "mysql://a@b:0/c",
                          "mysql://a@b:70000/c",
                          "mysql://a@b:x/c",
                          "mysql://a%4@b/c",
                          "mysql://a@[::1/c",
                          "mysql://a@[::1]x/c",
                          "mysql://a@b/c?writers=0",
                          "mysql://a@b/c?writers=65",
                          "mysql://a@b/c?writers",
                          "mysql://a@b/c?isolation=read-uncommitted",
                          "mysql://a@b/c?isolation=x",
                          "mysql://a@b/c?mode=rx",
                          "mysql://a@b/c?tls=maybe",
                          "mysql://a@b/c?flavour=oracle",
                          "mysql://a@b/c?nonsense=1",
                          "mysql://a@b/c?answer_timeout_ms=10000",
                          "mysql://a@b/c?lock_timeout_ms=-1"}) {
    const Result<Settings> settings = parse_url(url);
    EXPECT_FALSE(settings) << url;
    if (!settings) EXPECT_EQ(settings.error().code, Code::invalid) << url;
  }
}

TEST(MysqlSettings, ErrorsDoNotTellThePassword) {
  for (const char* url : {"mysql://a:s3cret@b/c?writers=0", "mysql://a:s3cret@b", "mysql://a:s3cret@b:x/c"}) {
    EXPECT_EQ(parse_url(url).error().message.find("s3cret"), std::string::npos) << url;
  }
}

}  // namespace
}  // namespace hf::sql::mysql
