/// What happens at each isolation level, on a real MariaDB and on SQLite. Prints the table, and asserts it.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "anomalies/probes.h"
#include "base/assert.h"

namespace hf::anomalies {
namespace {

class Levels : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    char name[] = "/tmp/hf_levels_XXXXXX";
    folder = ::mkdtemp(name);
    std::string problem;
    mariadb = mariadb_lab(folder, problem);
    if (!mariadb) fmt::print(stderr, "{}\n", problem);
    HF_ASSERT(mariadb != nullptr);  // a failed set-up would be counted as skipped tests
    sqlite = sqlite_lab(folder);
  }
  static void TearDownTestSuite() {
    mariadb.reset();
    std::filesystem::remove_all(folder);
  }
  static Finding probe(Lab& lab, const char* database, Level level, const Probe& probe) {
    const Finding finding = probe.run(lab, level);
    fmt::print("{:<8} {:<17} {:<31} {}\n", database, to_string(level), probe.name, finding.how);
    return finding;
  }
  /// `happens`: by the order of probes().
  static void expect(Lab& lab, const char* database, Level level, std::vector<bool> happens) {
    for (std::size_t i = 0; i < happens.size(); ++i) {
      EXPECT_EQ(probe(lab, database, level, probes()[i]).happens, happens[i]) << probes()[i].name;
    }
  }
  static inline std::string folder;
  static inline std::unique_ptr<Lab> mariadb, sqlite;
};

//                                                             dirty  non-rep phantom lost  guarded skew
TEST_F(Levels, ReadUncommittedWouldBeNoticed) {
  expect(*mariadb, "mariadb", Level::read_uncommitted, {true, true, true, true, false, true});
}
TEST_F(Levels, ReadCommittedShowsNothingThatIsNotCommitted) {
  expect(*mariadb, "mariadb", Level::read_committed, {false, true, true, true, false, true});
}
TEST_F(Levels, RepeatableReadKeepsItsSnapshotAndRefusesTheLostUpdate) {
  expect(*mariadb, "mariadb", Level::repeatable_read, {false, false, false, false, false, true});
}
TEST_F(Levels, SerializableAllowsNone) {
  expect(*mariadb, "mariadb", Level::serializable, {false, false, false, false, false, false});
}
TEST_F(Levels, SqliteAllowsNone) {
  expect(*sqlite, "sqlite", Level::serializable, {false, false, false, false, false, false});
}

}  // namespace
}  // namespace hf::anomalies
