/// A service in a process of its own dies at every place of prepare and of the end, and comes back; the test is the
/// coordinator. Numbers in comments: the checks of docs/protocols/two-phase-commit.md.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "participant/test_service.h"

namespace hf::participant {
namespace {

namespace two_phase = wire::two_phase;

const std::string kTx = gtrid_of(1);

/// Never returns: serves on `port` (0: any), and says on `pipe` which one it is once it does.
[[noreturn]] void serve(const std::string& dir, const std::string& coordinator, const std::string& faults,
                        std::uint16_t port, int pipe) {
  sys::Loop loop;
  HF_ASSERT(loop.world().faults.arm(faults).has_value());
  auto db = std::move(*sql::open(loop.world(), "sqlite:test.db", dir));
  const auto branches = make_reservation_branches(loop.world(), *db, {.name = "inventory"}, settle_stock);
  HF_ASSERT(loop.run_until_done(branches->start()).has_value());
  net::HttpClient client(loop.world(), {});
  std::unique_ptr<TestService> service;
  net::ListenerOptions options;
  options.name = "inventory";
  options.port = port;
  options.http = [&service](net::HttpRequest request) { return service->handle(std::move(request)); };
  const auto listener = std::move(*net::Listener::start(loop.world(), std::move(options)));
  TwoPhaseConfig config;
  config.name = "inventory";
  config.base_url = fmt::format("http://127.0.0.1:{}", listener->port());
  config.coordinator_url = coordinator;
  config.ask_after = 50ms;
  config.ask_max = 100ms;
  service = std::make_unique<TestService>(loop.world(), config, *branches,
                                          [&client](net::HttpRequest request, std::string url, Monotonic deadline) {
                                            return client.send(std::move(request), std::move(url), deadline);
                                          });
  HF_ASSERT(loop.run_until_done(service->participant().start()).has_value());
  const std::uint16_t serves = listener->port();
  HF_ASSERT(::write(pipe, &serves, sizeof serves) == sizeof serves);
  loop.run();
  ::_exit(1);
}

class ParticipantKillTest : public ::testing::Test {
 protected:
  ParticipantKillTest() : client_(loop_.world(), {}) {
    char name[] = "/tmp/hf_participant_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
    with_database([&](sys::Loop& loop, sql::Database& db) { EXPECT_TRUE(run_statements(loop, db, stock_tables())); });
    net::ListenerOptions options;
    options.name = "coordinator";
    options.http = [this](net::HttpRequest request) { return coordinate(std::move(request)); };
    coordinator_ = std::move(*net::Listener::start(loop_.world(), std::move(options)));
  }
  ~ParticipantKillTest() override {
    kill();
    loop_.run_until_done(coordinator_->drain(loop_.world().clock.now() + 5s));
    std::filesystem::remove_all(dir_);
  }

  /// No thread of ours runs while a child is made: the database is open only for a look.
  template <class Look>
  void with_database(Look look) {
    sys::Loop loop;
    auto db = std::move(*sql::open(loop.world(), "sqlite:test.db", dir_));
    look(loop, *db);
    loop.run_until_done(db->close());
    EXPECT_TRUE(loop.drain(30s));
  }
  /// After kill().
  std::string stock() {
    std::string text;
    with_database([&](sys::Loop& loop, sql::Database& db) { text = stock_of(loop, db, 1); });
    return text;
  }

  asio::awaitable<net::HttpResponse> coordinate(net::HttpRequest request) {
    if (request.method == "GET") co_return net::HttpResponse::json(200, outcome_);
    const auto registered = two_phase::parse_register_request(request.body);
    if (!registered) co_return net::HttpResponse::text(400, "");
    participant_ = registered->protocols.front().url;
    const two_phase::RegisterResponse accepted{kTx, {{two_phase::Protocol::durable, "http://127.0.0.1:1/x"}}};
    co_return net::HttpResponse::json(200, encode(accepted));
  }

  void start(const std::string& faults = {}) {
    int pipe[2];
    HF_ASSERT(::pipe(pipe) == 0);
    const std::string coordinator = fmt::format("http://127.0.0.1:{}", coordinator_->port());
    child_ = ::fork();
    if (child_ == 0) {
      ::close(pipe[0]);
      serve(dir_, coordinator, faults, port_, pipe[1]);
    }
    ::close(pipe[1]);
    ASSERT_EQ(::read(pipe[0], &port_, sizeof port_), static_cast<ssize_t>(sizeof port_));
    ::close(pipe[0]);
  }
  void kill() {
    if (child_ < 0) return;
    ::kill(child_, SIGKILL);
    EXPECT_EQ(::waitpid(child_, nullptr, 0), child_);
    child_ = -1;
    client_.close_idle();
  }
  void restart() {
    kill();
    start();
  }

  /// "status body", or "timeout", "unavailable".
  std::string post(const std::string& url, std::string body) {
    net::HttpRequest request;
    request.method = "POST";
    request.headers.add("x-b7a-xid", kTx);
    request.headers.add("x-b7a-register-at",
                        two_phase::register_url(fmt::format("http://127.0.0.1:{}", coordinator_->port()), kTx));
    request.body = std::move(body);
    const Result<net::HttpResponse> answer =
        loop_.run_until_done(client_.send(std::move(request), url, loop_.world().clock.now() + 30s));
    return answer ? fmt::format("{} {}", answer->status, answer->body) : std::string(to_string(answer.error().code));
  }
  std::string take_three() { return post(fmt::format("http://127.0.0.1:{}/take", port_), "1 3"); }
  std::string prepare() { return post(participant_ + "/prepare", encode(two_phase::PrepareRequest{kTx})); }
  std::string notify(Decision decision) {
    return post(participant_ + "/notify", encode(two_phase::NotifyRequest{kTx, decision}));
  }

  std::string dir_;
  sys::Loop loop_;
  net::HttpClient client_;
  std::unique_ptr<net::Listener> coordinator_;
  pid_t child_ = -1;
  std::uint16_t port_ = 0;
  std::string participant_, outcome_ = "{}";
};

const std::string kPrepared = R"(200 {"message":"prepared"})", kCommitted = R"(200 {"message":"committed"})",
                  kAborted = R"(200 {"message":"aborted"})";

// 22
TEST_F(ParticipantKillTest, BeforePrepareItIsAborted) {
  start("participant.before_prepare=crash:1");
  EXPECT_EQ(take_three(), "200 taken");
  EXPECT_EQ(prepare(), "timeout");
  restart();
  EXPECT_EQ(prepare().substr(0, 25), R"(200 {"message":"aborted",)") << "its memory is gone, so it cannot vote for it";
  EXPECT_EQ(notify(Decision::abort), kAborted);
  kill();
  EXPECT_EQ(stock(), "100/0/0");
}

// 23
TEST_F(ParticipantKillTest, PreparedAndSilentItIsToldToAbort) {
  start("participant.after_prepare=crash:1");
  EXPECT_EQ(take_three(), "200 taken");
  EXPECT_EQ(prepare(), "timeout");
  kill();
  EXPECT_EQ(stock(), "97/3/0") << "it is prepared, and nobody knows";
  start();
  EXPECT_EQ(notify(Decision::abort), kAborted);
  kill();
  EXPECT_EQ(stock(), "100/0/0");
}

// 24
TEST_F(ParticipantKillTest, AfterItsVoteItCommits) {
  start();
  EXPECT_EQ(take_three(), "200 taken");
  EXPECT_EQ(prepare(), kPrepared);
  restart();
  EXPECT_EQ(prepare(), kPrepared);
  EXPECT_EQ(notify(Decision::commit), kCommitted);
  kill();
  EXPECT_EQ(stock(), "97/0/3");
}

// 24: nobody tells it any more; it asks.
TEST_F(ParticipantKillTest, AfterItsVoteItAsks) {
  start();
  EXPECT_EQ(take_three(), "200 taken");
  EXPECT_EQ(prepare(), kPrepared);
  kill();
  two_phase::OutcomeReport report;
  report.gtrid = kTx;
  report.coordinator = "local";
  report.outcome = two_phase::Outcome::committed;
  outcome_ = encode(report);
  start();
  // A second prepare answers `committed` once it has asked.
  const Monotonic end = loop_.world().clock.now() + 30s;
  while (prepare() != kCommitted && loop_.world().clock.now() < end)
    loop_.run_until_done(loop_.world().clock.sleep_for(10ms));
  kill();
  EXPECT_EQ(stock(), "97/0/3");
}

// 24, 25
TEST_F(ParticipantKillTest, KilledAroundItsEndItAnswersTheRepetition) {
  for (const std::string fault : {"participant.before_end=crash:1", "participant.after_end=crash:1"}) {
    start();
    EXPECT_EQ(take_three(), "200 taken");
    EXPECT_EQ(prepare(), kPrepared);
    kill();
    start(fault);
    EXPECT_EQ(notify(Decision::commit), "timeout");
    restart();
    EXPECT_EQ(notify(Decision::commit), kCommitted);
    EXPECT_EQ(notify(Decision::commit), kCommitted);
    kill();
    EXPECT_EQ(stock(), "97/0/3") << fault;
    with_database([&](sys::Loop& loop, sql::Database& db) {
      EXPECT_TRUE(
          run_statements(loop, db, {"DELETE FROM branches", "UPDATE stock SET avail = 100, sold = 0 WHERE item = 1"}));
    });
  }
}

}  // namespace
}  // namespace hf::participant
