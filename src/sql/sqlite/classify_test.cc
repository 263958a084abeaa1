#include "sql/sqlite/classify.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

namespace hf::sql::sqlite {
namespace {

struct Case {
  const char* what;
  int code;
  Code want;
  bool ends_writing;
};
constexpr Case kCases[] = {
    {"the row is already there", SQLITE_CONSTRAINT_PRIMARYKEY, Code::conflict, false},
    {"the unique value is already there", SQLITE_CONSTRAINT_UNIQUE, Code::conflict, false},
    {"the parent is missing", SQLITE_CONSTRAINT_FOREIGNKEY, Code::conflict, false},
    {"a check does not hold", SQLITE_CONSTRAINT_CHECK, Code::conflict, false},
    {"a value is missing", SQLITE_CONSTRAINT_NOTNULL, Code::invalid, false},
    {"somebody writes", SQLITE_BUSY, Code::unavailable, false},
    {"the snapshot is too old", SQLITE_BUSY_SNAPSHOT, Code::unavailable, false},
    {"locked inside the process", SQLITE_LOCKED_SHAREDCACHE, Code::unavailable, false},
    {"disk full", SQLITE_FULL, Code::exhausted, false},
    {"no memory", SQLITE_NOMEM, Code::exhausted, false},
    {"no memory, found while reading", SQLITE_IOERR_NOMEM, Code::exhausted, false},
    {"read-only file", SQLITE_READONLY, Code::denied, false},
    {"read-only folder", SQLITE_READONLY_DIRECTORY, Code::denied, false},
    {"cannot open", SQLITE_CANTOPEN_ISDIR, Code::unavailable, false},
    {"damaged page", SQLITE_CORRUPT, Code::corrupt, true},
    {"damaged index", SQLITE_CORRUPT_INDEX, Code::corrupt, true},
    {"not a database", SQLITE_NOTADB, Code::corrupt, true},
    {"fsync failed", SQLITE_IOERR_FSYNC, Code::unavailable, true},
    {"fsync of the folder failed", SQLITE_IOERR_DIR_FSYNC, Code::unavailable, true},
    {"write failed", SQLITE_IOERR_WRITE, Code::unavailable, true},
    {"read failed", SQLITE_IOERR_READ, Code::unavailable, true},
    {"the file system is damaged", SQLITE_IOERR_CORRUPTFS, Code::corrupt, true},
    {"SQL that does not parse", SQLITE_ERROR, Code::invalid, false},
    {"value too long", SQLITE_TOOBIG, Code::invalid, false},
    {"misuse of the library", SQLITE_MISUSE, Code::internal, false},
};

TEST(Classify, Table) {
  for (const Case& c : kCases) {
    EXPECT_EQ(classify(c.code), c.want) << c.what;
    EXPECT_EQ(ends_writing(c.code), c.ends_writing) << c.what;
  }
}

}  // namespace
}  // namespace hf::sql::sqlite
