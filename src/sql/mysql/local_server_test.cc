#include "sql/mysql/local_server.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

namespace hf::sql::mysql {
namespace {

class LocalServerTest : public ::testing::Test {
 protected:
  LocalServerTest() {
    char name[] = "/tmp/hf_server_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
  }
  ~LocalServerTest() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(LocalServerTest, StartsStopsAndStartsAgain) {
  auto server = LocalServer::start({.folder = dir_ + "/db", .tcp = true});
  ASSERT_TRUE(server) << server.error().to_string();
  LocalServer& it = **server;
  EXPECT_GT(it.port(), 0);
  const std::uint16_t port = it.port();
  const pid_t first = it.pid();
  EXPECT_TRUE(it.running());
  it.kill_now();
  EXPECT_FALSE(it.running());
  EXPECT_NE(::kill(first, 0), 0) << "it is gone";
  ASSERT_TRUE(it.start_again());
  EXPECT_NE(it.pid(), first);
  EXPECT_EQ(it.port(), port);
  it.shut_down();
  EXPECT_FALSE(it.running());
  ASSERT_TRUE(it.start_again());
  EXPECT_NE(it.url("shop", "writers=2").find("/shop?socket=" + it.socket() + "&create=1&writers=2"), std::string::npos);
}

TEST_F(LocalServerTest, AVeryLongFolderStillHasASocket) {
  auto server = LocalServer::start({.folder = dir_ + "/" + std::string(120, 'x')});
  ASSERT_TRUE(server) << server.error().to_string();
  EXPECT_LT((*server)->socket().size(), 100U);
}

TEST_F(LocalServerTest, AServerThatDoesNotStartSaysWhy) {
  const auto server = LocalServer::start({.folder = dir_ + "/db", .more = {"--no-such-option"}});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Code::unavailable);
  EXPECT_NE(server.error().message.find("no-such-option"), std::string::npos) << server.error().message;
}

TEST_F(LocalServerTest, DiesWithItsProcess) {
  // Orphans come to us, so that the end of the grandchild can be waited for.
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto server = LocalServer::start({.folder = dir_ + "/db"});
    const pid_t pid = server ? (*server)->pid() : -1;
    (void)!::write(pipe[1], &pid, sizeof pid);
    for (;;) ::pause();
  }
  pid_t server = -1;
  ASSERT_EQ(::read(pipe[0], &server, sizeof server), static_cast<ssize_t>(sizeof server));
  ASSERT_GT(server, 0);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  int status = 0;
  EXPECT_EQ(::waitpid(server, &status, 0), server);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace
}  // namespace hf::sql::mysql
