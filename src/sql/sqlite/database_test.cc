#include "sql/sqlite/test_world.h"

namespace hf::sql {
namespace {

TEST_F(SqlTest, AFailedMigrationLeavesNothing) {
  ASSERT_TRUE(open());
  const std::vector<Migration> broken = {{1, "start", {"CREATE TABLE a (x)", "CREATE TABLE oops ("}}};
  EXPECT_EQ(loop_.run_until_done(db_->migrate("shop", broken)).error().code, Code::invalid);
  EXPECT_EQ(number("SELECT count(*) FROM sqlite_schema WHERE name = 'a'"), 0);
}

TEST_F(SqlTest, StatementsThatChangeNothingCountNothing) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute("CREATE TABLE a (x)"));
  ASSERT_TRUE(execute("INSERT INTO a VALUES (1)"));
  EXPECT_EQ(*execute("CREATE TABLE b (x)"), 0);
}

TEST_F(SqlTest, UrlsThatAreNotOurs) {
  const auto code = [this](const char* url) { return open(url).error(); };
  EXPECT_EQ(code("postgres://x").code, Code::invalid);
  EXPECT_EQ(code("sqlite:").code, Code::invalid);
  EXPECT_EQ(code("sqlite:a.db?mode=rw").code, Code::invalid);
  ASSERT_TRUE(open("sqlite://" + dir_ + "/sub/folder/a.db"));
  EXPECT_EQ(db_->url(), "sqlite:" + dir_ + "/sub/folder/a.db");
}

}  // namespace
}  // namespace hf::sql
