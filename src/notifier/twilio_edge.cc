#include "notifier/twilio_edge.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "net/crypto.h"
#include "wire/twilio/address.h"
#include "wire/twilio/call.h"
#include "wire/twilio/message.h"
#include "wire/twilio/sid.h"

namespace hf::notifier {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using wire::twilio::ApiError;
using wire::twilio::Checked;
using wire::twilio::Fields;
using wire::twilio::Kind;
using wire::twilio::Route;

constexpr std::string_view kEventIdHeader = "X-Holdfast-Event-Id", kOrderIdHeader = "X-Holdfast-Order-Id";
constexpr std::size_t kEventIdMax = 200, kOrderIdMax = 100;

HttpResponse refuse(const ApiError& error, std::optional<Duration> retry_after = {}) {
  HttpResponse response = HttpResponse::json(error.status, wire::twilio::to_json(error));
  if (error.status == 401) response.headers.add("WWW-Authenticate", "Basic realm=\"Twilio API\"");
  if (retry_after) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*retry_after).count();
    response.headers.add("Retry-After", fmt::to_string(std::clamp<std::int64_t>(seconds, 1, 60)));
  }
  return response;
}

ApiError unusable_id(std::string_view header, std::size_t max) {
  return {400, 20001, fmt::format("{} takes 1 to {} printable ASCII characters", header, max), {}};
}

bool is_usable_id(std::string_view id, std::size_t max) {
  return id.size() <= max && std::ranges::all_of(id, [](char c) { return c > ' ' && c < 0x7F; });
}

/// Anything but a form counts as an empty one, as with Twilio: a JSON body has no `To` (W6).
Result<Fields> form_of(const HttpRequest& request) {
  const std::string_view type = request.headers.get("Content-Type").value_or("");
  if (!type.starts_with("application/x-www-form-urlencoded")) return Fields{};
  HF_TRY(Fields form, net::parse_form(request.body));
  if (!wire::twilio::is_text(form)) return Error{Code::invalid, "the form is not UTF-8"};
  return form;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ",") + part;
  return out;
}

/// The same request, whatever the order of its parameters.
std::string fingerprint_of(Fields form) {
  std::ranges::sort(form);
  return hex(as_bytes(net::sha256(net::encode_form(form))));
}

/// Fills what the two kinds call differently; the error that refuses the request, if any.
std::optional<ApiError> check(Kind kind, const Fields& form, WallTime now, Notification& row) {
  if (kind == Kind::message) {
    auto checked = wire::twilio::parse_message_request(form, now);
    if (auto* error = std::get_if<ApiError>(&checked)) return *error;
    auto& request = std::get<wire::twilio::MessageRequest>(checked);
    row.to = request.to;
    row.from = request.from;
    row.messaging_service_sid = request.messaging_service_sid;
    row.text = request.body;
    return std::nullopt;
  }
  auto checked = wire::twilio::parse_call_request(form);
  if (auto* error = std::get_if<ApiError>(&checked)) return *error;
  auto& request = std::get<wire::twilio::CallRequest>(checked);
  row.to = request.to;
  row.from = request.from;
  row.text = !request.url.empty() ? request.url : !request.twiml.empty() ? request.twiml : request.application_sid;
  row.client_events = joined(request.events);
  return std::nullopt;
}

}  // namespace

asio::awaitable<HttpResponse> TwilioEdge::handle(HttpRequest request) {
  HttpResponse response = co_await answer(std::move(request));
  response.headers.set("Twilio-Request-Id", std::string(wire::twilio::kRequestPrefix) + world_.random.hex(16));
  co_return response;
}

asio::awaitable<HttpResponse> TwilioEdge::answer(HttpRequest request) {
  const auto given = wire::twilio::parse_basic(request.headers.get("Authorization").value_or(""));
  const bool known = given.user == config_.account_sid && equal_in_constant_time(given.password, config_.auth_token);
  if (!known) {
    log::warn("notifier.unauthorized", {{"peer", request.peer}, {"target", request.path()}});
    co_return refuse(wire::twilio::authentication_failed());
  }
  const std::string path(request.path());
  const std::optional<Route> route = wire::twilio::parse_route(path);
  if (!route || route->account_sid != config_.account_sid) co_return refuse(wire::twilio::not_found(path));
  if (request.method == "POST" && route->sid.empty()) co_return co_await create(*route, std::move(request));
  if (request.method != "GET") co_return refuse(wire::twilio::method_not_allowed());
  if (route->sid.empty()) co_return co_await list(*route, std::string(request.query()));
  co_return co_await fetch(*route, path);
}

Checked<Notification> TwilioEdge::read(Kind kind, const HttpRequest& request) {
  const Result<Fields> form = form_of(request);
  if (!form) return ApiError{400, 20001, "The request body is not a well-formed form", {}};
  Notification row;
  row.event_id = std::string(request.headers.get(kEventIdHeader).value_or(""));
  if (!is_usable_id(row.event_id, kEventIdMax)) return unusable_id(kEventIdHeader, kEventIdMax);
  row.order_id =
      std::string(request.headers.get(kOrderIdHeader).value_or(wire::twilio::field(*form, "HoldfastOrderId")));
  if (!is_usable_id(row.order_id, kOrderIdMax)) return unusable_id(kOrderIdHeader, kOrderIdMax);
  const Fields outgoing = outgoing_form(kind, *form, config_);
  // The client's callback is checked too, although it does not travel on.
  Fields checked = outgoing;
  for (const char* name : {"StatusCallback", "StatusCallbackEvent"}) {
    for (std::string& value : wire::twilio::all_fields(*form, name)) checked.emplace_back(name, std::move(value));
  }
  if (const auto error = check(kind, checked, world_.clock.wall(), row)) return *error;
  if (row.order_id.empty()) row.order_id = order_id_in(row.text, config_);
  row.id = "NT" + world_.random.hex(16);
  // One event may reach one customer on several channels: each is a notification of its own (A39), each at most once
  // (P5).
  row.dedup_key = row.event_id.empty() ? row.id : fmt::format("{}/{}/{}", row.event_id, to_string(kind), row.to);
  row.entry.kind = kind;
  row.form = net::encode_form(outgoing);
  row.fingerprint = fingerprint_of(*form);
  row.client_callback = wire::twilio::field(*form, "StatusCallback");
  return row;
}

asio::awaitable<HttpResponse> TwilioEdge::create(Route route, HttpRequest request) {
  const Monotonic deadline = world_.clock.now() + config_.answer_within;
  Checked<Notification> checked = read(route.kind, request);
  if (const auto* error = std::get_if<ApiError>(&checked)) co_return refuse(*error);
  Notification& row = std::get<Notification>(checked);
  const std::string fingerprint = row.fingerprint;
  const bool repeatable = !row.event_id.empty();
  if (!co_await world_.faults.reach("notifier.before_row")) co_return refuse(wire::twilio::service_unavailable(), 1s);
  const Result<Notification> settled = co_await dispatcher_.submit(std::move(row), deadline);
  if (!settled) {
    const Code code = settled.error().code;
    log::warn("notifier.not_accepted", {{"error", settled.error().to_string()}});
    if (code == Code::exhausted) co_return refuse(wire::twilio::too_many_requests(), 1s);
    if (code == Code::timeout && !repeatable) co_return refuse(wire::twilio::internal_error());  // it may be stored
    co_return refuse(wire::twilio::service_unavailable(), 1s);
  }
  if (!co_await world_.faults.reach("notifier.after_record")) co_return refuse(wire::twilio::service_unavailable(), 1s);
  co_return answer_of(*settled, fingerprint);
}

HttpResponse TwilioEdge::answer_of(const Notification& row, const std::string& fingerprint) const {
  if (row.fingerprint != fingerprint) {
    log::error("notifier.event_id_reused", {{"notification_id", row.id}, {"event_id", row.event_id}});
    return refuse({409, 20409, "The event id was used for a different request to the same address", {}});
  }
  const Entry& e = row.entry;
  if (e.state == State::created) {
    HttpResponse response = HttpResponse::json(201, to_json(row, config_));
    response.headers.add("X-Holdfast-Notification-Id", row.id);
    return response;
  }
  if (e.state == State::refused) return refuse({e.http_status, e.error_code, e.error_message, {}});
  const std::string message = fmt::format("Notification {} is {}: {}", row.id, to_string(e.state),
                                          e.reason.empty() ? "the provider has not answered yet" : e.reason);
  const Duration wait = e.due ? Duration(*e.due - world_.clock.wall()) : Duration(e.state == State::parked ? 60s : 1s);
  if (row.event_id.empty()) return refuse({500, 20500, message, {}});
  return refuse({503, 20503, message, {}}, wait);
}

asio::awaitable<HttpResponse> TwilioEdge::fetch(Route route, std::string path) {
  const Result<std::optional<Notification>> row = co_await store_.by_sid(route.sid);
  if (!row) co_return refuse(wire::twilio::service_unavailable(), 1s);
  if (!*row || (*row)->entry.kind != route.kind) co_return refuse(wire::twilio::not_found(path));
  co_return HttpResponse::json(200, to_json(**row, config_));
}

asio::awaitable<HttpResponse> TwilioEdge::list(Route route, std::string query) {
  const Result<Fields> fields = net::parse_form(query);
  if (!fields) co_return refuse({400, 20001, "The query is not well-formed", {}});
  const auto checked = wire::twilio::parse_list_query(route.kind, *fields);
  if (const auto* error = std::get_if<ApiError>(&checked)) co_return refuse(*error);
  const auto& wanted = std::get<wire::twilio::ListQuery>(checked);
  Result<std::vector<Notification>> rows = co_await store_.page(wanted);
  if (!rows) co_return refuse(wire::twilio::service_unavailable(), 1s);
  const bool more = rows->size() > wanted.page_size;
  if (more) rows->pop_back();
  std::vector<std::string> items;
  for (const Notification& row : *rows) items.push_back(to_json(row, config_));
  const std::string last = rows->empty() ? "" : rows->back().entry.sid;
  co_return HttpResponse::json(200, wire::twilio::page_json(wanted, route.account_sid, items, last, more));
}

}  // namespace hf::notifier
