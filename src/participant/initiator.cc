#include <fmt/format.h>

#include "base/log.h"
#include "participant/two_phase.h"
#include "participant/two_phase_calls.h"

namespace hf::participant {
namespace {

namespace two_phase = wire::two_phase;
using two_phase::Decision;
using two_phase::Notified;
using two_phase::OutcomeReport;

constexpr std::string_view kCompletionPath = "/balcoordinator/completion/2pc/{block}/notify";

std::string completion_url(const std::string& base, const std::string& gtrid) {
  return fmt::format("{}/balcoordinator/completion/2pc/{}", base, gtrid);
}

/// What a refusal of /2pc/v1 means for the caller.
Error error_of(const net::HttpResponse& answer) {
  constexpr std::size_t kShown = 300;
  const std::string text = fmt::format("the coordinator answers {}: {}", answer.status, answer.body.substr(0, kShown));
  switch (answer.status) {
    case 400:
      return {Code::invalid, text};
    case 401:
    case 403:
      return {Code::denied, text};
    case 404:
      return {Code::not_found, text};
    case 409:
      return {Code::conflict, text};
    default:
      return {Code::unavailable, text};
  }
}

Task<OutcomeReport> ask(const TwoPhaseCalls& calls, std::string url, std::string body, Duration limit) {
  HF_CO_TRY(const net::HttpResponse answer, co_await calls.call(std::move(url), std::move(body), limit));
  if (answer.status != 200) co_return error_of(answer);
  co_return two_phase::parse_outcome_report(answer.body);
}

std::string path_of(const TwoPhaseConfig& config, const std::string& gtrid, std::string_view verb) {
  return fmt::format("{}/2pc/v1/tx/{}/{}", config.coordinator_url, gtrid, verb);
}

asio::awaitable<net::HttpResponse> complete(std::string secret, Initiator::Completed completed,
                                            net::HttpRequest request, std::string block) {
  if (!knows_secret(secret, request)) co_return unauthorized();
  const Result<two_phase::NotifyRequest> told = two_phase::parse_notify_request(request.body);
  if (!told) co_return message_answer(400, two_phase::kFailed, told.error().message);
  if (block != told->transaction_id) co_return message_answer(404, two_phase::kTransactionUnknown);
  const Result<void> done = co_await completed(told->transaction_id, told->decision);
  if (!done) {
    log::warn("participant.completion.failed", {{"gtrid", told->transaction_id}, {"error", done.error().to_string()}});
    co_return message_answer(500, two_phase::kFailed, done.error().message);
  }
  const bool commit = told->decision == Decision::commit;
  co_return message_answer(200, to_string(commit ? Notified::committed : Notified::aborted));
}

}  // namespace

Initiator::Initiator(sys::World world, TwoPhaseConfig config, SendHttp send)
    : world_(std::move(world)), config_(std::move(config)), send_(std::move(send)) {}

Task<two_phase::Begun> Initiator::begin() {
  const TwoPhaseCalls calls(world_, config_, send_);
  std::string url = fmt::format("{}{}", config_.coordinator_url, two_phase::kBeginPath);
  HF_CO_TRY(const net::HttpResponse answer, co_await calls.call(std::move(url), "{}", config_.call_timeout));
  if (answer.status != 201) co_return error_of(answer);
  co_return two_phase::parse_begun(answer.body);
}

void Initiator::mark(const two_phase::Begun& tx, net::HttpHeaders& headers) {
  headers.set(two_phase::kXidHeader, tx.gtrid);
  headers.set(two_phase::kRegisterAtHeader, tx.register_at);
}

Task<> Initiator::await_completion(std::string gtrid) {
  HF_CO_TRY(two_phase::check_transaction_id(gtrid));
  const TwoPhaseCalls calls(world_, config_, send_);
  two_phase::RegisterRequest enrolment;
  enrolment.transaction_id = gtrid;
  enrolment.participant_id = config_.name + ":completion";
  enrolment.asks_outcome = true;
  enrolment.protocols.push_back({two_phase::Protocol::completion, completion_url(config_.base_url, gtrid)});
  co_return co_await calls.enroll(two_phase::register_url(config_.coordinator_url, gtrid), std::move(enrolment));
}

Task<OutcomeReport> Initiator::commit(std::string gtrid) {
  HF_CO_TRY(two_phase::check_transaction_id(gtrid));
  const TwoPhaseCalls calls(world_, config_, send_);
  // Two rounds of prepare, each as long as its slowest participant may be silent, and the decision itself.
  co_return co_await ask(calls, path_of(config_, gtrid, "commit"), "{}", 3 * config_.call_timeout);
}

Task<OutcomeReport> Initiator::abort(std::string gtrid, std::string reason) {
  HF_CO_TRY(two_phase::check_transaction_id(gtrid));
  const TwoPhaseCalls calls(world_, config_, send_);
  const two_phase::Message why{"abort", std::move(reason)};
  co_return co_await ask(calls, path_of(config_, gtrid, "abort"), two_phase::encode(why), config_.call_timeout);
}

Task<OutcomeReport> Initiator::outcome(std::string gtrid) {
  HF_CO_TRY(two_phase::check_transaction_id(gtrid));
  const TwoPhaseCalls calls(world_, config_, send_);
  co_return co_await ask(calls, path_of(config_, gtrid, "outcome"), {}, config_.call_timeout);
}

void Initiator::mount_completion(net::HttpRouter& router, Completed completed) {
  router.add(
      "POST", kCompletionPath,
      [secret = config_.secret, completed = std::move(completed)](net::HttpRequest request, net::PathValues path) {
        std::string block(net::path_value(path, "block"));
        return complete(secret, completed, std::move(request), std::move(block));
      });
}

}  // namespace hf::participant
