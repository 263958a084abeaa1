#include "sys/sim_files.h"

namespace hf::sys {
namespace {

class SimFiles : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.make_dirs("/d")); }
  std::unique_ptr<File> open(OpenMode mode = OpenMode::create_or_open) { return *disk_.open("/d/f", mode); }
  SeededRandom random_{1};
  SimDisk disk_{random_};
};

TEST_F(SimFiles, ACrashLosesWhatWasNotSynced) {
  auto file = open();
  ASSERT_TRUE(disk_.sync_dir("/d"));
  ASSERT_TRUE(file->write_at(0, as_bytes("safe")));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(file->write_at(4, as_bytes("lost")));
  disk_.crash(SimDisk::Unsynced::lost);
  EXPECT_EQ(file->size().error().code, Code::unavailable);
  EXPECT_EQ(disk_.content("/d/f"), "safe");
}

TEST_F(SimFiles, AFileWhoseFolderWasNotSyncedIsGone) {
  ASSERT_TRUE(open()->sync());
  disk_.crash(SimDisk::Unsynced::lost);
  EXPECT_EQ(disk_.open("/d/f", OpenMode::read).error().code, Code::not_found);
}

TEST_F(SimFiles, ARenameWithoutFolderSyncIsTakenBack) {
  ASSERT_TRUE(open()->sync());
  ASSERT_TRUE(disk_.sync_dir("/d"));
  ASSERT_TRUE(disk_.rename("/d/f", "/d/g"));
  disk_.crash(SimDisk::Unsynced::lost);
  EXPECT_TRUE(*disk_.exists("/d/f"));
  EXPECT_FALSE(*disk_.exists("/d/g"));
}

TEST_F(SimFiles, TornWritesKeepAPrefix) {
  std::set<std::size_t> lengths;
  for (int round = 0; round < 50; ++round) {
    auto file = open();
    ASSERT_TRUE(disk_.sync_dir("/d"));
    ASSERT_TRUE(file->truncate(0));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(file->write_at(0, as_bytes("abcdef")));
    disk_.crash(SimDisk::Unsynced::torn);
    EXPECT_TRUE(std::string_view("abcdef").starts_with(disk_.content("/d/f")));
    lengths.insert(disk_.content("/d/f").size());
  }
  EXPECT_GT(lengths.size(), 4u);
}

TEST_F(SimFiles, ScatteredWritesKeepAnySectors) {
  std::set<std::string> seen;
  for (int round = 0; round < 200; ++round) {
    auto file = open();
    ASSERT_TRUE(disk_.sync_dir("/d"));
    ASSERT_TRUE(file->write_at(0, as_bytes(std::string(3 * 512, 'o'))));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(file->write_at(0, as_bytes(std::string(3 * 512, 'n'))));
    disk_.crash(SimDisk::Unsynced::scattered);
    const std::string& content = disk_.content("/d/f");
    for (std::size_t i = 0; i < content.size(); ++i) ASSERT_EQ(content[i], content[i / 512 * 512]);
    seen.insert({content[0], content[512], content[1024]});
  }
  EXPECT_EQ(seen.size(), 8u);
}

TEST_F(SimFiles, TheNthOperationFails) {
  auto file = open();
  disk_.fail_operation(2, Error{Code::unavailable, "I/O error"});
  EXPECT_TRUE(file->write_at(0, as_bytes("a")));
  EXPECT_FALSE(file->sync());
  EXPECT_TRUE(file->sync());
}

TEST_F(SimFiles, ADiskHasAnEnd) {
  disk_.set_capacity(4);
  auto file = open();
  EXPECT_TRUE(file->write_at(0, as_bytes("abcd")));
  EXPECT_TRUE(file->write_at(0, as_bytes("dcba")));
  EXPECT_EQ(file->write_at(4, as_bytes("e")).error().code, Code::exhausted);
}

TEST_F(SimFiles, LocksDieWithTheMachine) {
  auto lock = disk_.lock("/d/LOCK");
  EXPECT_EQ(disk_.lock("/d/LOCK").error().code, Code::conflict);
  disk_.crash(SimDisk::Unsynced::kept);
  auto again = disk_.lock("/d/LOCK");
  EXPECT_TRUE(again);
  lock->reset();  // the dead owner's release must not free the new owner's lock
  EXPECT_EQ(disk_.lock("/d/LOCK").error().code, Code::conflict);
}

}  // namespace
}  // namespace hf::sys
