#pragma once

/// The services on real loops, ports and MariaDB servers: one server for payment, one for inventory, as two hosts would
/// have them. The coordinator and the order service stay on SQLite.

#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>

#include "net/listener.h"
#include "sql/mysql/local_server.h"
#include "sql/mysql/slow_machine.h"
#include "sys/eventually.h"
#include "sys/loop.h"
#include "sys/wait.h"
#include "two_phase/services.h"

namespace hf::test {

inline std::string fresh_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "hf-two-phase-XXXXXX").string();
  HF_ASSERT(::mkdtemp(name.data()) != nullptr);
  return name;
}

/// Two servers for all tests of this process, started when the first needs them.
class Servers {
 public:
  static Servers& get() {
    static Servers servers;
    return servers;
  }
  ~Servers() {
    payment.reset();
    inventory.reset();
    std::filesystem::remove_all(folder_);
  }
  std::string fresh(sql::mysql::LocalServer& server) {
    return server.url(fmt::format("shop{}", ++databases_), sql::mysql::patient());
  }

 private:
  Servers() : folder_(fresh_folder()) {
    payment = start("payment");
    inventory = start("inventory");
  }
  std::unique_ptr<sql::mysql::LocalServer> start(const std::string& name) {
    sql::mysql::LocalServerOptions options;
    options.folder = folder_ + "/" + name;
    auto server = sql::mysql::LocalServer::start(options);
    if (!server) ADD_FAILURE() << server.error().to_string();
    HF_ASSERT(server.has_value());
    return std::move(*server);
  }

  const std::string folder_;
  int databases_ = 0;

 public:
  std::unique_ptr<sql::mysql::LocalServer> payment, inventory;
};

class RealShop : public ::testing::Test {
 protected:
  RealShop()
      : folder(fresh_folder()),
        http(std::make_unique<net::HttpClient>(loop.world(), net::HttpClient::Options{})),
        tasks(loop.executor(), loop.world().clock) {
    config.folder = folder;
    config.payment_db = Servers::get().fresh(*Servers::get().payment);
    config.inventory_db = Servers::get().fresh(*Servers::get().inventory);
    config.orders.ask_every = 100ms;
    config.coordinator.retry_max = 500ms;
  }
  ~RealShop() override {
    hold = nullptr;
    loop.run_until_done(tasks.join());
    if (services) {
      for (auto& [name, listener] : listeners) {
        loop.run_until_done(listener->drain(loop.world().clock.now() + 5s));
      }
      loop.run_until_done(services->stop());
    }
    listeners.clear();
    services.reset();
    http.reset();
    loop.drain(5s);
    std::filesystem::remove_all(folder);
  }

  void start() {
    config.coordinator_url = listen("coordinator");
    config.orders_url = listen("orders");
    config.payment_url = listen("payment");
    config.inventory_url = listen("inventory");
    participant::SendHttp send = [this](net::HttpRequest request, std::string url, Monotonic deadline) {
      return send_unless_held(std::move(request), std::move(url), deadline);
    };
    services = std::make_unique<Services>(loop.world(), config, std::move(send));
    const Result<void> started = loop.run_until_done(services->start());
    ASSERT_TRUE(started) << started.error().to_string();
  }

  /// Over HTTP. Waits longer than any order may take.
  asio::awaitable<net::HttpResponse> ask(std::string method, std::string url, std::string body = "",
                                         net::HttpHeaders headers = {}) {
    net::HttpRequest request;
    request.method = std::move(method);
    request.body = std::move(body);
    request.headers = std::move(headers);
    Result<net::HttpResponse> answer =
        co_await http->send(std::move(request), std::move(url), loop.world().clock.now() + 150s);
    co_return answer ? std::move(*answer) : net::HttpResponse::text(599, answer.error().to_string());
  }
  net::HttpResponse call(std::string method, std::string url, std::string body = "", net::HttpHeaders headers = {}) {
    return loop.run_until_done(ask(std::move(method), std::move(url), std::move(body), std::move(headers)));
  }
  static std::string order_body(std::string_view card, std::int64_t item, std::int64_t qty) {
    return fmt::format(R"({{"cardNo":"{}","itemId":{},"qty":{}}})", card, item, qty);
  }
  net::HttpResponse place(std::string_view card, std::int64_t item, std::int64_t qty) {
    return call("POST", config.orders_url + "/placeOrder", order_body(card, item, qty));
  }
  boost::json::value get(const std::string& url) {
    const net::HttpResponse response = call("GET", url);
    EXPECT_EQ(response.status, 200) << url << " " << response.body;
    return boost::json::parse(response.body);
  }
  std::int64_t balance(std::size_t at) {
    return get(config.payment_url + "/payment/accounts").at("accounts").at(at).at("amount").as_int64();
  }
  std::int64_t stock(std::size_t at) {
    return get(config.inventory_url + "/inventory/stock").at("stock").at(at).at("amount").as_int64();
  }
  std::string status_of(const net::HttpResponse& placed) {
    const std::string id(placed.headers.get("x-holdfast-order-id").value_or(""));
    return std::string(get(config.orders_url + "/orders/" + id).at("status").as_string());
  }
  bool confirmed(const net::HttpResponse& placed) {
    return eventually([&] { return status_of(placed) == "confirmed"; });
  }
  /// Lets the loop run until `what` holds; false after `limit`.
  bool eventually(const std::function<bool()>& what, Duration limit = 20s) {
    return sys::eventually(loop, what, limit);
  }
  void audit() {
    const boost::json::value accounts = get(config.payment_url + "/payment/accounts"),
                             items = get(config.inventory_url + "/inventory/stock");
    for (const auto& row : accounts.at("accounts").as_array()) check_sum(row.as_object(), "held", "paid");
    for (const auto& row : items.at("stock").as_array()) check_sum(row.as_object(), "reserved", "sold");
    EXPECT_TRUE(loop.run_until_done(services->payment->branches().in_doubt())->empty());
    EXPECT_TRUE(loop.run_until_done(services->inventory->branches().in_doubt())->empty());
  }
  static void check_sum(const boost::json::object& row, const char* between, const char* end) {
    EXPECT_GE(row.at("amount").as_int64(), 0) << row;
    EXPECT_EQ(row.at(between).as_int64(), 0) << row;
    EXPECT_EQ(row.at("amount").as_int64() + row.at(end).as_int64(), row.at("opening").as_int64()) << row;
  }

  const std::string folder;
  sys::Loop loop;
  std::unique_ptr<net::HttpClient> http;
  sys::TaskGroup tasks;
  ServicesConfig config;
  std::unique_ptr<Services> services;
  std::map<std::string, std::unique_ptr<net::Listener>> listeners;
  std::function<bool(const std::string& url)> hold;  ///< requests between services that do not get through

 private:
  std::string listen(const std::string& service) {
    net::ListenerOptions options;
    options.name = service;
    options.http = [this, service](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
      const net::HttpHandler handler = services ? services->handler(service) : net::HttpHandler();
      if (!handler) co_return net::HttpResponse::text(503, "not running");
      co_return co_await handler(std::move(request));
    };
    auto listener = net::Listener::start(loop.world(), std::move(options));
    HF_ASSERT(listener.has_value());
    const std::string url = fmt::format("http://127.0.0.1:{}", (*listener)->port());
    listeners[service] = std::move(*listener);
    return url;
  }
  Task<net::HttpResponse> send_unless_held(net::HttpRequest request, std::string url, Monotonic deadline) {
    if (hold && hold(url)) co_return Error{Code::unavailable, "held by the test"};
    co_return co_await http->send(std::move(request), std::move(url), deadline);
  }
};

}  // namespace hf::test
