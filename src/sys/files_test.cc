#include "sys/files.h"

#include <unistd.h>

namespace hf::sys {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/hf_files_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  RealFileSystem files_;
  std::string dir_;
};

TEST_F(Files, WritesReadsAndGrows) {
  auto file = files_.open(dir_ + "/a", OpenMode::create_new);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(3, as_bytes("xyz")));
  ASSERT_TRUE((*file)->sync());
  EXPECT_EQ(*(*file)->size(), 6u);
  std::array<std::uint8_t, 10> out{};
  EXPECT_EQ(*(*file)->read_at(3, out), 3u);
  EXPECT_EQ(as_text({out.data(), 3}), "xyz");
}

TEST_F(Files, ErrorsSayWhatACallerCanDo) {
  EXPECT_EQ(files_.open(dir_ + "/none", OpenMode::read).error().code, Code::not_found);
  ASSERT_TRUE(files_.open(dir_ + "/a", OpenMode::create_new));
  EXPECT_EQ(files_.open(dir_ + "/a", OpenMode::create_new).error().code, Code::conflict);
  EXPECT_EQ(files_.list(dir_ + "/none").error().code, Code::not_found);
  EXPECT_EQ(files_.make_dirs(dir_ + "/a/b").error().code, Code::not_found);
  const auto full = files_.open("/dev/full", OpenMode::read_write);
  ASSERT_TRUE(full);
  EXPECT_EQ((*full)->write_at(0, as_bytes("x")).error().code, Code::exhausted);
}

TEST_F(Files, ALockIsHeldOnceAndReleased) {
  auto first = files_.lock(dir_ + "/LOCK");
  ASSERT_TRUE(first);
  const auto second = files_.lock(dir_ + "/LOCK");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::conflict);
  EXPECT_THAT(second.error().message, testing::HasSubstr(dir_));
  first->reset();
  EXPECT_TRUE(files_.lock(dir_ + "/LOCK"));
}

TEST_F(Files, ReplaceAndReadBack) {
  ASSERT_TRUE(files_.make_dirs(dir_ + "/deep/er"));
  ASSERT_TRUE(replace_file(files_, dir_ + "/deep/er/f", "one"));
  ASSERT_TRUE(replace_file(files_, dir_ + "/deep/er/f", "two"));
  EXPECT_EQ(*read_file(files_, dir_ + "/deep/er/f"), "two");
  EXPECT_EQ(read_file(files_, dir_ + "/deep/er/f", 2).error().code, Code::invalid);
  EXPECT_THAT(*files_.list(dir_ + "/deep/er"), testing::ElementsAre("f"));
}

}  // namespace
}  // namespace hf::sys
