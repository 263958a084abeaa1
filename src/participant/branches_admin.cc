#include "participant/branches_admin.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "net/http_problem.h"
#include "net/http_router.h"

namespace hf::participant {
namespace {

namespace json = boost::json;
namespace two_phase = wire::two_phase;

constexpr std::size_t kReasonMax = 1000;

json::value time_or_null(std::int64_t us) {
  return us == 0 ? json::value(nullptr) : json::value(to_rfc3339(wall_from_us(us)));
}

json::object to_json(const InDoubt& one) {
  const std::optional<two_phase::Gtrid> ours = two_phase::parse_gtrid(one.gtrid);
  return {{"gtrid", one.gtrid},
          {"prepared_at", time_or_null(one.prepared_at_us)},
          {"begun_at", time_or_null(ours ? ours->began_us() : 0)},
          {"coordinator", ours ? json::value(ours->coordinator) : json::value(nullptr)}};
}
json::object to_json(const Heuristic& one) {
  return {{"gtrid", one.gtrid},
          {"decided", one.decided.empty() ? json::value(nullptr) : json::value(one.decided)},
          {"found", one.found},
          {"reason", one.reason},
          {"at", time_or_null(one.at_us)}};
}

std::string_view to_text(Ended ended) {
  return ended == Ended::committed ? "committed" : ended == Ended::aborted ? "aborted" : "heuristic";
}

struct Order {
  two_phase::Decision decision;
  std::string reason;
};
Result<Order> parse_order(const std::string& body) {
  boost::system::error_code error;
  const json::value parsed = json::parse(body, error);
  if (error || !parsed.is_object()) return Error{Code::invalid, "the body is not a JSON object"};
  const json::value* decision = parsed.as_object().if_contains("decision");
  const json::value* reason = parsed.as_object().if_contains("reason");
  const auto decided =
      decision && decision->is_string() ? two_phase::decision_from(std::string(decision->as_string())) : std::nullopt;
  if (!decided) return Error{Code::invalid, "\"decision\" is neither \"commit\" nor \"abort\""};
  if (!reason || !reason->is_string() || reason->as_string().empty() || reason->as_string().size() > kReasonMax) {
    return Error{Code::invalid, fmt::format("\"reason\" is a text of 1 to {} bytes: who decided, and why", kReasonMax)};
  }
  return Order{*decided, std::string(reason->as_string())};
}

class BranchesAdmin {
 public:
  BranchesAdmin(std::string participant, Branches& branches)
      : participant_(std::move(participant)), branches_(branches), router_(net::route_problem) {
    const std::string root = "/admin/branches/" + participant_;
    router_.add("GET", root, [this](net::HttpRequest, net::PathValues) { return show(); });
    router_.add("POST", root + "/{gtrid}/resolve", [this](net::HttpRequest request, net::PathValues path) {
      return resolve(std::move(request), std::string(net::path_value(path, "gtrid")));
    });
  }
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) const {
    return router_.handle(std::move(request));
  }

 private:
  asio::awaitable<net::HttpResponse> show() {
    const Result<std::vector<InDoubt>> waiting = co_await branches_.in_doubt();
    if (!waiting) co_return net::problem(waiting.error());
    const Result<std::vector<Heuristic>> heuristics = co_await branches_.heuristics();
    if (!heuristics) co_return net::problem(heuristics.error());
    json::array in_doubt, ended;
    for (const InDoubt& one : *waiting) in_doubt.push_back(to_json(one));
    for (const Heuristic& one : *heuristics) ended.push_back(to_json(one));
    const json::object body{
        {"participant", participant_}, {"in_doubt", std::move(in_doubt)}, {"heuristics", std::move(ended)}};
    co_return net::HttpResponse::json(200, json::serialize(body));
  }

  asio::awaitable<net::HttpResponse> resolve(net::HttpRequest request, std::string gtrid) {
    const Result<Order> order = parse_order(request.body);
    if (!order) co_return net::problem(order.error());
    log::warn("participant.branch.resolve", {{"participant", participant_},
                                             {"gtrid", gtrid},
                                             {"decision", to_string(order->decision)},
                                             {"reason", order->reason}});
    const Result<Ended> ended = co_await branches_.resolve(gtrid, order->decision, order->reason);
    if (!ended) co_return net::problem(ended.error());
    co_return net::HttpResponse::json(200, json::serialize(json::object{{"gtrid", gtrid}, {"ended", to_text(*ended)}}));
  }

  const std::string participant_;
  Branches& branches_;
  net::HttpRouter router_;
};

}  // namespace

net::HttpHandler make_branches_admin(std::string participant, Branches& branches) {
  const auto admin = std::make_shared<BranchesAdmin>(std::move(participant), branches);
  return [admin](net::HttpRequest request) { return admin->handle(std::move(request)); };
}

}  // namespace hf::participant
