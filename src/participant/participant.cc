#include <fmt/format.h>

#include "base/log.h"
#include "participant/branch_upkeep.h"
#include "participant/branches_admin.h"
#include "participant/in_doubt_asker.h"
#include "participant/two_phase.h"
#include "participant/two_phase_calls.h"

namespace hf::participant {
namespace {

namespace two_phase = wire::two_phase;
using two_phase::Decision;
using two_phase::Notified;
using two_phase::Vote;

/// Where one life of this service takes part in one transaction: "<transaction id>~<life>".
constexpr char kLifeMark = '~';

struct Block {
  std::string_view gtrid, life;  ///< life: "" if the caller names none
};
Block parse_block(std::string_view block) {
  const std::size_t mark = block.rfind(kLifeMark);
  if (mark == std::string_view::npos) return {block, {}};
  return {block.substr(0, mark), block.substr(mark + 1)};
}

struct Invitation {
  std::string gtrid, register_at;
};
Result<Invitation> invitation_in(const net::HttpRequest& request) {
  const auto either = [&request](std::string_view name, std::string_view old_name) {
    const auto value = request.headers.get(name);
    return std::string(value ? *value : request.headers.get(old_name).value_or(""));
  };
  Invitation invitation{either(two_phase::kXidHeader, two_phase::kOldXidHeader),
                        either(two_phase::kRegisterAtHeader, two_phase::kOldRegisterAtHeader)};
  if (invitation.gtrid.empty() || invitation.register_at.empty()) {
    return Error{Code::denied, fmt::format("only inside a transaction: {} and {} are missing", two_phase::kXidHeader,
                                           two_phase::kRegisterAtHeader)};
  }
  HF_TRY(two_phase::check_transaction_id(invitation.gtrid));
  HF_TRY(net::parse_url(invitation.register_at));
  return invitation;
}

/// What an earlier life was asked to do is gone, or not in the vote that is stored.
Voted restarted() { return {Vote::aborted, "the service was restarted after it was called", {}}; }

net::HttpResponse answer_of(const Voted& voted) { return message_answer(200, to_string(voted.vote), voted.reason); }

/// A heuristic end answers what the branch is, against what was asked: that is how the coordinator learns of it.
net::HttpResponse answer_of(Ended ended, Decision decision) {
  const bool commit = decision == Decision::commit;
  switch (ended) {
    case Ended::committed:
      return message_answer(200, to_string(Notified::committed));
    case Ended::aborted:
      return message_answer(200, to_string(Notified::aborted));
    case Ended::not_prepared:
      return message_answer(400, two_phase::kNotPrepared);
    case Ended::unknown:
      return message_answer(404, two_phase::kTransactionUnknown);
    case Ended::heuristic:
      return message_answer(200, to_string(commit ? Notified::aborted : Notified::committed),
                            "the branch had ended the other way");
  }
  HF_ASSERT(false);
}

net::HttpResponse answer_of(const Error& error) {
  if (error.code == Code::not_found) return message_answer(404, two_phase::kTransactionUnknown);
  if (error.code == Code::invalid) return message_answer(400, two_phase::kFailed, error.message);
  return message_answer(500, two_phase::kFailed, error.message);
}

}  // namespace

struct Participant::Impl {
  Impl(sys::World w, TwoPhaseConfig c, Branches& b, SendHttp send)
      : world(std::move(w)),
        config(std::move(c)),
        branches(b),
        calls(world, config, std::move(send)),
        asker(world, config, branches, calls,
              [this](std::string gtrid, Decision decision) { return end(std::move(gtrid), decision); }),
        stopped(world.clock) {}

  Task<std::string> join(const net::HttpRequest& request);
  asio::awaitable<net::HttpResponse> prepare(net::HttpRequest request, net::PathValues path);
  asio::awaitable<net::HttpResponse> notify(net::HttpRequest request, net::PathValues path);
  Task<Voted> vote(std::string gtrid, std::string asked_life);
  Task<Voted> vote_of(std::string gtrid, const std::string& asked_life);
  Task<Ended> end(std::string gtrid, Decision decision);
  asio::awaitable<net::HttpResponse> silence();

  sys::World world;
  const TwoPhaseConfig config;
  Branches& branches;
  const TwoPhaseCalls calls;
  RecentIds registered;
  InDoubtAsker asker;
  bool stopping = false;
  sys::Event stopped;
};

Task<std::string> Participant::Impl::join(const net::HttpRequest& request) {
  HF_CO_TRY(const Invitation invitation, invitation_in(request));
  if (!config.secret.empty() && !calls.is_coordinator(invitation.register_at)) {
    // Without the secret nobody there can prepare or notify us; and a caller must not choose whom we call.
    co_return Error{Code::invalid, fmt::format("{} is not our coordinator", invitation.register_at)};
  }
  if (registered.contains(invitation.gtrid)) co_return invitation.gtrid;
  // The id and the URL name this life: should this process be another one by the time of prepare, what it was told
  // before is gone, and the coordinator must not take the new one's vote for it.
  two_phase::RegisterRequest enrolment;
  enrolment.transaction_id = invitation.gtrid;
  enrolment.participant_id = fmt::format("{}:{}", config.name, branches.life());
  enrolment.asks_outcome = true;
  enrolment.protocols.push_back({two_phase::Protocol::durable,
                                 two_phase::participant_url(config.base_url, fmt::format("{}{}{}", invitation.gtrid,
                                                                                         kLifeMark, branches.life()))});
  HF_CO_TRY(co_await calls.enroll(invitation.register_at, std::move(enrolment)));
  registered.add(invitation.gtrid);
  co_return invitation.gtrid;
}

asio::awaitable<net::HttpResponse> Participant::Impl::prepare(net::HttpRequest request, net::PathValues path) {
  if (!knows_secret(config.secret, request)) co_return unauthorized();
  const Result<two_phase::PrepareRequest> asked = two_phase::parse_prepare_request(request.body);
  if (!asked) co_return answer_of(asked.error());
  const Block block = parse_block(net::path_value(path, "block"));
  if (block.gtrid != asked->transaction_id) co_return message_answer(404, two_phase::kTransactionUnknown);
  registered.remove(asked->transaction_id);  // a call that comes now must ask the coordinator, who refuses
  const Result<Voted> voted = co_await vote(asked->transaction_id, std::string(block.life));
  if (!voted) {
    log::warn("participant.prepare.failed",
              {{"participant", config.name}, {"gtrid", asked->transaction_id}, {"error", voted.error().to_string()}});
    co_return answer_of(voted.error());
  }
  log::debug("participant.voted",
             {{"participant", config.name}, {"gtrid", asked->transaction_id}, {"vote", to_string(voted->vote)}});
  if (world.faults.drops("participant.prepare_reply")) co_return co_await silence();
  co_return answer_of(*voted);
}

Task<Voted> Participant::Impl::vote(std::string gtrid, std::string asked_life) {
  HF_CO_TRY(co_await world.faults.reach("participant.before_prepare"));
  HF_CO_TRY(Voted voted, co_await vote_of(std::move(gtrid), asked_life));
  HF_CO_TRY(co_await world.faults.reach("participant.after_prepare"));
  const bool yes = voted.vote == Vote::prepared || voted.vote == Vote::committed;
  if (!yes || asked_life.empty() || asked_life == voted.life) co_return voted;
  if (voted.life.empty()) co_return Error{Code::unavailable, "restarted since; whose vote is stored is not known"};
  co_return restarted();
}

Task<Voted> Participant::Impl::vote_of(std::string gtrid, const std::string& asked_life) {
  if (asked_life.empty() || asked_life == branches.life()) co_return co_await branches.prepare(std::move(gtrid));
  HF_CO_TRY(std::optional<Voted> stored, co_await branches.stored_vote(std::move(gtrid)));
  co_return stored ? std::move(*stored) : restarted();
}

asio::awaitable<net::HttpResponse> Participant::Impl::notify(net::HttpRequest request, net::PathValues path) {
  if (!knows_secret(config.secret, request)) co_return unauthorized();
  const Result<two_phase::NotifyRequest> told = two_phase::parse_notify_request(request.body);
  if (!told) co_return answer_of(told.error());
  if (parse_block(net::path_value(path, "block")).gtrid != told->transaction_id) {
    co_return message_answer(404, two_phase::kTransactionUnknown);
  }
  registered.remove(told->transaction_id);
  const Result<Ended> ended = co_await end(told->transaction_id, told->decision);
  if (!ended) {
    log::warn("participant.notify.failed",
              {{"participant", config.name}, {"gtrid", told->transaction_id}, {"error", ended.error().to_string()}});
    co_return answer_of(ended.error());
  }
  if (world.faults.drops("participant.notify_reply")) co_return co_await silence();
  co_return answer_of(*ended, told->decision);
}

Task<Ended> Participant::Impl::end(std::string gtrid, Decision decision) {
  HF_CO_TRY(co_await world.faults.reach("participant.before_end"));
  HF_CO_TRY(const Ended ended, co_await branches.end(std::move(gtrid), decision));
  HF_CO_TRY(co_await world.faults.reach("participant.after_end"));
  co_return ended;
}

/// An answer that is lost on its way: the caller's patience ends first.
asio::awaitable<net::HttpResponse> Participant::Impl::silence() {
  const Monotonic until = world.clock.now() + 2 * config.call_timeout;
  while (!stopping && world.clock.now() < until) co_await stopped.wait_until(until);
  co_return message_answer(503, two_phase::kFailed, "this answer was to be lost");
}

Participant::Participant(sys::World world, TwoPhaseConfig config, Branches& branches, SendHttp send)
    : impl_(std::make_unique<Impl>(std::move(world), std::move(config), branches, std::move(send))) {}
Participant::~Participant() = default;

void Participant::mount(net::HttpRouter& router) {
  router.add("POST", two_phase::kPreparePath, [this](net::HttpRequest request, net::PathValues path) {
    return impl_->prepare(std::move(request), std::move(path));
  });
  router.add("POST", two_phase::kNotifyPath, [this](net::HttpRequest request, net::PathValues path) {
    return impl_->notify(std::move(request), std::move(path));
  });
}

Task<> Participant::start() {
  impl_->asker.start();
  co_return ok();
}

asio::awaitable<void> Participant::stop() {
  impl_->stopping = true;
  impl_->stopped.notify_all();
  co_await impl_->asker.stop();
}

Task<std::string> Participant::join(const net::HttpRequest& request) { return impl_->join(request); }

net::HttpHandler Participant::admin_http() { return make_branches_admin(impl_->config.name, impl_->branches); }

}  // namespace hf::participant
