#pragma once

/// Taking part in a two-phase commit over HTTP. For a service that is called inside a global transaction (Participant),
/// and for one that runs it (Initiator). Protocol: wire/two_phase/messages.h. Compiled examples: examples/.
///
///   payment:    HF_CO_TRY(const std::string gtrid, co_await participant.join(request));     // registers, once a
///   branch
///               HF_CO_TRY(co_await branches.run(gtrid, request.body, charge(card, amount)));
///   order:      HF_CO_TRY(const auto tx, co_await initiator.begin());
///               initiator.mark(tx, call.headers);  … call payment and inventory …
///               HF_CO_TRY(const auto report, co_await initiator.commit(tx.gtrid));          // durable when it is
///               there

#include <functional>
#include <memory>
#include <string>

#include "net/http.h"
#include "net/http_router.h"
#include "participant/branches.h"
#include "sys/world.h"
#include "wire/two_phase/messages.h"

namespace hf::participant {

/// How others are reached: net::HttpClient::send, or a simulated network.
using SendHttp = std::function<Task<net::HttpResponse>(net::HttpRequest request, std::string url, Monotonic deadline)>;

struct TwoPhaseConfig {
  std::string name;             ///< as in BranchConfig; the participant id at the coordinator is "<name>:<life>"
  std::string base_url;         ///< where the coordinator reaches this service: "http://127.0.0.1:9651"; stable
  std::string coordinator_url;  ///< whom to ask for outcomes: "http://127.0.0.1:36789"
  /// Shared; sent to that coordinator with every call, and to nobody else; demanded of every prepare and notify. Then
  /// transactions of other coordinators are refused. Empty: nobody is asked.
  std::string secret;
  Duration call_timeout = 5s;
  Duration ask_after = 5s;  ///< T1: in doubt for so long: asks the outcome, then again with back-off, for ever
  Duration ask_max = 30s;
  Duration alarm_after = 60s;  ///< T2: logged as an error, counted in the gauge of old branches in doubt
};

/// One strand. `branches` outlives it; stop() is awaited before it is destroyed.
class Participant {
 public:
  Participant(sys::World world, TwoPhaseConfig config, Branches& branches, SendHttp send);
  ~Participant();
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  /// Adds prepare and notify. Answers as docs/protocols/two-phase-commit.md lists them; 401 without the secret.
  void mount(net::HttpRouter& router);
  /// /admin/branches/{name}: what is in doubt, what went against a decision, and an operator's word (branches_admin.h).
  net::HttpHandler admin_http();
  /// Begins to ask for the outcome of branches in doubt.
  Task<> start();
  asio::awaitable<void> stop();
  /// For a business handler: the transaction it is called in, registered at its coordinator (once a branch).
  /// Errors: denied (no transaction headers: "only inside a transaction") · invalid (hostile id or URL) · conflict
  /// (the coordinator refuses: prepare has begun, unknown transaction) · unavailable, timeout (not registered: fail the
  /// call).
  Task<std::string> join(const net::HttpRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One strand. No state of its own: a transaction lives at the coordinator.
class Initiator {
 public:
  Initiator(sys::World world, TwoPhaseConfig config, SendHttp send);

  Task<wire::two_phase::Begun> begin();
  /// The headers of a business call inside the transaction.
  static void mark(const wire::two_phase::Begun& tx, net::HttpHeaders& headers);
  /// Registers this service for the outcome (Protocol::completion): mount_completion's handler is called, for certain
  /// and perhaps more than once, after every branch has acknowledged a commit, or when the transaction is aborted.
  Task<> await_completion(std::string gtrid);
  /// Runs the two phases; completes when the decision is durable, at most after 3 × call_timeout. Errors: timeout,
  /// unavailable: not known; ask outcome(), or repeat commit(): it answers what was decided · not_found, conflict,
  /// denied: the coordinator refuses.
  Task<wire::two_phase::OutcomeReport> commit(std::string gtrid);
  Task<wire::two_phase::OutcomeReport> abort(std::string gtrid, std::string reason);
  Task<wire::two_phase::OutcomeReport> outcome(std::string gtrid);

  /// Durable when it returns without error; an error is asked again, for ever.
  using Completed = std::function<Task<>(std::string gtrid, wire::two_phase::Decision decision)>;
  void mount_completion(net::HttpRouter& router, Completed completed);

 private:
  sys::World world_;
  const TwoPhaseConfig config_;
  const SendHttp send_;
};

}  // namespace hf::participant
