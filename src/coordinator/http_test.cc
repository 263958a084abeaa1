/// The coordinator and its participants over real sockets, with real time.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "coordinator/scripted.h"
#include "net/listener.h"
#include "sys/loop.h"

namespace hf::coordinator {
namespace {

using scripted::Branch;
using wire::two_phase::Decision;
using wire::two_phase::Outcome;

class OverHttp : public testing::Test {
 protected:
  OverHttp() {
    char name[] = "/tmp/hf_coordinator_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
    auto opened = sql::open(loop_.world(), "sqlite:coordinator.db", dir_);
    HF_ASSERT(opened.has_value());
    db_ = std::move(*opened);
    payment_at_ = listen(payment_.handler());
    order_at_ = listen(order_.handler());
    coordinator_at_ = listen([this](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
      const net::HttpHandler handler = coordinator_->http();
      co_return co_await handler(std::move(request));
    });
    config_.base_url = url_of(*coordinator_at_);
    config_.secret = "hush";
    config_.retry_first = config_.retry_max = 20ms;
    coordinator_ = std::make_unique<Coordinator>(loop_.world(), config_, *db_, send_);
    initiator_.emplace(loop_.world(), config_.base_url, send_);
    initiator_->secret = "hush";
  }
  ~OverHttp() override {
    const auto end = [this]() -> asio::awaitable<void> {
      co_await coordinator_at_->drain(loop_.world().clock.now() + 5s);
      co_await coordinator_->stop();
      co_await db_->close();
    };
    loop_.run_until_done(end());
    coordinator_.reset();
    client_.reset();
    payment_at_.reset();
    order_at_.reset();
    coordinator_at_.reset();
    EXPECT_TRUE(loop_.drain(30s));
    db_.reset();
    std::filesystem::remove_all(dir_);
  }

  std::unique_ptr<net::Listener> listen(net::HttpHandler handler, std::uint16_t port = 0) {
    net::ListenerOptions options;
    options.name = "test";
    options.port = port;
    options.http = std::move(handler);
    auto listener = net::Listener::start(loop_.world(), std::move(options));
    HF_ASSERT(listener.has_value());
    return std::move(*listener);
  }
  static std::string url_of(const net::Listener& listener) {
    return "http://127.0.0.1:" + std::to_string(listener.port());
  }
  template <class T>
  T run(Task<T> task) {
    Result<T> result = loop_.run_until_done(std::move(task));
    EXPECT_TRUE(result) << result.error().to_string();
    return std::move(*result);
  }
  std::string begin_with_branch() {
    const std::string gtrid = run(initiator_->begin()).gtrid;
    payment_.branches[gtrid] = Branch::active;
    const std::string u = "/balcoordinator/participant/2pc/" + gtrid;
    EXPECT_EQ(run(initiator_->enrol(gtrid, "payment", url_of(*payment_at_) + u)).status, 200);
    EXPECT_EQ(
        run(initiator_->enrol(gtrid, "order", url_of(*order_at_) + u, wire::two_phase::Protocol::completion)).status,
        200);
    return gtrid;
  }
  asio::awaitable<bool> finishes(std::string gtrid) {
    const Monotonic limit = loop_.world().clock.now() + 30s;
    while (loop_.world().clock.now() < limit) {
      const auto report = co_await initiator_->outcome(gtrid);
      if (report && report->finished) co_return true;
      co_await loop_.world().clock.sleep_for(5ms);
    }
    co_return false;
  }

  std::string dir_;
  sys::Loop loop_;
  std::optional<net::HttpClient> client_ =
      std::optional<net::HttpClient>(std::in_place, loop_.world(), net::HttpClient::Options{});
  SendHttp send_ = [this](net::HttpRequest request, std::string url, Monotonic deadline) {
    return client_->send(std::move(request), std::move(url), deadline);
  };
  std::unique_ptr<sql::Database> db_;
  CoordinatorConfig config_;
  scripted::Participant payment_{"payment"};
  scripted::Completion order_{"order"};
  std::unique_ptr<net::Listener> payment_at_, order_at_, coordinator_at_;
  std::unique_ptr<Coordinator> coordinator_;
  std::optional<scripted::Initiator> initiator_;
};

TEST_F(OverHttp, CommitsAndFinishes) {
  ASSERT_TRUE(loop_.run_until_done(coordinator_->start()));
  const std::string gtrid = begin_with_branch();
  EXPECT_EQ(run(initiator_->end(gtrid, "commit")).outcome, Outcome::committed);
  EXPECT_TRUE(loop_.run_until_done(finishes(gtrid)));
  EXPECT_EQ(payment_.branches[gtrid], Branch::committed);
  EXPECT_EQ(order_.told[gtrid], std::set{Decision::commit});
  EXPECT_EQ(payment_.secret_seen, "Bearer hush");
}

TEST_F(OverHttp, AParticipantThatComesBackHearsTheDecision) {
  ASSERT_TRUE(loop_.run_until_done(coordinator_->start()));
  const std::string gtrid = begin_with_branch();
  payment_.instead = [first = true](const net::HttpRequest& r) mutable -> std::optional<net::HttpResponse> {
    if (r.path().ends_with("/prepare")) return std::nullopt;
    if (std::exchange(first, false)) return scripted::Participant::reply(500, "failed");
    return std::nullopt;
  };
  const std::uint16_t port = payment_at_->port();
  EXPECT_EQ(run(initiator_->end(gtrid, "commit")).outcome, Outcome::committed);
  payment_at_.reset();  // away
  client_->close_idle();
  const auto later = [this]() -> asio::awaitable<void> { co_await loop_.world().clock.sleep_for(100ms); };
  loop_.run_until_done(later());
  payment_at_ = listen(payment_.handler(), port);
  EXPECT_TRUE(loop_.run_until_done(finishes(gtrid)));
  EXPECT_EQ(payment_.branches[gtrid], Branch::committed);
  EXPECT_EQ(payment_.effects[gtrid], 1);
}

}  // namespace
}  // namespace hf::coordinator
