#pragma once

/// For the tests of SQLite as a substrate.

#include "sql/test_database.h"

namespace hf::sql {

class SqlTest : public DatabaseTest {
 protected:
  SqlTest() : DatabaseTest("sqlite:test.db") {}
  std::string file() const { return dir_ + "/test.db"; }
};

}  // namespace hf::sql
