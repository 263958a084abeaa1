#include <charconv>

#include "base/log.h"
#include "coordinator/edge.h"
#include "coordinator/replies.h"
#include "net/http_problem.h"

namespace hf::coordinator {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using net::path_value;
using net::PathValues;

constexpr std::size_t kLimitDefault = 100, kLimitMax = 10'000;

Result<std::size_t> limit_of(const net::FormFields& query) {
  const auto wanted = net::find_field(query, "limit");
  if (!wanted) return kLimitDefault;
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(wanted->data(), wanted->data() + wanted->size(), limit);
  if (error != std::errc{} || end != wanted->data() + wanted->size() || limit == 0 || limit > kLimitMax) {
    return Error{Code::invalid, "limit is a number from 1 to 10000"};
  }
  return limit;
}

}  // namespace

AdminEdge::AdminEdge(const CoordinatorConfig& config, Engine& engine, Store& store)
    : config_(config), engine_(engine), store_(store), router_(net::route_problem) {
  router_.add("GET", "/admin/coordinator/transactions",
              [this](HttpRequest request, PathValues) { return list(std::move(request)); });
  router_.add("GET", "/admin/coordinator/transactions/{gtrid}",
              [this](HttpRequest, PathValues path) { return show(std::move(path)); });
  router_.add("POST", "/admin/coordinator/transactions/{gtrid}/resolve",
              [this](HttpRequest request, PathValues path) { return resolve(std::move(request), std::move(path)); });
}

asio::awaitable<HttpResponse> AdminEdge::list(HttpRequest request) {
  const Result<net::FormFields> query = net::parse_form(request.query());
  if (!query) co_return net::problem(query.error());
  const Result<std::size_t> limit = limit_of(*query);
  if (!limit) co_return net::problem(limit.error());
  const std::string_view state = net::find_field(*query, "state").value_or("open");
  if (state == "open") co_return HttpResponse::json(200, list_json(engine_.list(Engine::Which::open, *limit)));
  if (state == "in_doubt") co_return HttpResponse::json(200, list_json(engine_.list(Engine::Which::in_doubt, *limit)));
  if (state == "finished") {
    const Result<std::vector<Transaction>> rows = co_await store_.finished(*limit);
    if (!rows) co_return net::problem(rows.error());
    co_return HttpResponse::json(200, list_json(*rows));
  }
  if (state == "heuristic") {
    const Result<std::vector<Heuristic>> rows = co_await store_.heuristics("", *limit);
    if (!rows) co_return net::problem(rows.error());
    co_return HttpResponse::json(200, heuristics_json(*rows));
  }
  co_return net::problem(Error{Code::invalid, "state is open, in_doubt, heuristic or finished"});
}

asio::awaitable<HttpResponse> AdminEdge::show(PathValues path) {
  co_return co_await story_reply(config_, engine_, store_, std::string(path_value(path, "gtrid")));
}

asio::awaitable<HttpResponse> AdminEdge::resolve(HttpRequest request, PathValues path) {
  Result<Resolution> resolution = parse_resolution(request.body);
  if (!resolution) co_return net::problem(resolution.error());
  const std::string gtrid(path_value(path, "gtrid"));
  const Result<Transaction> resolved =
      co_await engine_.resolve(gtrid, resolution->decision, std::move(resolution->reason));
  if (!resolved) co_return net::problem(resolved.error());
  co_return co_await story_reply(config_, engine_, store_, gtrid);
}

}  // namespace hf::coordinator
