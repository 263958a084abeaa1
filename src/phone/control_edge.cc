#include "phone/control_edge.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "wire/twilio/fields.h"
#include "wire/twilio/status.h"

namespace hf::phone {
namespace {

namespace json = boost::json;
using net::HttpRequest;
using net::HttpResponse;

constexpr std::string_view kFaults = "/control/faults", kSteps = "/control/steps/";

HttpResponse problem(int status, std::string_view message) {
  return HttpResponse::json(
      status, json::serialize(json::object{{"error", json::string_view(message.data(), message.size())}}));
}

HttpResponse unavailable(const Error& error) { return problem(503, error.message); }

bool from_loopback(const HttpRequest& request) {
  return request.peer.empty() || request.peer.starts_with("127.") || request.peer.starts_with("[::1]") ||
         request.peer.starts_with("::1");
}

json::object to_json_object(const Fault& fault) {
  json::object out{{"id", fault.id}, {"count", fault.count}, {"fired", fault.fired}};
  const std::string_view mode = to_string(fault.mode);
  out["mode"] = json::string_view(mode.data(), mode.size());
  if (!fault.to.empty()) out["match"] = json::object{{"To", fault.to}};
  if (fault.code != 0) out["code"] = fault.code;
  return out;
}

json::object to_json_object(const CustomerTotals& totals) {
  return {{"customers", totals.customers},
          {"messages", totals.messages},
          {"sms", totals.sms},
          {"whatsapp", totals.whatsapp},
          {"calls", totals.calls},
          {"notifications", totals.messages + totals.calls},
          {"duplicates", totals.duplicates},
          {"not_delivered", totals.not_delivered}};
}

json::object to_json_object(const CustomerView& view) {
  json::array received;
  std::map<std::pair<wire::twilio::Kind, std::string>, std::int64_t> times;
  std::int64_t messages = 0, calls = 0, duplicates = 0;
  for (const Resource& r : view.received) {
    const bool message = r.kind == wire::twilio::Kind::message;
    ++(message ? messages : calls);
    const bool seen = !wire::twilio::is_failure(r.kind, r.status);
    if (seen && ++times[{r.kind, r.text}] > 1) ++duplicates;
    received.push_back(json::object{{"kind", message ? "message" : "call"},
                                    {"sid", r.sid},
                                    {"from", r.from},
                                    {"text", r.text},
                                    {"status", r.status},
                                    {"created_at", to_rfc3339(r.created)}});
  }
  return {{"to", view.to},
          {"messages", messages},
          {"calls", calls},
          {"duplicates", duplicates},
          {"received", std::move(received)}};
}

/// The fault a JSON body asks for. Error: invalid, saying which field is wrong.
Result<Fault> parse_fault(const std::string& body) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(body, failed);
  if (failed || !parsed.is_object()) return Error{Code::invalid, "the body is not a JSON object"};
  Fault fault;
  bool has_mode = false;
  for (const auto& member : parsed.get_object()) {
    const std::string_view name(member.key().data(), member.key().size());
    const json::value& value = member.value();
    if (name == "mode" && value.is_string()) {
      const auto mode = parse_fault_mode(std::string_view(value.get_string().data(), value.get_string().size()));
      if (!mode) return Error{Code::invalid, "there is no such mode"};
      fault.mode = *mode;
      has_mode = true;
    } else if (name == "count" && value.is_int64() && value.get_int64() >= 0) {
      fault.count = value.get_int64();
    } else if (name == "code" && value.is_int64() && value.get_int64() > 0 && value.get_int64() < 100'000) {
      fault.code = static_cast<int>(value.get_int64());
    } else if (name == "match" && value.is_object()) {
      const json::value* to = value.get_object().if_contains("To");
      if (value.get_object().size() != 1 || to == nullptr || !to->is_string()) {
        return Error{Code::invalid, "match takes exactly {\"To\": \"…\"}"};
      }
      fault.to = std::string(to->get_string());
    } else {
      return Error{Code::invalid, fmt::format("'{}' is unknown or has a wrong value", name)};
    }
  }
  if (!has_mode) return Error{Code::invalid, "mode is missing"};
  return fault;
}

}  // namespace

asio::awaitable<HttpResponse> ControlEdge::handle(HttpRequest request) {
  if (!from_loopback(request)) co_return problem(403, "the control API answers loopback callers only");
  const std::string path(request.path());
  if (path == kFaults && request.method == "POST") co_return add_fault(request.body);
  if (path == kFaults && request.method == "GET") co_return list_faults();
  if (path == kFaults && request.method == "DELETE") {
    faults_.clear();
    co_return HttpResponse::json(200, R"({"faults":[]})");
  }
  if (path.starts_with(std::string(kFaults) + "/") && request.method == "DELETE") {
    if (!faults_.remove(path.substr(kFaults.size() + 1))) co_return problem(404, "there is no such fault");
    co_return list_faults();
  }
  if (request.method != "GET") co_return problem(405, "this takes GET");
  if (path == "/control/customers") co_return co_await customers(std::string(request.query()));
  if (path == "/control/totals") co_return co_await totals();
  if (path.starts_with(kSteps)) co_return co_await steps(path.substr(kSteps.size()));
  co_return problem(404, "there is no such resource");
}

HttpResponse ControlEdge::add_fault(const std::string& body) {
  Result<Fault> fault = parse_fault(body);
  if (!fault) return problem(400, fault.error().message);
  const Result<std::string> id = faults_.add(*fault);
  if (!id) return problem(429, id.error().message);
  fault->id = *id;
  return HttpResponse::json(201, json::serialize(to_json_object(*fault)));
}

HttpResponse ControlEdge::list_faults() const {
  json::array faults;
  for (const Fault& fault : faults_.all()) faults.push_back(to_json_object(fault));
  return HttpResponse::json(200, json::serialize(json::object{{"faults", std::move(faults)}}));
}

asio::awaitable<HttpResponse> ControlEdge::customers(std::string query) {
  const Result<wire::twilio::Fields> fields = net::parse_form(query);
  if (!fields) co_return problem(400, "the query is not well-formed");
  std::size_t limit = config_.customers_per_page;
  if (const std::string& text = wire::twilio::field(*fields, "limit"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc{} || limit == 0) co_return problem(400, "limit is a positive number");
    limit = std::min(limit, config_.customers_per_page);
  }
  const Result<CustomerTotals> totals = co_await store_.totals();
  if (!totals) co_return unavailable(totals.error());
  const Result<std::vector<CustomerView>> views =
      co_await store_.customers(wire::twilio::field(*fields, "after"), wire::twilio::field(*fields, "to"), limit);
  if (!views) co_return unavailable(views.error());
  json::array customers;
  for (const CustomerView& view : *views) customers.push_back(to_json_object(view));
  json::object body{{"customers", std::move(customers)}, {"totals", to_json_object(*totals)}};
  const bool more = views->size() == limit && wire::twilio::field(*fields, "to").empty();
  body["next_after"] = more ? json::value(views->back().to) : json::value(nullptr);
  co_return HttpResponse::json(200, json::serialize(body));
}

asio::awaitable<HttpResponse> ControlEdge::totals() {
  const Result<CustomerTotals> totals = co_await store_.totals();
  if (!totals) co_return unavailable(totals.error());
  co_return HttpResponse::json(200, json::serialize(to_json_object(*totals)));
}

asio::awaitable<HttpResponse> ControlEdge::steps(std::string sid) {
  const Result<std::vector<Step>> steps = co_await store_.steps(sid);
  if (!steps) co_return unavailable(steps.error());
  if (steps->empty()) co_return problem(404, "there is no such resource");
  json::array out;
  for (const Step& step : *steps) {
    out.push_back(json::object{{"sequence", step.sequence},
                               {"status", step.status},
                               {"due_at", to_rfc3339(step.due)},
                               {"applied", step.applied},
                               {"callback", step.callback}});
  }
  co_return HttpResponse::json(200, json::serialize(json::object{{"sid", sid}, {"steps", std::move(out)}}));
}

}  // namespace hf::phone
