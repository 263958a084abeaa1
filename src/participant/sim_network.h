#pragma once

/// A network in simulated time, for tests: requests and answers are late, lost, doubled, and so overtake one another;
/// hosts go away and come back.

#include <fmt/format.h>

#include "net/http.h"
#include "sys/sim.h"

namespace hf::participant {

class SimNetwork {
 public:
  using Handler = std::function<asio::awaitable<net::HttpResponse>(net::HttpRequest)>;
  struct Faults {
    double lose_request = 0, lose_answer = 0, duplicate = 0;
    Duration delay_max = 1ms;
  };
  enum class Fate { arrives, request_lost, answer_lost };

  explicit SimNetwork(sys::SimWorld& sim) : sim_(sim) {}

  void connect(const std::string& origin, Handler handler) { hosts_[origin] = {std::move(handler), ++lives_}; }
  void disconnect(const std::string& origin) { hosts_.erase(origin); }

  Task<net::HttpResponse> send(net::HttpRequest request, std::string url, Monotonic deadline) {
    HF_CO_TRY(const net::Url to, net::parse_url(url));
    request.target = to.target;
    Fate fate = draw();
    if (script) fate = script(request).value_or(fate);
    co_await sim_.clock().sleep_for(delay());
    if (fate == Fate::request_lost) co_return co_await silence(deadline);
    if (!is_business(request) && chance(faults.duplicate)) sim_.spawn(again(request, to.origin()));
    const auto host = hosts_.find(to.origin());
    if (host == hosts_.end()) co_return Error{Code::unavailable, "connection refused"};
    const std::uint64_t life = host->second.life;
    Handler handler = host->second.handler;
    net::HttpResponse answer = co_await handler(std::move(request));
    co_await sim_.clock().sleep_for(delay());
    const auto still = hosts_.find(to.origin());
    const bool died = still == hosts_.end() || still->second.life != life;
    if (died || fate == Fate::answer_lost || sim_.clock().now() > deadline) co_return co_await silence(deadline);
    co_return answer;
  }

  Faults faults;
  /// Decides about single requests; nullopt: as chance has it.
  std::function<std::optional<Fate>(const net::HttpRequest&)> script;

 private:
  struct Host {
    Handler handler;
    std::uint64_t life = 0;
  };

  /// Our own clients never repeat a call to a service: two of the same are two.
  static bool is_business(const net::HttpRequest& request) {
    return !request.target.starts_with("/balcoordinator/") && !request.target.starts_with("/2pc/");
  }
  bool chance(double p) { return p > 0 && sim_.world().random.unit() < p; }
  Duration delay() {
    return Duration(
        static_cast<std::int64_t>(sim_.world().random.unit() * static_cast<double>(faults.delay_max.count())));
  }
  Fate draw() {
    if (chance(faults.lose_request)) return Fate::request_lost;
    return chance(faults.lose_answer) ? Fate::answer_lost : Fate::arrives;
  }
  Task<net::HttpResponse> silence(Monotonic deadline) {
    co_await sim_.clock().sleep_until(deadline);
    co_return Error{Code::timeout, "no answer"};
  }
  /// The same request once more, later; nobody hears the answer.
  asio::awaitable<void> again(net::HttpRequest request, std::string origin) {
    co_await sim_.clock().sleep_for(delay() + delay());
    const auto host = hosts_.find(origin);
    if (host == hosts_.end()) co_return;
    Handler handler = host->second.handler;
    (void)co_await handler(std::move(request));
  }

  sys::SimWorld& sim_;
  std::map<std::string, Host> hosts_;
  std::uint64_t lives_ = 0;
};

}  // namespace hf::participant
