#include "participant/two_phase_calls.h"

#include <fmt/format.h>

#include "net/crypto.h"

namespace hf::participant {
namespace {

namespace two_phase = wire::two_phase;

constexpr std::string_view kBearer = "Bearer ";

/// {"errorMessage":M} of a refused registration, or the start of whatever it is.
std::string refusal_text(const std::string& body) {
  constexpr std::size_t kShown = 200;
  return body.substr(0, kShown);
}

}  // namespace

bool knows_secret(const std::string& secret, const net::HttpRequest& request) {
  if (secret.empty()) return true;
  const std::string_view given = request.headers.get(two_phase::kSecretHeader).value_or("");
  if (!given.starts_with(kBearer)) return false;
  // Digests: the comparison's time tells nothing about the secret.
  return net::sha256(given.substr(kBearer.size())) == net::sha256(secret);
}

net::HttpResponse message_answer(int status, std::string_view message, std::string reason) {
  return net::HttpResponse::json(status,
                                 two_phase::encode(two_phase::Message{std::string(message), std::move(reason)}));
}

net::HttpResponse unauthorized() {
  net::HttpResponse response = message_answer(401, "Unauthorized", "the shared secret is missing or wrong");
  response.headers.add("WWW-Authenticate", "Bearer");
  return response;
}

TwoPhaseCalls::TwoPhaseCalls(sys::World world, const TwoPhaseConfig& config, SendHttp send)
    : world_(std::move(world)),
      coordinator_(config.coordinator_url),
      secret_(config.secret),
      limit_(config.call_timeout),
      send_(std::move(send)) {}

bool TwoPhaseCalls::is_coordinator(const std::string& url) const {
  const Result<net::Url> theirs = net::parse_url(url), ours = net::parse_url(coordinator_);
  return theirs && ours && theirs->origin() == ours->origin();
}

Task<net::HttpResponse> TwoPhaseCalls::call(std::string url, std::string body, Duration limit) const {
  net::HttpRequest request;
  request.method = body.empty() ? "GET" : "POST";
  request.body = std::move(body);
  co_return co_await send(std::move(request), std::move(url), limit);
}

Task<net::HttpResponse> TwoPhaseCalls::send(net::HttpRequest request, std::string url, Duration limit) const {
  if (!request.body.empty()) request.headers.add("Content-Type", "application/json");
  if (!secret_.empty() && is_coordinator(url)) {
    request.headers.add(std::string(two_phase::kSecretHeader), fmt::format("{}{}", kBearer, secret_));
  }
  co_return co_await send_(std::move(request), std::move(url), world_.clock.now() + limit);
}

Task<> TwoPhaseCalls::enroll(std::string register_at, two_phase::RegisterRequest request) const {
  net::HttpRequest enrolment;
  enrolment.method = "POST";
  enrolment.body = two_phase::encode(request);
  if (request.asks_outcome) enrolment.headers.add(std::string(two_phase::kAsksOutcomeHeader), "yes");
  HF_CO_TRY(const net::HttpResponse answer, co_await send(std::move(enrolment), std::move(register_at), limit_));
  if (answer.status == 200) {
    const Result<two_phase::RegisterResponse> accepted = two_phase::parse_register_response(answer.body);
    if (accepted && accepted->transaction_id == request.transaction_id) co_return ok();
    co_return Error{Code::unavailable, "the coordinator's answer to the registration is none"};
  }
  if (answer.status == 401 || answer.status == 403) {
    co_return Error{Code::unavailable, "the coordinator does not accept our secret"};
  }
  if (answer.status >= 400 && answer.status < 500) {
    co_return Error{Code::conflict, fmt::format("the coordinator refuses: {}", refusal_text(answer.body))};
  }
  co_return Error{Code::unavailable, fmt::format("the coordinator answers {}", answer.status)};
}

}  // namespace hf::participant
