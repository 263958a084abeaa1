#include "participant/outbox_admin.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "net/http_problem.h"
#include "net/http_router.h"
#include "participant/outbox_machine.h"

namespace hf::participant {
namespace {

namespace json = boost::json;

constexpr std::size_t kListDefault = 100, kListMax = 1000, kReasonMax = 1000;

json::value time_or_null(std::int64_t us) {
  return us == 0 ? json::value(nullptr) : json::value(to_rfc3339(wall_from_us(us)));
}

json::object to_json(const OutboxEntry& entry) {
  return {{"id", entry.id},
          {"aggregate", entry.aggregate},
          {"topic", entry.topic},
          {"message_id", entry.message_id},
          {"state", entry.state},
          {"attempts", entry.attempts},
          {"refusals", entry.refusals},
          {"behind", entry.behind},
          {"put_at", time_or_null(entry.put_at_us)},
          {"sent_at", time_or_null(entry.sent_at_us)},
          {"done_at", time_or_null(entry.done_at_us)},
          {"due_at", time_or_null(entry.due_at_us)},
          {"error", entry.error}};
}

struct Wanted {
  std::string state;
  std::size_t limit = kListDefault;
};
Result<Wanted> parse_query(const net::HttpRequest& request) {
  HF_TRY(const net::FormFields fields, net::parse_form(request.query()));
  Wanted wanted;
  wanted.state = net::find_field(fields, "state").value_or("");
  if (!wanted.state.empty() && !row_state_from(wanted.state)) {
    return Error{Code::invalid, "the states are pending, held, sent, done, blocked, skipped"};
  }
  const std::string_view limit = net::find_field(fields, "limit").value_or("100");
  const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), wanted.limit);
  const bool whole = error == std::errc() && end == limit.data() + limit.size();
  if (!whole || wanted.limit < 1 || wanted.limit > kListMax) {
    return Error{Code::invalid, fmt::format("limit must be 1 … {}", kListMax)};
  }
  return wanted;
}

Result<std::string> parse_reason(const std::string& body) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(body, failed);
  const json::value* reason = !failed && parsed.is_object() ? parsed.get_object().if_contains("reason") : nullptr;
  if (reason == nullptr || !reason->is_string() || reason->get_string().empty() ||
      reason->get_string().size() > kReasonMax) {
    return Error{Code::invalid,
                 fmt::format("\"reason\" must be a text of 1 … {} bytes: who decided, and why", kReasonMax)};
  }
  return std::string(reason->get_string());
}

class OutboxAdmin {
 public:
  OutboxAdmin(std::string service, Outbox& outbox)
      : service_(std::move(service)), outbox_(outbox), router_(net::route_problem) {
    const std::string root = "/admin/outbox/" + service_;
    router_.add("GET", root, [this](net::HttpRequest request, net::PathValues) { return list(std::move(request)); });
    router_.add("GET", root + "/{id}", [this](net::HttpRequest, net::PathValues path) { return show(id_of(path)); });
    router_.add("POST", root + "/{id}/unblock",
                [this](net::HttpRequest, net::PathValues path) { return answer(outbox_.unblock(id_of(path))); });
    router_.add("POST", root + "/{id}/skip", [this](net::HttpRequest request, net::PathValues path) {
      return skip(std::move(request), id_of(path));
    });
  }
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) const {
    return router_.handle(std::move(request));
  }

 private:
  static std::string id_of(const net::PathValues& path) { return std::string(net::path_value(path, "id")); }

  asio::awaitable<net::HttpResponse> list(net::HttpRequest request) {
    const Result<Wanted> wanted = parse_query(request);
    if (!wanted) co_return net::problem(wanted.error());
    const Result<std::vector<OutboxEntry>> entries = co_await outbox_.list(wanted->state, wanted->limit);
    if (!entries) co_return net::problem(entries.error());
    const Result<std::map<std::string, std::int64_t>> counts = co_await outbox_.counts();
    if (!counts) co_return net::problem(counts.error());
    json::array rows;
    for (const OutboxEntry& entry : *entries) rows.push_back(to_json(entry));
    json::object by_state;
    for (const auto& [state, count] : *counts) by_state[state] = count;
    const json::object body = {{"service", service_}, {"counts", std::move(by_state)}, {"rows", std::move(rows)}};
    co_return net::HttpResponse::json(200, json::serialize(body));
  }

  asio::awaitable<net::HttpResponse> show(std::string id) {
    const Result<std::optional<OutboxEntry>> entry = co_await outbox_.find(id);
    if (!entry) co_return net::problem(entry.error());
    if (!*entry) co_return net::problem(Error{Code::not_found, "there is no outbox row " + id});
    co_return net::HttpResponse::json(200, json::serialize(to_json(**entry)));
  }

  asio::awaitable<net::HttpResponse> skip(net::HttpRequest request, std::string id) {
    Result<std::string> reason = parse_reason(request.body);
    if (!reason) co_return net::problem(reason.error());
    co_return co_await answer(outbox_.skip(std::move(id), std::move(*reason)));
  }

  static asio::awaitable<net::HttpResponse> answer(Task<OutboxEntry> change) {
    const Result<OutboxEntry> entry = co_await std::move(change);
    if (!entry) co_return net::problem(entry.error());
    co_return net::HttpResponse::json(200, json::serialize(to_json(*entry)));
  }

  const std::string service_;
  Outbox& outbox_;
  net::HttpRouter router_;
};

}  // namespace

net::HttpHandler make_outbox_admin(std::string service, Outbox& outbox) {
  const auto admin = std::make_shared<OutboxAdmin>(std::move(service), outbox);
  return [admin](net::HttpRequest request) { return admin->handle(std::move(request)); };
}

}  // namespace hf::participant
