#pragma once

/// For the tests of the router: a real database in a folder of its own, a real HTTP destination on loopback whose
/// answers the test writes, and the router between them on one loop.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <filesystem>

#include "net/listener.h"
#include "router/router.h"
#include "router/sigv4.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::router {

class RouterTest : public ::testing::Test {
 protected:
  using Answer = std::function<net::HttpResponse(const net::HttpRequest&)>;

  RouterTest() {
    char name[] = "/tmp/hf_router_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
    db_ = sql::open(world_, "sqlite:router.db", dir_).value();
    open_sink(0);
    config_.notifier_url = "http://127.0.0.1:" + std::to_string(sink_port_);
    config_.retry_first = 2ms;
    config_.retry_max = 8ms;
    config_.request_timeout = 30s;  // nothing is sent twice because a machine stood still
  }
  ~RouterTest() override {
    let_go();
    stop();
    close_sink();
    loop_.run_until_done(db_->close());
    db_.reset();
    loop_.drain(2s);
    std::filesystem::remove_all(dir_);
  }

  void start() {
    router_ = std::make_unique<Router>(world_, config_, *db_);
    const Result<void> started = loop_.run_until_done(router_->start());
    ASSERT_TRUE(started) << started.error().to_string();
    aws_ = router_->aws_http();
  }
  void stop() {
    if (!router_) return;
    loop_.run_until_done(router_->stop());
    aws_ = nullptr;
    router_.reset();
  }

  void open_sink(std::uint16_t port) {
    net::ListenerOptions options;
    options.name = "sink";
    options.port = port;
    options.http = [this](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
      seen_.push_back(request);
      while (hold_ && hold_(request)) co_await let_go_.wait();
      co_return answer_(request);
    };
    sink_ = net::Listener::start(world_, std::move(options)).value();
    sink_port_ = sink_->port();
  }
  void close_sink() {
    if (!sink_) return;
    loop_.run_until_done(sink_->drain(world_.clock.now()));
    sink_.reset();
  }

  void let_go() {
    hold_ = nullptr;
    let_go_.notify_all();
  }

  // What a message of the shop looks like.
  static std::string order(std::string_view id, std::string_view channels, std::string_view phone = "+15551234567") {
    return fmt::format(
        R"({{"source":"ecommerce.orders","detail-type":"order.confirmed","time":"2026-11-21T09:00:00Z","detail":)"
        R"({{"order_id":"{}","channel":[{}],"customer_phone":"{}"}}}})",
        id, channels, phone);
  }
  /// As if a message of the subscribed topic had come. Returns the event's id.
  Result<std::string> receive(std::string_view message_id, std::string_view body) {
    HF_TRY(Intake::Incoming incoming, router_->intake().from_message(config_.topics[0], message_id, "", {}, body));
    const std::string id = incoming.event.id;
    std::vector<Intake::Incoming> one;
    one.push_back(std::move(incoming));
    HF_TRY(loop_.run_until_done(router_->intake().accept(std::move(one))));
    return id;
  }

  EventStory story(const std::string& event_id) {
    auto found = loop_.run_until_done(router_->event(event_id));
    HF_ASSERT(found && *found);
    return std::move(**found);
  }
  /// The event's story once nothing of it is pending any more.
  EventStory settled(const std::string& event_id, Duration limit = 30s) {
    const Monotonic deadline = world_.clock.now() + limit;
    for (;;) {
      EventStory now = story(event_id);
      const bool pending = std::ranges::any_of(
          now.deliveries, [](const DeliveryStory& d) { return d.delivery.state == DeliveryState::pending; });
      if (!pending) return now;
      if (world_.clock.now() > deadline) {
        ADD_FAILURE() << "still pending: " << event_id;
        return now;
      }
      turn(1ms);
    }
  }
  /// Lets everybody else run.
  void turn(Duration d) { loop_.run_until_done(world_.clock.sleep_for(d)); }

  net::HttpRequest request(std::string_view operation, std::string body) {
    net::HttpRequest out;
    out.method = "POST";
    out.target = "/";
    out.headers.add("Host", "127.0.0.1:4010");
    out.headers.add("X-Amz-Target", "AWSEvents." + std::string(operation));
    out.headers.add("Content-Type", "application/x-amz-json-1.1");
    out.body = std::move(body);
    return out;
  }
  struct Reply {
    int status;
    std::string text;
    boost::json::value body;
    std::string type() const { return std::string(body.at("__type").as_string()); }
    std::string message() const { return std::string(body.at("message").as_string()); }
    std::string at(std::string_view name) const { return std::string(body.at(name).as_string()); }
  };
  Reply send(net::HttpRequest request) {
    net::HttpResponse response = loop_.run_until_done(aws_(std::move(request)));
    EXPECT_TRUE(response.headers.get("x-amzn-RequestId"));
    boost::json::value body = response.body.empty() ? boost::json::value(nullptr) : boost::json::parse(response.body);
    return {response.status, response.body, std::move(body)};
  }
  Reply call(std::string_view operation, std::string body) {
    net::HttpRequest signed_request = request(operation, std::move(body));
    sign(signed_request, config_.access_keys[0], {config_.region}, world_.clock.wall());
    return send(std::move(signed_request));
  }
  Reply admin(std::string method, std::string path, std::string body = "") {
    net::HttpRequest out;
    out.method = std::move(method);
    out.target = std::move(path);
    out.body = std::move(body);
    const net::HttpResponse response = loop_.run_until_done(router_->admin_http()(std::move(out)));
    return {response.status, response.body, boost::json::parse(response.body)};
  }

  std::string dir_;
  sys::Loop loop_;
  sys::World& world_ = loop_.world();
  std::unique_ptr<sql::Database> db_;
  RouterConfig config_;
  Answer answer_ = [](const net::HttpRequest&) {
    return net::HttpResponse::json(201, R"({"sid":"SM00000000000000000000000000000001"})");
  };
  std::function<bool(const net::HttpRequest&)> hold_;  ///< which requests get no answer until let_go()
  sys::Event let_go_{world_.clock};
  std::vector<net::HttpRequest> seen_;
  std::unique_ptr<net::Listener> sink_;
  std::uint16_t sink_port_ = 0;
  std::unique_ptr<Router> router_;
  net::HttpHandler aws_;
};

}  // namespace hf::router
