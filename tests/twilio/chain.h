#pragma once

/// Notifier and phone, the real ones, on one strand of virtual time and one simulated disk, joined by a network that
/// takes its time. kill() is a power cut of the process that holds both: what was not synced is lost or torn.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "notifier/notifier.h"
#include "phone/phone.h"
#include "sys/sim.h"
#include "wire/twilio/message.h"
#include "wire/twilio/sid.h"

namespace hf::test {

using net::HttpRequest;
using net::HttpResponse;

inline const std::string kAccounts = std::string("/2010-04-01/Accounts/") + phone::kSandboxAccount;
inline const std::string kMessages = kAccounts + "/Messages.json", kCalls = kAccounts + "/Calls.json";

class Chain {
 public:
  explicit Chain(std::uint64_t seed, notifier::NotifierConfig notifier_config = {},
                 phone::PhoneConfig phone_config = {})
      : sim(seed), notifier_config_(std::move(notifier_config)), phone_config_(std::move(phone_config)) {
    start();
  }
  ~Chain() {
    shut_down(*now_);
    for (const auto& dead : dead_) shut_down(*dead);
    sim.run_for(1s);  // calls that hung are answered now, and their answers still have a way to go
  }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  void kill(sys::SimDisk::Unsynced unsynced = sys::SimDisk::Unsynced::torn) {
    now_->dead = true;
    dead_.push_back(now_);
    sim.disk().crash(unsynced);
    start();
  }

  /// A client of the notifier. Errors as net::HttpClient's.
  Task<HttpResponse> to_notifier(HttpRequest request, Duration timeout = 5s) {
    const std::shared_ptr<Process> process = now_;
    co_return co_await deliver(process, process->notifier->http(), std::move(request), sim.clock().now() + timeout);
  }
  HttpResponse notify(const net::FormFields& form, const std::string& event_id, const std::string& target = kMessages) {
    Result<HttpResponse> response = sim.run_until_done(to_notifier(create_request(form, event_id, target), 60s));
    return response ? *response : HttpResponse::text(0, response.error().message);
  }
  static HttpRequest create_request(const net::FormFields& form, const std::string& event_id,
                                    const std::string& target = kMessages) {
    HttpRequest request = authorized("POST", target);
    request.headers.add("Content-Type", "application/x-www-form-urlencoded");
    if (!event_id.empty()) request.headers.add("X-Holdfast-Event-Id", event_id);
    request.body = net::encode_form(form);
    return request;
  }
  static HttpRequest authorized(std::string method, std::string target) {
    HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers.add("Authorization", wire::twilio::basic_header(phone::kSandboxAccount, phone::kSandboxToken));
    return request;
  }
  HttpResponse get_notifier(const std::string& target) {
    return sim.run_until_done(now_->notifier->http()(authorized("GET", target)));
  }
  HttpResponse admin(const std::string& method, const std::string& target, const std::string& body = {}) {
    HttpRequest request = authorized(method, target);
    request.body = body;
    return sim.run_until_done(now_->notifier->admin_http()(std::move(request)));
  }
  HttpResponse phone(const std::string& method, const std::string& target, const std::string& body = {}) {
    HttpRequest request = authorized(method, target);
    request.body = body;
    return sim.run_until_done(now_->phone->http()(std::move(request)));
  }
  HttpResponse hook(HttpRequest request) { return sim.run_until_done(now_->notifier->http()(std::move(request))); }
  void fault(const std::string& json) { ASSERT_EQ(phone("POST", "/control/faults", json).status, 201) << json; }

  sys::SimWorld sim;
  bool provider_unreachable = false;
  std::size_t provider_posts = 0;
  Duration latency_max = 2ms;
  std::vector<HttpRequest> passed_on;  ///< what a client's own StatusCallback got (http://client/…)

 private:
  struct Process {
    bool dead = false;
    std::unique_ptr<sql::Database> phone_db, notifier_db;
    std::unique_ptr<phone::Phone> phone;
    std::unique_ptr<notifier::Notifier> notifier;
  };
  using ProcessPtr = std::shared_ptr<Process>;
  struct Reply {
    explicit Reply(sys::Clock& clock) : done(clock) {}
    std::optional<HttpResponse> response;
    sys::Event done;
  };

  std::unique_ptr<sql::Database> open(const std::string& url) {
    auto db = sql::open(sim.world(), url, "/data");
    if (!db) ADD_FAILURE() << db.error().to_string();
    HF_ASSERT(db.has_value());
    return std::move(*db);
  }

  void start() {
    now_ = std::make_shared<Process>();
    Process& p = *now_;
    const std::weak_ptr<Process> self = now_;
    p.phone_db = open("sqlite:phone.db");
    p.notifier_db = open("sqlite:notifier.db");
    phone::Transport to_notifier = [this, self](HttpRequest request, std::string url, Monotonic deadline) {
      return route(self.lock(), std::move(request), std::move(url), deadline);
    };
    auto started_phone =
        sim.run_until_done(phone::Phone::start(sim.world(), phone_config_, *p.phone_db, std::move(to_notifier)));
    HF_ASSERT(started_phone.has_value());
    p.phone = std::move(*started_phone);
    notifier::Transport to_provider = [this, self](HttpRequest request, std::string url, Monotonic deadline) {
      return route(self.lock(), std::move(request), std::move(url), deadline);
    };
    auto started = sim.run_until_done(
        notifier::Notifier::start(sim.world(), notifier_config_, *p.notifier_db, std::move(to_provider)));
    HF_ASSERT(started.has_value());
    p.notifier = std::move(*started);
  }
  void shut_down(Process& p) {
    sim.run_until_done(p.notifier->stop());
    sim.run_until_done(p.phone->stop());
    sim.run_until_done(p.notifier_db->close());
    sim.run_until_done(p.phone_db->close());
  }

  Task<HttpResponse> route(ProcessPtr process, HttpRequest request, std::string url, Monotonic deadline) {
    const net::Url parsed = *net::parse_url(url);
    request.target = parsed.target;
    request.peer = "127.0.0.1:40000";
    if (parsed.host == "client") {
      passed_on.push_back(std::move(request));
      co_return HttpResponse::text(204, "");
    }
    if (parsed.port == 4020 && !process->notifier)
      co_return Error{Code::unavailable, "connection refused"};  // still starting
    if (parsed.port == 4020)
      co_return co_await deliver(process, process->notifier->http(), std::move(request), deadline);
    if (provider_unreachable) co_return Error{Code::unavailable, "connection refused"};
    if (request.method == "POST") ++provider_posts;
    co_return co_await deliver(process, process->phone->http(), std::move(request), deadline);
  }

  /// One request over the network: it takes a while in each direction; a dead process answers nobody.
  Task<HttpResponse> deliver(ProcessPtr process, net::HttpHandler handler, HttpRequest request, Monotonic deadline) {
    if (process->dead) co_return Error{Code::unavailable, "connection refused"};
    auto reply = std::make_shared<Reply>(sim.clock());
    sim.spawn(serve(process, std::move(handler), std::move(request), reply));
    while (!reply->response && sim.clock().now() < deadline && !process->dead) {
      co_await reply->done.wait_until(std::min(deadline, sim.clock().now() + 100ms));
    }
    if (!reply->response || process->dead) co_return Error{Code::timeout, "no answer"};
    co_return std::move(*reply->response);
  }
  asio::awaitable<void> serve(ProcessPtr process, net::HttpHandler handler, HttpRequest request,
                              std::shared_ptr<Reply> reply) {
    co_await sim.clock().sleep_for(latency());
    if (process->dead) co_return;
    HttpResponse response = co_await handler(std::move(request));
    co_await sim.clock().sleep_for(latency());
    if (process->dead) co_return;
    reply->response = std::move(response);
    reply->done.notify_all();
  }
  Duration latency() {
    return Duration(
        static_cast<Duration::rep>(sim.world().random.below(static_cast<std::uint64_t>(latency_max.count()) + 1)));
  }

  const notifier::NotifierConfig notifier_config_;
  const phone::PhoneConfig phone_config_;
  ProcessPtr now_;
  std::vector<ProcessPtr> dead_;
};

}  // namespace hf::test
