#include "coordinator/edge.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/log.h"
#include "coordinator/replies.h"
#include "net/http_problem.h"

namespace hf::coordinator {
namespace {

namespace wire = hf::wire::two_phase;
using net::HttpRequest;
using net::HttpResponse;
using net::path_value;
using net::PathValues;

constexpr std::string_view kBallerinaFace = "/balcoordinator/";

/// {"errorMessage":"…"}: the other protocol's shape of a refusal, always 400 but for what may pass.
HttpResponse refused_registration(const Error& error) {
  const bool passes = error.code == Code::unavailable || error.code == Code::timeout;
  HttpResponse response = HttpResponse::json(passes ? 503 : 400, wire::encode_error_message(error.message));
  if (passes) response.headers.add("Retry-After", "1");
  return response;
}

HttpResponse denied(const HttpRequest& request) {
  constexpr std::string_view kWhy = "the shared secret is missing or wrong";
  if (request.path().starts_with(kBallerinaFace)) return HttpResponse::json(401, wire::encode_error_message(kWhy));
  HttpResponse response = net::problem(Error{Code::denied, std::string(kWhy)});
  response.status = 401;
  response.headers.add("WWW-Authenticate", "Bearer");
  return response;
}

HttpResponse reply(const Result<wire::OutcomeReport>& report) {
  if (!report) return net::problem(report.error());
  return HttpResponse::json(200, wire::encode(*report));
}

}  // namespace

Edge::Edge(sys::World world, const CoordinatorConfig& config, Engine& engine, Store& store)
    : config_(config),
      engine_(engine),
      store_(store),
      router_(net::route_problem),
      denied_(world.metrics.counter("holdfast_coordinator_denied_total", "calls without the shared secret")) {
  router_.add("POST", wire::kRegisterPath,
              [this](HttpRequest request, PathValues path) { return enrol(std::move(request), std::move(path)); });
  router_.add("POST", wire::kBeginPath, [this](HttpRequest request, PathValues) { return begin(std::move(request)); });
  router_.add("POST", wire::kCommitPath,
              [this](HttpRequest request, PathValues path) { return commit(std::move(request), std::move(path)); });
  router_.add("POST", wire::kAbortPath,
              [this](HttpRequest request, PathValues path) { return abort(std::move(request), std::move(path)); });
  router_.add("GET", wire::kOutcomePath, [this](HttpRequest, PathValues path) { return outcome(std::move(path)); });
  router_.add("GET", wire::kTransactionPath, [this](HttpRequest, PathValues path) { return story(std::move(path)); });
}

asio::awaitable<HttpResponse> Edge::handle(HttpRequest request) {
  if (!knows_secret(request)) {
    denied_.add();
    log::warn("coordinator.denied", {{"peer", request.peer}, {"path", request.path()}});
    co_return denied(request);
  }
  co_return co_await router_.handle(std::move(request));
}

bool Edge::knows_secret(const HttpRequest& request) const {
  if (config_.secret.empty()) return true;
  const std::string_view given = request.headers.get(wire::kSecretHeader).value_or("");
  return equal_in_constant_time(given, "Bearer " + config_.secret);
}

asio::awaitable<HttpResponse> Edge::enrol(HttpRequest request, PathValues path) {
  Result<wire::RegisterRequest> parsed = wire::parse_register_request(request.body);
  if (!parsed) co_return refused_registration(parsed.error());
  if (path_value(path, "block") != parsed->transaction_id) {
    co_return refused_registration(
        Error{Code::invalid, "Transaction-Unknown. Invalid TID:" + parsed->transaction_id + " at this address"});
  }
  parsed->asks_outcome = request.headers.get(wire::kAsksOutcomeHeader) == "yes";
  wire::RegisterResponse response{.transaction_id = parsed->transaction_id, .protocols = {}};
  const std::string at = fmt::format("{}/balcoordinator/initiator/2pc/{}", config_.base_url, parsed->transaction_id);
  for (const wire::ProtocolAt& protocol : parsed->protocols) response.protocols.push_back({protocol.name, at});
  const Result<void> enrolled = co_await engine_.enrol(std::move(*parsed));
  if (!enrolled) co_return refused_registration(enrolled.error());
  co_return HttpResponse::json(200, wire::encode(response));
}

asio::awaitable<HttpResponse> Edge::begin(HttpRequest) {
  const Result<std::string> gtrid = co_await engine_.begin();
  if (!gtrid) co_return net::problem(gtrid.error());
  const wire::Begun begun{.gtrid = *gtrid, .register_at = wire::register_url(config_.base_url, *gtrid)};
  co_return HttpResponse::json(201, wire::encode(begun));
}

asio::awaitable<HttpResponse> Edge::commit(HttpRequest request, PathValues path) {
  Result<Told> told = parse_told(request.body);
  if (!told) co_return net::problem(told.error());
  co_return reply(co_await engine_.commit(std::string(path_value(path, "gtrid")), std::move(told->calls)));
}

asio::awaitable<HttpResponse> Edge::abort(HttpRequest request, PathValues path) {
  Result<Told> told = parse_told(request.body);
  if (!told) co_return net::problem(told.error());
  if (told->reason.empty()) told->reason = "the initiator aborted";
  std::string by;
  const Result<wire::OutcomeReport> report = co_await engine_.abort(
      std::string(path_value(path, "gtrid")), std::move(by), std::move(told->reason), std::move(told->calls));
  if (report && report->outcome == Outcome::committed) {
    co_return net::problem(Error{Code::conflict, "the transaction is committed, and stays so"});
  }
  co_return reply(report);
}

asio::awaitable<HttpResponse> Edge::outcome(PathValues path) {
  co_return reply(co_await engine_.outcome(std::string(path_value(path, "gtrid"))));
}

asio::awaitable<HttpResponse> Edge::story(PathValues path) {
  co_return co_await story_reply(config_, engine_, store_, std::string(path_value(path, "gtrid")));
}

}  // namespace hf::coordinator
