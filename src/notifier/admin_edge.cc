#include "notifier/admin_edge.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/bytes.h"
#include "notifier/page.h"
#include "wire/twilio/address.h"
#include "wire/twilio/json_fields.h"
#include "wire/twilio/sid.h"

namespace hf::notifier {
namespace {

namespace json = boost::json;
using net::HttpRequest;
using net::HttpResponse;
using wire::twilio::field;
using wire::twilio::Fields;

constexpr std::string_view kNotifications = "/admin/notifier/notifications";
constexpr std::size_t kLimitMax = 10'000, kOnPage = 100;

HttpResponse problem(int status, std::string_view message) {
  return HttpResponse::json(
      status, json::serialize(json::object{{"error", json::string_view(message.data(), message.size())}}));
}

HttpResponse problem(const Error& error) {
  const int status = error.code == Code::not_found  ? 404
                     : error.code == Code::conflict ? 409
                     : error.code == Code::invalid  ? 400
                                                    : 503;
  return problem(status, error.message);
}

json::value text(std::string_view value) { return json::string(json::string_view(value.data(), value.size())); }

std::string_view channel_of(const Notification& n) {
  if (n.entry.kind == wire::twilio::Kind::call) return "voice";
  return n.to.starts_with("whatsapp:") ? "whatsapp" : "sms";
}

json::object to_object(const Notification& n) {
  const Entry& e = n.entry;
  json::object out{{"id", n.id}, {"event_id", n.event_id}, {"order_id", n.order_id}};
  out["kind"] = text(to_string(e.kind));
  out["channel"] = text(channel_of(n));
  out["to"] = wire::twilio::mask_address(n.to);
  out["state"] = text(to_string(e.state));
  out["sid"] = wire::twilio::string_or_null(e.sid);
  out["status"] = wire::twilio::string_or_null(e.status);
  out["error_code"] = e.error_code != 0 ? json::value(e.error_code) : json::value(nullptr);
  out["error_message"] = wire::twilio::string_or_null(e.error_message);
  out["http_status"] = e.http_status != 0 ? json::value(e.http_status) : json::value(nullptr);
  out["reason"] = wire::twilio::string_or_null(e.reason);
  out["attempts"] = e.attempt;
  out["lost_calls"] = e.lost;
  out["created_at"] = to_rfc3339(e.created);
  out["created_at_us"] = to_us(e.created);
  out["state_since"] = to_rfc3339(e.state_since);
  out["due_at"] = wire::twilio::string_or_null(e.due ? to_rfc3339(*e.due) : "");
  return out;
}

json::object to_object(const LedgerEvent& event) {
  json::object out{
      {"sequence", event.sequence}, {"what", event.what}, {"state", event.state}, {"at", to_rfc3339(event.at)}};
  out["status"] = wire::twilio::string_or_null(event.status);
  out["detail"] = wire::twilio::string_or_null(event.detail);
  if (event.error_code != 0) out["error_code"] = event.error_code;
  return out;
}

Result<Store::Filter> filter_of(const Fields& query, std::size_t limit) {
  Store::Filter filter;
  filter.limit = limit;
  if (const std::string& state = field(query, "state"); !state.empty()) {
    filter.state = parse_state(state);
    if (!filter.state) return Error{Code::invalid, fmt::format("there is no state '{}'", state)};
  }
  filter.to = field(query, "to");
  filter.order_id = field(query, "order");
  filter.after = field(query, "after");
  if (const std::string& wanted = field(query, "limit"); !wanted.empty()) {
    const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), filter.limit);
    if (error != std::errc{} || filter.limit == 0 || filter.limit > kLimitMax) {
      return Error{Code::invalid, fmt::format("limit is a number from 1 to {}", kLimitMax)};
    }
  }
  return filter;
}

Result<Event> outcome_of(const std::string& body) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(body, failed);
  if (failed || !parsed.is_object()) return Error{Code::invalid, "the body is not a JSON object"};
  const std::string outcome = wire::twilio::text_of(parsed.get_object(), "outcome");
  if (outcome == "given_up") return Event(OperatorGivesUp{});
  if (outcome != "created") return Error{Code::invalid, "outcome is created or given_up"};
  const std::string sid = wire::twilio::text_of(parsed.get_object(), "sid");
  if (!wire::twilio::is_message_sid(sid) && !wire::twilio::is_sid(wire::twilio::kCallPrefix, sid)) {
    return Error{Code::invalid, "sid is not a message's or a call's"};
  }
  return Event(OperatorFound{sid});
}

}  // namespace

asio::awaitable<HttpResponse> AdminEdge::handle(HttpRequest request) {
  const std::string path(request.path());
  const Result<Fields> query = net::parse_form(request.query());
  if (!query) co_return problem(400, "the query is not well-formed");
  if (path.starts_with(std::string(kNotifications) + "/") && request.method == "POST") {
    const std::string rest = path.substr(kNotifications.size() + 1);
    const std::size_t slash = rest.find('/');
    if (slash == std::string::npos) co_return problem(405, "this takes GET");
    co_return co_await operate(rest.substr(0, slash), rest.substr(slash + 1), std::move(request.body));
  }
  if (request.method != "GET") co_return problem(405, "this takes GET");
  if (path == "/notifications") co_return co_await page(*query);
  if (path == "/admin/notifier/summary") co_return co_await summary();
  if (path == kNotifications) co_return co_await list(*query);
  if (path == "/admin/notifier/parked") {
    Fields parked = *query;
    parked.insert(parked.begin(), {"state", "parked"});
    co_return co_await list(std::move(parked));
  }
  if (path.starts_with(std::string(kNotifications) + "/")) {
    const std::optional<std::string> name = percent_decode(path.substr(kNotifications.size() + 1));
    if (name) co_return co_await show(*name);
  }
  co_return problem(404, "there is no such resource");
}

asio::awaitable<HttpResponse> AdminEdge::summary() {
  const auto counts = co_await store_.counts_by_state();
  if (!counts) co_return problem(counts.error());
  json::object out;
  for (const State state :
       {State::waiting, State::sending, State::unknown, State::created, State::refused, State::parked}) {
    const auto found = counts->find(std::string(to_string(state)));
    out[json::string_view(to_string(state).data(), to_string(state).size())] =
        found == counts->end() ? 0 : found->second;
  }
  co_return HttpResponse::json(200, json::serialize(out));
}

asio::awaitable<HttpResponse> AdminEdge::list(Fields query) {
  const Result<Store::Filter> filter = filter_of(query, kOnPage);
  if (!filter) co_return problem(filter.error());
  const auto rows = co_await store_.list(*filter);
  if (!rows) co_return problem(rows.error());
  json::array items;
  for (const Notification& row : *rows) items.push_back(to_object(row));
  json::object body{{"notifications", std::move(items)}};
  body["next_after"] = rows->size() == filter->limit ? json::value(rows->back().id) : json::value(nullptr);
  co_return HttpResponse::json(200, json::serialize(body));
}

asio::awaitable<HttpResponse> AdminEdge::show(std::string name) {
  const auto rows = co_await store_.by_any(name);
  if (!rows) co_return problem(rows.error());
  if (rows->empty()) co_return problem(404, "no notification has this id, SID, event id or order id");
  json::array items;
  for (const Notification& row : *rows) {
    const auto history = co_await store_.history(row.id);
    if (!history) co_return problem(history.error());
    json::array events;
    for (const LedgerEvent& event : *history) events.push_back(to_object(event));
    json::object item = to_object(row);
    item["history"] = std::move(events);
    items.push_back(std::move(item));
  }
  co_return HttpResponse::json(200, json::serialize(json::object{{"notifications", std::move(items)}}));
}

asio::awaitable<HttpResponse> AdminEdge::operate(std::string id, std::string verb, std::string body) {
  Result<Event> event = verb == "resend"    ? Result<Event>(Event(OperatorResends{}))
                        : verb == "resolve" ? outcome_of(body)
                                            : Result<Event>(Error{Code::not_found, "there is no such operation"});
  if (!event) co_return problem(event.error());
  const Result<Notification> row = co_await dispatcher_.operate(id, *event);
  if (!row) co_return problem(row.error());
  co_return HttpResponse::json(200, json::serialize(to_object(*row)));
}

asio::awaitable<HttpResponse> AdminEdge::page(Fields query) {
  std::string name = field(query, "sid");
  if (name.empty()) name = field(query, "order");
  Result<Store::Filter> filter = filter_of({{"state", field(query, "state")}}, kOnPage);
  if (!filter) co_return HttpResponse::text(400, filter.error().message + "\n");
  const auto rows = name.empty() ? co_await store_.list(*filter) : co_await store_.by_any(name);
  const auto counts = co_await store_.counts_by_state();
  if (!rows || !counts) co_return HttpResponse::text(503, "the ledger cannot be read now\n");
  std::vector<PageRow> page_rows;
  for (const Notification& row : *rows) {
    auto history = co_await store_.history(row.id);
    if (!history) co_return HttpResponse::text(503, "the ledger cannot be read now\n");
    page_rows.push_back({row, std::move(*history)});
  }
  HttpResponse response = HttpResponse::text(200, notifications_page(page_rows, *counts), "text/html; charset=utf-8");
  response.headers.add("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  co_return response;
}

}  // namespace hf::notifier
