#include "sql/mysql/migration.h"

#include "sql/mysql/mysql_test.h"

namespace hf::sql::mysql {
namespace {

TEST(AdaptDdl, EachKindOfWord) {
  const auto adapt = [](std::string_view sql) { return adapt_ddl(sql, Flavour::mysql); };
  EXPECT_EQ(adapt("CREATE INDEX i ON t (a, b)"), "CREATE INDEX i ON t (a, b)");
  EXPECT_EQ(adapt("ALTER TABLE t ADD COLUMN n INTEGER"), "ALTER TABLE t ADD COLUMN n BIGINT");
  EXPECT_EQ(
      adapt("CREATE TABLE t (text TEXT, b BLOB, i INT, v VARCHAR(9), l BIGINT DEFAULT '-INT-', \"INT\" DOUBLE)"),
      "CREATE TABLE t (text LONGTEXT, b LONGBLOB, i BIGINT, v VARCHAR(9), l BIGINT DEFAULT '-INT-', \"INT\" DOUBLE)"
      " DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
  EXPECT_EQ(adapt("DROP TABLE t"), "DROP TABLE t");
  EXPECT_EQ(adapt("INSERT INTO t VALUES ('unclosed"), "INSERT INTO t VALUES ('unclosed");
}

TEST(AdaptDdl, WhatCommitsByItself) {
  EXPECT_TRUE(is_ddl("CREATE TABLE a (x)"));
  EXPECT_TRUE(is_ddl("\n  alter table a"));
  EXPECT_TRUE(is_ddl("DROP INDEX a"));
  EXPECT_FALSE(is_ddl("INSERT INTO created VALUES (1)"));
  EXPECT_FALSE(is_ddl("UPDATE alter_ego SET x = 1"));
}

class MysqlMigrationTest : public MysqlTest {
 protected:
  void SetUp() override { ASSERT_TRUE(open()); }
  Result<void> migrate(std::vector<std::string> statements) {
    std::vector<Migration> one = {{1, "start", std::move(statements)}};
    return run(db_->migrate("shop", std::move(one)));
  }
  bool exists(const std::string& table) {
    return number("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '" +
                  table + "'") == 1;
  }
};

TEST_F(MysqlMigrationTest, AFailedMigrationGoesOnWhereItWas) {
  EXPECT_EQ(migrate({"CREATE TABLE a (x INTEGER)", "INSERT INTO a VALUES (1)", "CREATE TABLE oops ("}).error().code,
            Code::invalid);
  EXPECT_TRUE(exists("a"));
  ASSERT_TRUE(migrate({"CREATE TABLE a (x INTEGER)", "INSERT INTO a VALUES (1)", "CREATE TABLE b (x INTEGER)"}));
  EXPECT_TRUE(exists("b"));
  EXPECT_EQ(number("SELECT COUNT(*) FROM a"), 1) << "data is written with its record";
  EXPECT_EQ(number("SELECT COUNT(*) FROM hf_migration_progress WHERE name = 'shop'"), 0);
}

/// The crash between a DDL statement and its record: the statement is repeated, and finds its own work.
TEST_F(MysqlMigrationTest, DdlThatWasDoneAndNotRecorded) {
  EXPECT_FALSE(migrate({"CREATE TABLE a (x INTEGER)", "CREATE TABLE b (", "CREATE INDEX c ON b (x)"}));
  ASSERT_TRUE(another_client()->control("CREATE TABLE b (x BIGINT)"));
  EXPECT_TRUE(migrate({"CREATE TABLE a (x INTEGER)", "CREATE TABLE b (x INTEGER)", "CREATE INDEX c ON b (x)"}));
}

TEST_F(MysqlMigrationTest, SomebodyElsesTableIsAnError) {
  ASSERT_TRUE(another_client()->control("CREATE TABLE a (x BIGINT)"));
  const Result<void> done = migrate({"CREATE TABLE a (x INTEGER)"});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("shop: migration 1 \"start\""), std::string::npos) << done.error().message;
}

TEST_F(MysqlMigrationTest, ProcessesThatStartAtOnceMigrateOnce) {
  std::vector<std::unique_ptr<Database>> databases;
  for (int i = 0; i < 4; ++i) databases.push_back(*sql::open(loop_.world(), url_, dir_));
  const std::vector<Migration> tables = {
      {1, "start", {"CREATE TABLE a (x INTEGER)", "INSERT INTO a VALUES (1)", "CREATE INDEX a_x ON a (x)"}},
      {2, "more", {"CREATE TABLE b (x INTEGER)", "INSERT INTO a VALUES (2)"}}};
  int done = 0;
  auto one = [&](Database& db) -> asio::awaitable<void> {
    const Result<void> migrated = co_await db.migrate("shop", tables);
    EXPECT_TRUE(migrated) << migrated.error().to_string();
    if (migrated) ++done;
  };
  for (const auto& db : databases) asio::co_spawn(loop_.executor(), one(*db), asio::detached);
  ASSERT_TRUE(loop_.drain(60s));
  EXPECT_EQ(done, 4);
  EXPECT_EQ(number("SELECT COUNT(*) FROM a"), 2);
  for (const auto& db : databases) run(db->close());
}

TEST_F(MysqlMigrationTest, OurCollationWhateverTheDatabases) {
  ASSERT_TRUE(another_client()->control("ALTER DATABASE CHARACTER SET latin1"));
  ASSERT_TRUE(migrate({"CREATE TABLE a (x VARCHAR(10) NOT NULL PRIMARY KEY)"}));
  EXPECT_TRUE(execute("INSERT INTO a VALUES ('a'), ('A'), ('a '), ('😀')"));
}

}  // namespace
}  // namespace hf::sql::mysql
