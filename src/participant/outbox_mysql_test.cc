/// The outbox, the inbox and the barrier on a real MariaDB server: several connections write at a time there, so rows
/// commit out of the order of their ids, and two consumers can meet on one key.

#include <gtest/gtest.h>

#include "participant/barrier.h"
#include "participant/inbox.h"
#include "participant/test_broker.h"
#include "sql/mysql/test_server.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::participant {
namespace {

constexpr int kWriters = 16;

class OutboxOnMariaDb : public ::testing::Test {
 protected:
  OutboxOnMariaDb() : broker_(loop_.world().clock), tasks_(loop_.executor(), loop_.world().clock) {
    broker_.takes = 0ms;
    // Long for a lock: who stalls while the others wait for his row does not fail them.
    const std::string url = sql::mysql::fresh_url(fmt::format("writers={}&lock_timeout_ms=9000", kWriters));
    database_ = std::move(sql::open(loop_.world(), url, "/unused").value());
    const std::vector<std::string> statements = {"CREATE TABLE orders (id VARCHAR(64) NOT NULL PRIMARY KEY)",
                                                 std::string(kBarrierTable)};
    const std::vector<sql::Migration> tables = {{1, "test", statements}};
    EXPECT_TRUE(loop_.run_until_done(database_->migrate("test", tables)));
    config_.poll = 50ms;
  }
  ~OutboxOnMariaDb() override { loop_.run_until_done(database_->close()); }

  std::unique_ptr<Outbox> start() {
    auto outbox = std::make_unique<Outbox>(loop_.world(), *database_, config_, broker_.publish());
    const Result<void> started = loop_.run_until_done(outbox->start({"orders"}));
    EXPECT_TRUE(started) << started.error().to_string();
    return outbox;
  }
  /// One writer: orders with ids from its own range, each written slowly enough that others overtake it.
  asio::awaitable<void> write_orders(Outbox& outbox, int writer, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string id = fmt::format("w{:02}-{:04}", writer, i);
      std::function<Result<void>(sql::Transaction&)> work = [&outbox, id,
                                                             writer](sql::Transaction& tx) -> Result<void> {
        HF_TRY(outbox.put(tx, {.topic = "orders", .body = "{}", .aggregate = fmt::format("a{}", writer), .id = id}));
        HF_TRY(tx.query(fmt::format("SELECT SLEEP(0.00{})", writer % 7)));  // commits long after its id was drawn
        HF_TRY(tx.execute("INSERT INTO orders (id) VALUES (?)", {id}));
        return ok();
      };
      const Result<void> written = co_await database_->write(std::move(work));
      EXPECT_TRUE(written) << written.error().to_string();
      if (i % 2 == 0) outbox.committed();
    }
  }
  /// Until `count` messages were published, or for 20 s.
  asio::awaitable<void> until_published(std::size_t count) {
    const Monotonic deadline = loop_.world().clock.now() + 20s;
    while (broker_.times().size() < count && loop_.world().clock.now() < deadline) {
      co_await loop_.world().clock.sleep_for(5ms);
    }
  }
  std::int64_t count(const std::string& sql) {
    std::function<Result<std::int64_t>(sql::Reader&)> work = [sql](sql::Reader& reader) -> Result<std::int64_t> {
      HF_TRY(const auto row, reader.query_one(sql));
      return row->integer(0);
    };
    return loop_.run_until_done(database_->read<std::int64_t>(std::move(work))).value();
  }

  sys::Loop loop_;
  TestBroker broker_;
  sys::TaskGroup tasks_;
  OutboxConfig config_;
  std::unique_ptr<sql::Database> database_;
};

TEST_F(OutboxOnMariaDb, RowsThatCommitOutOfIdOrderAreAllPublishedOnceAndInOrder) {
  constexpr int kEach = 25;
  const auto first = start(), second = start();
  for (int writer = 0; writer < kWriters; ++writer) {
    tasks_.spawn("writer", write_orders(writer % 2 == 0 ? *first : *second, writer, kEach));
  }
  loop_.run_until_done(tasks_.join());
  loop_.run_until_done(until_published(kWriters * kEach));
  loop_.run_until_done(first->close());
  loop_.run_until_done(second->close());
  EXPECT_EQ(broker_.times().size(), static_cast<std::size_t>(kWriters * kEach)) << "none is missed";
  EXPECT_EQ(count("SELECT COUNT(*) FROM outbox WHERE state = 'done'"), kWriters * kEach);
  std::map<std::string, std::string> last;
  for (const std::string& id : broker_.ids()) {
    std::string& before = last[id.substr(0, 3)];
    EXPECT_LT(before, id) << "once, and in the order of its aggregate";
    before = id;
  }
}

TEST_F(OutboxOnMariaDb, TwoCopiesOfAMessageMeetOnOneKey) {
  Inbox inbox(loop_.world(), *database_, {});
  ASSERT_TRUE(loop_.run_until_done(inbox.start()));
  int handled = 0, replayed = 0;
  const auto handle = [&]() -> asio::awaitable<void> {
    std::function<Result<Handled>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
      return inbox.once(tx, "g", "o-1", [&]() -> Result<std::string> {
        HF_TRY(tx.query("SELECT SLEEP(0.05)"));
        HF_TRY(tx.execute("INSERT INTO orders (id) VALUES ('o-1')"));
        return std::string("took it");
      });
    };
    const Result<Handled> done = co_await database_->write<Handled>(std::move(work));
    EXPECT_TRUE(done) << done.error().to_string();
    if (!done) co_return;
    EXPECT_EQ(done->result, "took it");
    ++(done->replayed ? replayed : handled);
  };
  for (int copy = 0; copy < 8; ++copy) tasks_.spawn("copy", handle());
  loop_.run_until_done(tasks_.join());
  loop_.run_until_done(inbox.close());
  EXPECT_EQ(handled, 1);
  EXPECT_EQ(replayed, 7);
}

TEST_F(OutboxOnMariaDb, TryAndCancelThatMeetTakeEffectOnceOrNever) {
  std::map<std::string, std::vector<Verdict>> verdicts;
  const auto call = [&](std::string gid, Op op) -> asio::awaitable<void> {
    std::function<Result<Verdict>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
      Barrier barrier({gid, "01"}, loop_.world().clock.wall());
      return barrier.call(tx, op, [](sql::Transaction&) { return ok(); });
    };
    const Result<Verdict> verdict = co_await database_->write<Verdict>(std::move(work));
    if (verdict && op == Op::try_) verdicts[gid].insert(verdicts[gid].begin(), *verdict);
    if (verdict && op == Op::cancel) verdicts[gid].push_back(*verdict);
  };
  for (int i = 0; i < 40; ++i) {
    const std::string gid = fmt::format("g{}", i);
    tasks_.spawn("one", call(gid, i % 2 == 0 ? Op::try_ : Op::cancel));
    tasks_.spawn("two", call(gid, i % 2 == 0 ? Op::cancel : Op::try_));
  }
  loop_.run_until_done(tasks_.join());
  const std::vector<Verdict> in_order{Verdict::run, Verdict::run}, fenced{Verdict::duplicate, Verdict::null_undo};
  for (const auto& [gid, both] : verdicts) {
    if (both.size() == 2) EXPECT_TRUE(both == in_order || both == fenced) << gid;
  }
  EXPECT_EQ(verdicts.size(), 40U);
}

TEST_F(OutboxOnMariaDb, StartRefusesAnOutboxInAnotherDatabase) {
  const auto other = std::move(sql::open(loop_.world(), sql::mysql::fresh_url(), "/unused").value());
  Outbox apart(loop_.world(), *other, config_, broker_.publish());
  const Result<void> by_table = loop_.run_until_done(apart.start({"orders"}));
  ASSERT_FALSE(by_table);
  EXPECT_NE(by_table.error().message.find("one local transaction"), std::string::npos) << by_table.error().message;
  loop_.run_until_done(other->close());
}

}  // namespace
}  // namespace hf::participant
