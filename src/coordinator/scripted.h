#pragma once

/// For the coordinator's tests: participants whose answers are scripted, an initiator, and a network between them that
/// loses, doubles, delays and so reorders.

#include <boost/asio/co_spawn.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/coordinator.h"
#include "sys/sim.h"
#include "wire/two_phase/messages.h"

namespace hf::coordinator::scripted {

namespace wire = hf::wire::two_phase;
using wire::Decision;

struct Faults {
  double lose = 0, duplicate = 0;
  Duration delay_max = 0s;
};

/// Delivers requests to handlers by origin ("http://payment:1").
class Network {
 public:
  explicit Network(sys::World world) : world_(world) {}
  Faults faults;
  std::map<std::string, net::HttpHandler> hosts;
  std::uint64_t delivered = 0;

  /// `alive`: a sender that has died sends and hears nothing more.
  SendHttp sender(std::shared_ptr<bool> alive = std::make_shared<bool>(true)) {
    return [this, alive](net::HttpRequest request, std::string url, Monotonic deadline) {
      return send(std::move(request), std::move(url), deadline, alive);
    };
  }

 private:
  bool happens(double share) { return share > 0 && world_.random.unit() < share; }
  Duration some_delay() {
    const auto max = static_cast<std::uint64_t>(faults.delay_max.count());
    return max == 0 ? Duration(0) : Duration(static_cast<Duration::rep>(world_.random.below(max)));
  }

  Task<net::HttpResponse> send(net::HttpRequest request, std::string url, Monotonic deadline,
                               std::shared_ptr<bool> alive) {
    if (!*alive) co_return Error{Code::unavailable, "the sender is dead"};
    const Result<net::Url> parsed = net::parse_url(url);
    if (!parsed) co_return parsed.error();
    request.target = parsed->target;
    const std::string origin = parsed->scheme + "://" + parsed->host + ":" + std::to_string(parsed->port);
    if (happens(faults.duplicate)) {
      asio::co_spawn(world_.executor, deliver_late(origin, request), [](const std::exception_ptr&) {});
    }
    co_await world_.clock.sleep_for(some_delay());
    if (!*alive) co_return Error{Code::unavailable, "the sender is dead"};
    if (happens(faults.lose)) co_return co_await nothing_heard(deadline);
    Result<net::HttpResponse> answer = co_await deliver(origin, std::move(request));
    if (!answer) co_return answer;
    co_await world_.clock.sleep_for(some_delay());
    if (!*alive) co_return Error{Code::timeout, "the sender is dead"};
    if (happens(faults.lose) || world_.clock.now() >= deadline) co_return co_await nothing_heard(deadline);
    co_return answer;
  }
  Task<net::HttpResponse> nothing_heard(Monotonic deadline) {
    co_await world_.clock.sleep_until(deadline);
    co_return Error{Code::timeout, "no answer in time"};
  }
  Task<net::HttpResponse> deliver(std::string origin, net::HttpRequest request) {
    const auto host = hosts.find(origin);
    if (host == hosts.end() || !host->second) co_return Error{Code::unavailable, "connection refused"};
    ++delivered;
    const net::HttpHandler handler = host->second;
    co_return co_await handler(std::move(request));
  }
  asio::awaitable<void> deliver_late(std::string origin, net::HttpRequest request) {
    co_await world_.clock.sleep_for(some_delay() * 20);
    const Result<net::HttpResponse> ignored = co_await deliver(std::move(origin), std::move(request));
    static_cast<void>(ignored);
  }

  sys::World world_;
};

enum class Branch { active, prepared, committed, aborted, read_only };

/// A participant that does what the protocol asks, on a memory that never fails; or what its script says.
class Participant {
 public:
  explicit Participant(std::string name) : name_(std::move(name)) {}
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  std::string url() const { return "http://" + name_ + ":1/balcoordinator/participant/2pc/b"; }
  std::string origin() const { return "http://" + name_ + ":1"; }
  const std::string& name() const { return name_; }

  /// How it votes; absent: prepared.
  std::function<wire::Message(const std::string& gtrid)> votes;
  /// Answers instead of the protocol; nullopt: as the protocol says.
  std::function<std::optional<net::HttpResponse>(const net::HttpRequest&)> instead;
  std::map<std::string, Branch> branches;
  std::vector<std::string> heard;      ///< "prepare", "commit", "abort", in order
  std::map<std::string, int> effects;  ///< how often a branch took effect
  int contradictions = 0;              ///< told commit without being prepared, or the opposite of its end
  std::string secret_seen;

  net::HttpHandler handler() {
    return [this](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> { co_return answer(request); };
  }

  net::HttpResponse answer(const net::HttpRequest& request) {
    secret_seen = std::string(request.headers.get("authorization").value_or(""));
    if (request.path().ends_with("/prepare")) {
      const auto parsed = wire::parse_prepare_request(request.body);
      if (!parsed) return reply(400, parsed.error().message);
      heard.push_back("prepare");
      if (instead) {
        if (auto other = instead(request)) return *other;
      }
      return prepare(parsed->transaction_id);
    }
    const auto parsed = wire::parse_notify_request(request.body);
    if (!parsed) return reply(400, parsed.error().message);
    heard.emplace_back(wire::to_string(parsed->decision));
    if (instead) {
      if (auto other = instead(request)) return *other;
    }
    return parsed->decision == Decision::commit ? commit(parsed->transaction_id) : abort(parsed->transaction_id);
  }

  static net::HttpResponse reply(int status, std::string message, std::string reason = {}) {
    return net::HttpResponse::json(status, wire::encode(wire::Message{std::move(message), std::move(reason)}));
  }

 private:
  net::HttpResponse prepare(const std::string& gtrid) {
    const auto found = branches.find(gtrid);
    if (found == branches.end()) return reply(404, "Transaction-Unknown");
    if (found->second == Branch::aborted) return reply(200, "aborted", "it is aborted");
    if (found->second == Branch::committed) return reply(200, "committed");
    if (found->second == Branch::active) {
      const wire::Message vote = votes ? votes(gtrid) : wire::Message{"prepared", {}};
      if (vote.message == "aborted") found->second = Branch::aborted;
      if (vote.message == "read-only") found->second = Branch::read_only;
      if (vote.message == "prepared") found->second = Branch::prepared;
      return reply(200, vote.message, vote.reason);
    }
    return reply(200, found->second == Branch::read_only ? "read-only" : "prepared");
  }
  net::HttpResponse commit(const std::string& gtrid) {
    const auto found = branches.find(gtrid);
    if (found == branches.end()) {
      ++contradictions;
      return reply(404, "Transaction-Unknown");
    }
    if (found->second == Branch::committed) return reply(200, "committed");
    if (found->second != Branch::prepared) {
      ++contradictions;
      return found->second == Branch::aborted ? reply(200, "aborted") : reply(400, "not-prepared");
    }
    found->second = Branch::committed;
    ++effects[gtrid];
    return reply(200, "committed");
  }
  net::HttpResponse abort(const std::string& gtrid) {
    const auto found = branches.find(gtrid);
    if (found == branches.end()) {
      branches[gtrid] = Branch::aborted;  // a tombstone
      return reply(404, "Transaction-Unknown");
    }
    if (found->second == Branch::committed) {
      ++contradictions;
      return reply(200, "committed");
    }
    found->second = Branch::aborted;
    return reply(200, "aborted");
  }

  const std::string name_;
};

/// Told the outcome at the end: what an order service does with its order.
class Completion {
 public:
  explicit Completion(std::string name) : name_(std::move(name)) {}
  std::string url() const { return "http://" + name_ + ":1/balcoordinator/participant/2pc/c"; }
  std::string origin() const { return "http://" + name_ + ":1"; }
  std::map<std::string, std::set<Decision>> told;
  std::function<void(const std::string& gtrid, Decision)> looks;  ///< at each notify, before it is noted

  net::HttpHandler handler() {
    return [this](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
      const auto parsed = wire::parse_notify_request(request.body);
      if (!parsed) co_return Participant::reply(400, parsed.error().message);
      if (looks) looks(parsed->transaction_id, parsed->decision);
      told[parsed->transaction_id].insert(parsed->decision);
      co_return Participant::reply(200, parsed->decision == Decision::commit ? "committed" : "aborted");
    };
  }

 private:
  const std::string name_;
};

inline net::HttpRequest request_of(std::string method, std::string body = {}) {
  net::HttpRequest request;
  request.method = std::move(method);
  request.body = std::move(body);
  return request;
}

/// The calls of an initiator, each once.
class Initiator {
 public:
  Initiator(sys::World world, std::string coordinator, SendHttp send)
      : world_(world), coordinator_(std::move(coordinator)), send_(std::move(send)) {}

  Task<net::HttpResponse> call(std::string method, std::string path, std::string body = {}, Duration timeout = 20s) {
    co_return co_await send(request_of(std::move(method), std::move(body)), std::move(path), timeout);
  }
  Task<net::HttpResponse> send(net::HttpRequest request, std::string path, Duration timeout = 20s) {
    if (!secret.empty()) request.headers.set("Authorization", "Bearer " + secret);
    co_return co_await send_(std::move(request), coordinator_ + path, world_.clock.now() + timeout);
  }
  Task<wire::Begun> begin() {
    HF_CO_TRY(const net::HttpResponse response, co_await call("POST", "/2pc/v1/tx"));
    if (response.status != 201) co_return Error{Code::unavailable, response.body};
    co_return wire::parse_begun(response.body);
  }
  /// As our participants register: they ask for the outcome by themselves.
  Task<net::HttpResponse> enrol(std::string gtrid, std::string id, std::string url,
                                wire::Protocol protocol = wire::Protocol::durable) {
    const wire::RegisterRequest request{gtrid, std::move(id), {{protocol, std::move(url)}}};
    net::HttpRequest enrolment = request_of("POST", wire::encode(request));
    enrolment.headers.set(std::string(wire::kAsksOutcomeHeader), "yes");
    co_return co_await send(std::move(enrolment), "/balcoordinator/initiator/" + gtrid + "/register");
  }
  /// As the original's do.
  Task<net::HttpResponse> enrol_foreign(std::string gtrid, std::string id, std::string url) {
    const wire::RegisterRequest request{gtrid, std::move(id), {{wire::Protocol::durable, std::move(url)}}};
    co_return co_await call("POST", "/balcoordinator/initiator/" + gtrid + "/register", wire::encode(request));
  }
  Task<wire::OutcomeReport> end(std::string gtrid, std::string verb) {
    HF_CO_TRY(const net::HttpResponse response, co_await call("POST", "/2pc/v1/tx/" + gtrid + "/" + verb));
    if (response.status != 200) co_return Error{Code::unavailable, response.body};
    co_return wire::parse_outcome_report(response.body);
  }
  Task<wire::OutcomeReport> outcome(std::string gtrid) {
    HF_CO_TRY(const net::HttpResponse response, co_await call("GET", "/2pc/v1/tx/" + gtrid + "/outcome"));
    if (response.status != 200) co_return Error{Code::unavailable, response.body};
    co_return wire::parse_outcome_report(response.body);
  }
  std::string secret;

 private:
  sys::World world_;
  const std::string coordinator_;
  const SendHttp send_;
};

}  // namespace hf::coordinator::scripted
