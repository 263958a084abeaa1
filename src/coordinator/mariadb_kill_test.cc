/// The decision log on a MariaDB that is killed under load and comes back: what was told stays true, nothing is half
/// done, nothing stays in doubt.

#include <gtest/gtest.h>

#include "base/log.h"
#include "coordinator/scripted.h"
#include "sql/mysql/test_server.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::coordinator {
namespace {

using scripted::Branch;
using wire::two_phase::Outcome;

class MariadbKill : public testing::Test {
 protected:
  MariadbKill() {
    auto opened = sql::open(loop_.world(), sql::mysql::fresh_url(), "");
    HF_ASSERT(opened.has_value());
    db_ = std::move(*opened);
    CoordinatorConfig config;
    config.base_url = "http://coordinator:1";
    config.retry_first = config.retry_max = 20ms;
    coordinator_ = std::make_unique<Coordinator>(loop_.world(), config, *db_, network_.sender());
    network_.hosts["http://coordinator:1"] = coordinator_->http();
    for (scripted::Participant* p : {&payment_, &inventory_}) network_.hosts[p->origin()] = p->handler();
  }

  asio::awaitable<void> buy() {
    while (!enough_) {
      const auto begun = co_await initiator_.begin();
      if (!begun) {
        co_await loop_.world().clock.sleep_for(20ms);
        continue;
      }
      for (scripted::Participant* p : {&payment_, &inventory_}) {
        p->branches[begun->gtrid] = Branch::active;
        const auto enrolled = co_await initiator_.enrol(begun->gtrid, p->name(), p->url());
        EXPECT_TRUE(enrolled && enrolled->status == 200);
      }
      const auto report = co_await initiator_.end(begun->gtrid, "commit");
      if (!report) continue;
      told_[begun->gtrid] = report->outcome;
      if (report->outcome == Outcome::committed) ++committed_;
    }
  }
  asio::awaitable<void> until_more_commits() {
    const int wanted = committed_ + 30 + static_cast<int>(loop_.world().random.below(50));
    const Monotonic limit = loop_.world().clock.now() + 30s;
    while (committed_ < wanted && loop_.world().clock.now() < limit) co_await loop_.world().clock.sleep_for(1ms);
    EXPECT_GE(committed_, wanted) << "the database is there, and nothing is committed";
  }
  asio::awaitable<void> kill_and_restart(int times) {
    const std::function<Result<void>()> work = [&server = sql::mysql::test_server()] {
      server.kill_now();
      return server.start_again();
    };
    for (int i = 0; i < times; ++i) {
      co_await until_more_commits();
      const Result<void> again = co_await worker_->run<void>(work);
      EXPECT_TRUE(again) << again.error().to_string();
    }
    co_await until_more_commits();
    enough_ = true;
  }
  bool any_in_doubt() const {
    const auto in_doubt = [](const auto& branch) { return branch.second == Branch::prepared; };
    return std::ranges::any_of(payment_.branches, in_doubt) || std::ranges::any_of(inventory_.branches, in_doubt);
  }
  asio::awaitable<void> run() {
    const Result<void> started = co_await coordinator_->start();
    EXPECT_TRUE(started) << started.error().to_string();
    sys::TaskGroup tasks(loop_.world().executor, loop_.world().clock);
    for (int i = 0; i < 16; ++i) tasks.spawn("buy", buy());
    tasks.spawn("kill", kill_and_restart(2));
    co_await tasks.join();
    const Monotonic limit = loop_.world().clock.now() + 20s;
    while (any_in_doubt() && loop_.world().clock.now() < limit) co_await loop_.world().clock.sleep_for(20ms);
    for (auto& [gtrid, told] : told_) {
      const auto again = co_await initiator_.outcome(gtrid);
      EXPECT_TRUE(again && again->outcome == told) << "a decision changed: " << gtrid;
    }
    co_await coordinator_->stop();
    co_await db_->close();
  }

  sys::Loop loop_;
  /// Lives on: the kernel ends the server with the thread that started it.
  const std::unique_ptr<sys::Worker> worker_ = loop_.world().make_worker("mariadb", 1);
  scripted::Network network_{loop_.world()};
  scripted::Participant payment_{"payment"}, inventory_{"inventory"};
  scripted::Initiator initiator_{loop_.world(), "http://coordinator:1", network_.sender()};
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Coordinator> coordinator_;
  std::map<std::string, Outcome> told_;
  int committed_ = 0;
  bool enough_ = false;
};

TEST_F(MariadbKill, NoDecisionTurnsAndNothingIsHalfDone) {
  log::set_level(log::Level::off);
  loop_.run_until_done(run());
  log::set_level(log::Level::info);
  EXPECT_FALSE(any_in_doubt());
  for (const auto& [gtrid, branch] : payment_.branches) {
    EXPECT_EQ(branch, inventory_.branches[gtrid]) << gtrid;
    EXPECT_LE(payment_.effects[gtrid], 1);
    const auto told = told_.find(gtrid);
    if (told != told_.end()) {
      EXPECT_EQ(told->second == Outcome::committed, branch == Branch::committed) << gtrid;
    }
  }
  EXPECT_EQ(payment_.contradictions + inventory_.contradictions, 0);
}

}  // namespace
}  // namespace hf::coordinator
