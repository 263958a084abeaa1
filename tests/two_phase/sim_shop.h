#pragma once

/// The services on one simulated disk and clock, joined by a network that takes its time and can be told what to lose.

#include <boost/json/parse.hpp>
#include <map>

#include "sys/sim.h"
#include "two_phase/services.h"

namespace hf::test {

/// What becomes of one request.
enum class Fate {
  pass,
  refuse,        ///< nobody listens: certainly not processed
  lose_request,  ///< it never arrives; the caller hears nothing
  lose_answer,   ///< it is processed; the caller hears nothing
  twice,         ///< it arrives a second time, later; the caller hears the second answer
};

class SimNetwork {
 public:
  explicit SimNetwork(sys::SimWorld& sim) : sim_(sim) {}

  /// Decides over every request; "http://payment:1/balcoordinator/…/prepare".
  std::function<Fate(const net::HttpRequest& request, const std::string& url)> fate;
  std::function<net::HttpHandler(std::string_view service)> find;
  std::map<std::string, int> seen;  ///< requests by "service path", path without ids
  Duration latency_max = 2ms;

  Task<net::HttpResponse> send(net::HttpRequest request, std::string url, Monotonic deadline) {
    const net::Url parsed = *net::parse_url(url);
    request.target = parsed.target;
    request.peer = "127.0.0.1:40000";
    ++seen[parsed.host + " " + parsed.target.substr(parsed.target.rfind('/'))];
    const Fate what = fate ? fate(request, url) : Fate::pass;
    if (what == Fate::refuse) co_return Error{Code::unavailable, "connection refused"};
    if (what == Fate::lose_request) co_return co_await nothing(deadline);
    co_await pause();
    if (what == Fate::twice) {
      (void)co_await deliver(parsed.host, request);
      co_await pause();
    }
    Result<net::HttpResponse> answer = co_await deliver(parsed.host, std::move(request));
    if (what == Fate::lose_answer) co_return co_await nothing(deadline);
    co_await pause();
    if (sim_.clock().now() > deadline) co_return Error{Code::timeout, "no answer in time"};
    co_return answer;
  }

 private:
  Task<net::HttpResponse> deliver(std::string service, net::HttpRequest request) {
    const net::HttpHandler handler = find(service);
    if (!handler) co_return Error{Code::unavailable, "connection refused"};
    co_return co_await handler(std::move(request));
  }
  Task<net::HttpResponse> nothing(Monotonic deadline) {
    co_await sim_.clock().sleep_until(deadline);
    co_return Error{Code::timeout, "no answer in time"};
  }
  asio::awaitable<void> pause() {
    const auto most = static_cast<std::uint64_t>(latency_max.count());
    co_await sim_.clock().sleep_for(Duration(most == 0 ? 0 : sim_.world().random.below(most)));
  }

  sys::SimWorld& sim_;
};

class SimShop : public ::testing::Test {
 protected:
  explicit SimShop(std::uint64_t seed = 7) : sim(seed), network(sim) {
    config.orders.ask_every = 200ms;
    network.find = [this](std::string_view service) {
      return services ? services->handler(service) : net::HttpHandler();
    };
  }
  ~SimShop() override { stop(); }

  void start() {
    participant::SendHttp send = [this](net::HttpRequest request, std::string url, Monotonic deadline) {
      return network.send(std::move(request), std::move(url), deadline);
    };
    services = std::make_unique<Services>(sim.world(), config, std::move(send));
    const Result<void> started = sim.run_until_done(services->start());
    ASSERT_TRUE(started) << started.error().to_string();
  }
  void stop() {
    if (!services) return;
    sim.world().faults.disarm_all();
    network.fate = nullptr;
    sim.run_until_done(services->stop());
    services.reset();
  }

  net::HttpResponse call(std::string_view service, std::string method, std::string target, std::string body = "",
                         net::HttpHeaders headers = {}) {
    return sim.run_until_done(start_call(service, std::move(method), std::move(target), std::move(body), headers));
  }
  asio::awaitable<net::HttpResponse> start_call(std::string_view service, std::string method, std::string target,
                                                std::string body, net::HttpHeaders headers) {
    net::HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    request.headers = std::move(headers);
    return services->handler(service)(std::move(request));
  }
  static std::string order_body(std::string_view card, std::int64_t item, std::int64_t qty) {
    return fmt::format(R"({{"cardNo":"{}","itemId":{},"qty":{}}})", card, item, qty);
  }
  net::HttpResponse place(std::string_view card, std::int64_t item, std::int64_t qty, std::string key = "") {
    net::HttpHeaders headers;
    if (!key.empty()) headers.add("Idempotency-Key", std::move(key));
    return call("orders", "POST", "/placeOrder", order_body(card, item, qty), headers);
  }
  boost::json::value get(std::string_view service, const std::string& target) {
    const net::HttpResponse response = call(service, "GET", target);
    EXPECT_EQ(response.status, 200) << target << " " << response.body;
    return boost::json::parse(response.body);
  }
  static std::string id_of(const net::HttpResponse& response) {
    return std::string(response.headers.get("x-holdfast-order-id").value_or(""));
  }
  static std::string xid_of(const net::HttpResponse& response) {
    return std::string(response.headers.get("x-b7a-xid").value_or(""));
  }
  std::string status_of(const std::string& order_id) {
    return std::string(get("orders", "/orders/" + order_id).at("status").as_string());
  }
  std::int64_t balance(std::size_t at) { return number("payment", "/payment/accounts", "accounts", at, "amount"); }
  std::int64_t stock(std::size_t at) { return number("inventory", "/inventory/stock", "stock", at, "amount"); }
  std::int64_t number(std::string_view service, const std::string& target, const char* list, std::size_t at,
                      const char* field) {
    return get(service, target).at(list).as_array().at(at).at(field).as_int64();
  }

  /// P6: whatever happened, in every committed state. `settled`: nothing is held or reserved either.
  void audit(bool settled = true) {
    const boost::json::value accounts = get("payment", "/payment/accounts"),
                             stock = get("inventory", "/inventory/stock");
    for (const auto& account : accounts.at("accounts").as_array()) {
      check_sum(account.as_object(), "held", "paid", settled);
    }
    for (const auto& item : stock.at("stock").as_array()) {
      check_sum(item.as_object(), "reserved", "sold", settled);
    }
  }
  static void check_sum(const boost::json::object& row, const char* between, const char* end, bool settled) {
    EXPECT_GE(row.at("amount").as_int64(), 0) << row;
    EXPECT_EQ(row.at("amount").as_int64() + row.at(between).as_int64() + row.at(end).as_int64(),
              row.at("opening").as_int64())
        << row;
    if (settled) EXPECT_EQ(row.at(between).as_int64(), 0) << row;
  }

  /// The keys of all confirmations that were published, by order id, with how often.
  std::map<std::string, int> told() {
    const auto consumer =
        services->client().simple_consumer({.group = "judge", .subscriptions = {{.topic = config.orders.topic}}});
    auto receive_all = [&]() -> asio::awaitable<std::map<std::string, int>> {
      std::map<std::string, int> keys;
      EXPECT_TRUE(co_await consumer->start(10s));
      for (int empty = 0; empty < 8;) {
        const auto messages = co_await consumer->receive(32, 60s);
        EXPECT_TRUE(messages) << messages.error().to_string();
        if (!messages) break;
        empty = messages->empty() ? empty + 1 : 0;
        for (const mq::ReceivedMessage& message : *messages) {
          ++keys[message.message.keys.at(0)];
          EXPECT_TRUE(co_await consumer->ack(message));
        }
      }
      co_await consumer->close();
      co_return keys;
    };
    return sim.run_until_done(receive_all());
  }

  sys::SimWorld sim;
  SimNetwork network;
  ServicesConfig config;
  std::unique_ptr<Services> services;
};

}  // namespace hf::test
