/// A child process takes an order's event and dies by SIGKILL at each boundary; the next start, and the message that
/// the broker delivers again, make exactly one delivery of it (P2, P4; design.md §4).

#include <sys/wait.h>
#include <unistd.h>

#include "router/router_fixture.h"

namespace hf::router {
namespace {

class KillTest : public RouterTest {
 protected:
  void close_database() {
    loop_.run_until_done(db_->close());
    db_.reset();
  }
  /// Never returns: routes one message in a world of its own until the fault point kills it.
  [[noreturn]] void route_and_die(const std::string& fault) {
    sys::Loop loop;
    auto db = sql::open(loop.world(), "sqlite:router.db", dir_).value();
    HF_ASSERT(loop.world().faults.arm(fault + "=crash:1").has_value());
    Router router(loop.world(), config_, *db);
    HF_ASSERT(loop.run_until_done(router.start()).has_value());
    std::vector<Intake::Incoming> one;
    one.push_back(router.intake().from_message(config_.topics[0], "m-1", "", {}, order("7", "\"sms\"")).value());
    (void)loop.run_until_done(router.intake().accept(std::move(one)));
    loop.run_until_done(loop.world().clock.sleep_for(10s));
    ::_exit(0);  // it should be dead by now
  }
  int wait_for(pid_t child) {
    for (int status = 0;;) {
      if (::waitpid(child, &status, WNOHANG) == child) return status;
      turn(1ms);  // the destination answers meanwhile
    }
  }
};

TEST_F(KillTest, EveryBoundary) {
  for (const char* point : {"router.before_store", "sql.before_commit", "sql.after_commit", "router.after_store",
                            "router.before_call", "router.after_call", "router.after_record"}) {
    SCOPED_TRACE(point);
    seen_.clear();
    close_database();
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
    const pid_t child = ::fork();
    if (child == 0) route_and_die(point);
    const int status = wait_for(child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    db_ = sql::open(world_, "sqlite:router.db", dir_).value();
    start();
    const std::string id = receive("m-1", order("7", "\"sms\"")).value();  // never acknowledged, so it comes again
    const EventStory story = settled(id);
    ASSERT_EQ(story.deliveries.size(), 1u);
    EXPECT_EQ(story.deliveries[0].delivery.state, DeliveryState::delivered);
    EXPECT_EQ(loop_.run_until_done(router_->counts())->events, 1);
    EXPECT_GE(seen_.size(), 1u);
    EXPECT_LE(seen_.size(), 2u);
    for (const net::HttpRequest& request : seen_)
      EXPECT_EQ(*request.headers.get("X-Holdfast-Event-Id"), story.deliveries[0].delivery.id);
    stop();
  }
}

}  // namespace
}  // namespace hf::router
