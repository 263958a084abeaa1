#include "app/sql_command.h"

namespace hf::app {
namespace {

TEST(SqlCommand, OnlyLooks) {
  for (const char* statement : {"", "  ;", "DELETE FROM orders", "update items set avail = 0", "drop table x",
                                "describe", "insert into x values (1)", "PRAGMA journal_mode=OFF"}) {
    const auto query = query_for(statement, true);
    ASSERT_FALSE(query) << statement;
    EXPECT_EQ(query.error().code, Code::invalid);
  }
  for (const char* statement : {"SELECT 1", " select * from orders;", "WITH a AS (SELECT 1) SELECT * FROM a"}) {
    const auto query = query_for(statement, false);
    ASSERT_TRUE(query) << statement;
    EXPECT_EQ(query->sql, statement);
  }
}

TEST(SqlCommand, DescribesATableOnEitherDatabase) {
  const auto sqlite = query_for("DESCRIBE Stock;", true), mysql = query_for("describe Stock", false);
  ASSERT_TRUE(sqlite);
  ASSERT_TRUE(mysql);
  EXPECT_EQ(sqlite->parameters, std::vector<std::string>{"Stock"});
  EXPECT_EQ(mysql->parameters, std::vector<std::string>{"Stock"});
  EXPECT_THAT(sqlite->sql, testing::HasSubstr("pragma_table_info(?)"));
  EXPECT_THAT(mysql->sql, testing::HasSubstr("information_schema.columns"));
}

}  // namespace
}  // namespace hf::app
