#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "sql/sqlite/test_world.h"

namespace hf::sql {
namespace {

constexpr const char* kTable = "CREATE TABLE t (id INTEGER PRIMARY KEY, blob TEXT)";

void overwrite(const std::string& path, std::streamoff at, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(at);
  file << bytes;
}

TEST_F(SqlTest, ASecondProcessGetsAConflict) {
  ASSERT_TRUE(open());
  int to_parent[2];
  ASSERT_EQ(::pipe(to_parent), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    sys::Loop loop;
    const auto second = sql::open(loop.world(), "sqlite:test.db", dir_);
    const std::string said = second ? "opened" : second.error().to_string();
    (void)!::write(to_parent[1], said.data(), said.size());
    ::_exit(0);
  }
  ::close(to_parent[1]);
  char said[500] = {};
  EXPECT_GT(::read(to_parent[0], said, sizeof said - 1), 0);
  EXPECT_NE(std::string(said).find("conflict"), std::string::npos) << said;
  EXPECT_NE(std::string(said).find("another process has it open"), std::string::npos) << said;
}

TEST_F(SqlTest, AFileThatIsNoDatabase) {
  std::ofstream(file()) << std::string(8192, 'x');
  const Result<void> opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::corrupt);
  EXPECT_NE(opened.error().message.find("test.db"), std::string::npos) << opened.error().message;
}

TEST_F(SqlTest, ADamagedPageIsCorruptAndEndsWriting) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  ASSERT_TRUE(execute("INSERT INTO t VALUES (1, ?)", {std::string(3000, 'x')}));
  ASSERT_TRUE(execute("INSERT INTO t VALUES (2, ?)", {std::string(3000, 'x')}));
  close();
  overwrite(file(), 4096, std::string(4096, '\x5a'));  // the table's root page
  ASSERT_TRUE(open());
  EXPECT_EQ(query("SELECT * FROM t").error().code, Code::corrupt);
  const auto write = execute("INSERT INTO t VALUES (3, 'y')");
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().code, Code::corrupt);
  EXPECT_NE(write.error().message.find("damaged"), std::string::npos) << write.error().message;
  const auto next = execute("CREATE TABLE other (a)");
  ASSERT_FALSE(next) << "writing goes on in a damaged file";
  EXPECT_EQ(next.error().code, Code::corrupt);
}

TEST_F(SqlTest, AFolderThatCannotBeWritten) {
  std::string folder = dir_ + "/sealed";
  ASSERT_EQ(::mkdir(folder.c_str(), 0755), 0);
  const bool root = ::geteuid() == 0;
  if (root) {
    if (::mount("tmpfs", folder.c_str(), "tmpfs", MS_RDONLY, nullptr) != 0) GTEST_SKIP() << "mount is not allowed here";
  } else {
    ASSERT_EQ(::chmod(folder.c_str(), 0555), 0);
  }
  const Result<void> opened = open("sqlite:sealed/test.db");
  if (root) ::umount(folder.c_str());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::denied) << opened.error().to_string();
  EXPECT_NE(opened.error().message.find("sealed/test.db"), std::string::npos) << opened.error().message;
}

/// Writes rows until it fails.
Error fill(const std::function<Result<std::int64_t>(int)>& insert) {
  for (int i = 1; i < 100'000; ++i) {
    if (const auto done = insert(i); !done) return done.error();
  }
  return Error{Code::internal, "never full"};
}

TEST_F(SqlTest, AtTheSizeLimitNothingIsHalfWritten) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  ASSERT_TRUE(write<Rows>([](Transaction& tx) { return tx.query("PRAGMA max_page_count = 40"); }));
  auto insert = [this](int i) { return execute("INSERT INTO t VALUES (?, ?)", {i, std::string(2000, 'x')}); };
  const Error full = fill(insert);
  EXPECT_EQ(full.code, Code::exhausted);
  EXPECT_NE(full.message.find("no space"), std::string::npos) << full.message;
  const std::int64_t rows = number("SELECT count(*) FROM t");
  EXPECT_GT(rows, 10);
  EXPECT_EQ(number("SELECT max(id) FROM t"), rows) << "all that was acknowledged, nothing more";
  ASSERT_TRUE(execute("DELETE FROM t WHERE id <= 10")) << "a full database still takes what makes room";
  EXPECT_TRUE(insert(100'000));
}

TEST_F(SqlTest, OnAFullDiskNothingAcknowledgedIsLost) {
  const std::string folder = dir_ + "/small";
  ASSERT_EQ(::mkdir(folder.c_str(), 0755), 0);
  if (::geteuid() != 0 || ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "a small file system can be mounted by root alone";
  }
  ASSERT_TRUE(open("sqlite:small/test.db"));
  ASSERT_TRUE(execute(kTable));
  int acknowledged = 0;
  const Error full = fill([&](int i) {
    auto done = execute("INSERT INTO t VALUES (?, ?)", {i, std::string(2000, 'x')});
    if (done) acknowledged = i;
    return done;
  });
  EXPECT_EQ(full.code, Code::exhausted) << full.to_string();
  EXPECT_GT(acknowledged, 10);
  EXPECT_EQ(number("SELECT max(id) FROM t"), acknowledged);
  close();
  ASSERT_TRUE(open("sqlite:small/test.db"));
  EXPECT_EQ(number("SELECT count(*) FROM t"), acknowledged);
  close();
  ::umount(folder.c_str());
}

TEST_F(SqlTest, AnErrorBeforeTheCommitFailsTheWholeBatchAndNothingElse) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  ASSERT_TRUE(loop_.world().faults.arm("sql.before_commit=error:1"));
  EXPECT_EQ(execute("INSERT INTO t VALUES (1, 'x')").error().code, Code::unavailable);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);
  EXPECT_TRUE(execute("INSERT INTO t VALUES (1, 'x')"));
}

TEST_F(SqlTest, ALostCommitAnswerIsATimeoutAndMayBeCommitted) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(execute(kTable));
  ASSERT_TRUE(loop_.world().faults.arm("sql.after_commit=error:1"));
  EXPECT_EQ(execute("INSERT INTO t VALUES (1, 'x')").error().code, Code::timeout);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 1);
}

}  // namespace
}  // namespace hf::sql
