/// A MariaDB server without a binary log shows a commit to others before it is on the disk. What we report of it must
/// not be earlier (P2).

#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "sql/database.h"
#include "sql/mysql/commit_marker.h"
#include "sql/mysql/local_server.h"
#include "sql/mysql/slow_machine.h"
#include "sys/loop.h"

namespace hf::sql::mysql {
namespace {

namespace fs = std::filesystem;

class UndurableTest : public ::testing::Test {
 protected:
  UndurableTest() {
    HF_ASSERT(::mkdtemp(folder_.data()) != nullptr);
    flag_ = folder_ + "/hold";
    LocalServerOptions options{.folder = folder_ + "/server", .binary_log = false};
    ::setenv("HF_HOLD_LOG", flag_.c_str(), 1);
    ::setenv("LD_PRELOAD", HF_HOLD_LOG_LIBRARY, 1);
    Result<std::unique_ptr<LocalServer>> server = LocalServer::start(std::move(options));
    ::unsetenv("LD_PRELOAD");
    HF_ASSERT(server.has_value());
    server_ = std::move(*server);
    db_ = std::move(*sql::open(loop_.world(), server_->url("test", patient()), folder_));
    const std::vector<Migration> tables = {{1, "orders", {"CREATE TABLE orders (id INTEGER PRIMARY KEY)"}}};
    EXPECT_TRUE(loop_.run_until_done(db_->migrate("test", tables)));
  }
  ~UndurableTest() override {
    release();
    loop_.run_until_done(db_->close());
    EXPECT_TRUE(loop_.drain(10s));
    server_.reset();
    fs::remove_all(folder_);
  }

  void hold() { std::ofstream(flag_).put('1'); }
  void release() { fs::remove(flag_); }
  /// The commit that is under way never reaches the disk.
  void kill_and_start_again() {
    server_->kill_now();
    release();
    ASSERT_TRUE(server_->start_again());
  }
  std::unique_ptr<Connection> connect() {
    return std::move(*Connection::open(*parse_url(server_->url("test", patient())), Purpose::resolve));
  }
  /// Runs `statement` in a transaction of another client, whose COMMIT then stands still.
  std::thread commit_and_stand(Connection& client, const std::string& statement) {
    EXPECT_TRUE(client.control("START TRANSACTION; " + statement));
    hold();
    return std::thread([&client] { EXPECT_FALSE(client.control("COMMIT")) << "the server dies over it"; });
  }
  static void wait_until_seen(Connection& by, const std::string& query) {
    for (int tried = 0; tried < 5000; ++tried) {
      if (!by.control_query(query)->empty()) return;
      std::this_thread::sleep_for(2ms);
    }
    FAIL() << "a commit that waits for the disk is seen by nobody";
  }
  /// Whoever did not wait for the disk would be done by then.
  void let_it_run() { loop_.run_until_done(loop_.world().clock.sleep_for(200ms)); }

  std::string folder_ = "/tmp/hf_undurable_XXXXXX", flag_;
  sys::Loop loop_;
  std::unique_ptr<LocalServer> server_;
  std::unique_ptr<Database> db_;
};

constexpr const char* kLook = "SELECT id FROM orders WHERE id = 1";

TEST_F(UndurableTest, AUnitThatOnlyLooksIsDoneWhenWhatItSawIsDurable) {
  const auto other = connect(), third = connect();
  std::thread committing = commit_and_stand(*other, "INSERT INTO orders VALUES (1)");
  wait_until_seen(*third, kLook);
  std::optional<Result<bool>> found;
  auto look = [](Database& db, std::optional<Result<bool>>& out) -> asio::awaitable<void> {
    std::function<Result<bool>(Transaction&)> unit = [](Transaction& tx) -> Result<bool> {
      HF_TRY(const auto row, tx.query_one(kLook));
      return row.has_value();
    };
    out.emplace(co_await db.write<bool>(std::move(unit)));
  };
  asio::co_spawn(loop_.executor(), look(*db_, found), asio::detached);
  let_it_run();
  EXPECT_FALSE(found) << "it has answered before the disk";
  kill_and_start_again();
  committing.join();
  ASSERT_TRUE(loop_.drain(30s));
  ASSERT_TRUE(found);
  EXPECT_FALSE(*found && **found) << "it saw a row that is gone";
  EXPECT_TRUE(connect()->control_query(kLook)->empty());
}

TEST_F(UndurableTest, ALostCommitIsCalledCommittedWhenItIsDurable) {
  const auto other = connect(), third = connect(), resolver = connect();
  std::thread committing = commit_and_stand(*other, "INSERT INTO hf_commit_marker VALUES ('b-1', 'C', 0)");
  wait_until_seen(*third, "SELECT 1 FROM hf_commit_marker WHERE batch_id = 'b-1'");
  std::atomic<bool> answered = false;
  Ending ending = Ending::unknown;
  std::thread looking([&] {
    ending = look_for(*resolver, "b-1");
    answered = true;
  });
  let_it_run();
  EXPECT_FALSE(answered);
  kill_and_start_again();
  committing.join();
  looking.join();
  EXPECT_EQ(ending, Ending::unknown);
  EXPECT_EQ(look_for(*connect(), "b-1"), Ending::rolled_back);
}

}  // namespace
}  // namespace hf::sql::mysql
