#include "phone/twilio_edge.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "phone/magic_numbers.h"
#include "wire/twilio/address.h"
#include "wire/twilio/segments.h"
#include "wire/twilio/sid.h"

namespace hf::phone {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using wire::twilio::ApiError;
using wire::twilio::Checked;
using wire::twilio::Fields;
using wire::twilio::Kind;
using wire::twilio::Route;

HttpResponse refuse(const ApiError& error) {
  HttpResponse response = HttpResponse::json(error.status, wire::twilio::to_json(error));
  if (error.status == 401) response.headers.add("WWW-Authenticate", "Basic realm=\"Twilio API\"");
  if (error.status == 429) response.headers.add("Retry-After", "1");
  return response;
}

/// Anything but a form counts as an empty one, as with Twilio: a JSON body has no `To` (W6).
Result<Fields> form_of(const HttpRequest& request) {
  const std::string_view type = request.headers.get("Content-Type").value_or("");
  if (!type.starts_with("application/x-www-form-urlencoded")) return Fields{};
  HF_TRY(Fields form, net::parse_form(request.body));
  if (!wire::twilio::is_text(form)) return Error{Code::invalid, "the form is not UTF-8"};
  return form;
}

std::string new_sid(sys::Random& random, std::string_view prefix) { return std::string(prefix) + random.hex(16); }

}  // namespace

TwilioEdge::TwilioEdge(sys::World world, const PhoneConfig& config, Store& store, FaultSwitches& faults, Lives& lives)
    : world_(world),
      config_(config),
      store_(store),
      faults_(faults),
      lives_(lives),
      stop_(world.clock),
      created_(world.metrics.counter("holdfast_phone_created_total", "messages and calls created")),
      refused_(world.metrics.counter("holdfast_phone_refused_total", "requests answered with an error")) {}

asio::awaitable<HttpResponse> TwilioEdge::handle(HttpRequest request) {
  const Monotonic begin = world_.clock.now();
  ++concurrent_;
  HttpResponse response = co_await answer(std::move(request));
  response.headers.set("Twilio-Concurrent-Requests", fmt::to_string(concurrent_--));
  response.headers.set("Twilio-Request-Id", new_sid(world_.random, wire::twilio::kRequestPrefix));
  const std::chrono::duration<double> took = world_.clock.now() - begin;
  response.headers.set("Twilio-Request-Duration", fmt::format("{:.3f}", took.count()));
  if (response.status >= 400) refused_.add();
  co_return response;
}

TwilioEdge::Account TwilioEdge::authenticate(const HttpRequest& request) const {
  const auto given = wire::twilio::parse_basic(request.headers.get("Authorization").value_or(""));
  const auto matches = [&](const std::string& sid, const std::string& token) {
    return !sid.empty() && given.user == sid && equal_in_constant_time(given.password, token);
  };
  if (matches(config_.account_sid, config_.auth_token)) return Account::live;
  if (matches(config_.test_account_sid, config_.test_auth_token)) return Account::test;
  return Account::none;
}

asio::awaitable<HttpResponse> TwilioEdge::answer(HttpRequest request) {
  const Account account = authenticate(request);
  if (account == Account::none) co_return refuse(wire::twilio::authentication_failed());
  const std::string path(request.path());
  const std::optional<Route> route = wire::twilio::parse_route(path);
  const std::string& ours = account == Account::test ? config_.test_account_sid : config_.account_sid;
  if (!route || route->account_sid != ours) co_return refuse(wire::twilio::not_found(path));
  const bool creates = request.method == "POST" && route->sid.empty();
  if (account == Account::test && !creates) {
    co_return refuse({403, 20008, "Resource not accessible with Test Account Credentials", {}});
  }
  if (creates) co_return co_await create(*route, std::move(request), account);
  if (request.method != "GET") co_return refuse(wire::twilio::method_not_allowed());
  if (route->sid.empty()) co_return co_await list(*route, std::string(request.query()));
  co_return co_await fetch(*route, path);
}

bool TwilioEdge::owns(std::string_view sender) const {
  return config_.senders.empty() || std::ranges::find(config_.senders, sender) != config_.senders.end();
}

Checked<Resource> TwilioEdge::message_of(const Fields& form, LifecycleInput& input) {
  auto checked = wire::twilio::parse_message_request(form, world_.clock.wall());
  if (auto* error = std::get_if<ApiError>(&checked)) return *error;
  const auto& request = std::get<wire::twilio::MessageRequest>(checked);
  if (!request.from.empty() && !owns(request.from)) {
    return ApiError{
        400,
        21606,
        fmt::format("The From phone number {} is not a valid, SMS-capable inbound phone number or short code for "
                    "your account.",
                    wire::twilio::mask_address(request.from)),
        {}};
  }
  Resource r;
  r.messaging_service_sid = request.messaging_service_sid;
  r.to = request.to;
  r.from = request.from;
  r.text = request.body;
  r.num_media = static_cast<std::int64_t>(request.media_urls.size());
  const bool waits = request.send_at || !request.messaging_service_sid.empty();
  r.num_segments = waits ? 0 : static_cast<std::int64_t>(wire::twilio::segment(request.body).segments);
  r.status = request.send_at ? "scheduled" : request.messaging_service_sid.empty() ? "queued" : "accepted";
  r.callback_url = request.status_callback;
  r.sid = new_sid(world_.random, r.num_media > 0 ? wire::twilio::kMediaMessagePrefix : wire::twilio::kMessagePrefix);
  input.whatsapp = request.to.starts_with("whatsapp:");
  if (request.send_at) input.starts_in = *request.send_at - world_.clock.wall();
  return r;
}

Checked<Resource> TwilioEdge::call_of(const Fields& form, LifecycleInput& input) {
  auto checked = wire::twilio::parse_call_request(form);
  if (auto* error = std::get_if<ApiError>(&checked)) return *error;
  const auto& request = std::get<wire::twilio::CallRequest>(checked);
  if (!owns(request.from)) {
    return ApiError{400,
                    21210,
                    fmt::format("The source phone number provided, {}, is not yet verified for your account.",
                                wire::twilio::mask_address(request.from)),
                    {}};
  }
  Resource r;
  r.kind = Kind::call;
  r.to = request.to;
  r.from = request.from;
  r.url = request.url;
  r.twiml = request.url.empty() ? request.twiml : "";
  r.text = wire::twilio::spoken_text(r.twiml);
  r.status = "queued";
  r.callback_url = request.status_callback;
  r.sid = new_sid(world_.random, wire::twilio::kCallPrefix);
  input.events = request.events;
  return r;
}

Checked<Life> TwilioEdge::plan(Kind kind, const Fields& form) {
  LifecycleInput input;
  input.kind = kind;
  Checked<Resource> checked = kind == Kind::message ? message_of(form, input) : call_of(form, input);
  if (auto* error = std::get_if<ApiError>(&checked)) return *error;
  Life life{std::move(std::get<Resource>(checked)), {}};
  life.resource.account_sid = config_.account_sid;
  life.resource.created = life.resource.updated = world_.clock.wall();
  input.first_status = life.resource.status;
  input.callbacks = !life.resource.callback_url.empty();
  input.fault = faults_.take(FaultPlace::plan, life.resource.to);
  const auto from_creation = [&](Duration after) {
    return life.resource.created + std::chrono::duration_cast<std::chrono::microseconds>(after);
  };
  for (PlannedStep& planned : plan_life(input, config_)) {
    Step step;
    step.sequence = static_cast<std::int64_t>(life.steps.size());
    step.status = std::move(planned.status);
    step.error_code = planned.error_code;
    step.due = from_creation(planned.due);
    step.callback_due = from_creation(planned.callback_due);
    step.reported = planned.reported;
    step.callback = planned.reported ? "due" : "none";
    life.steps.push_back(std::move(step));
  }
  return life;
}

asio::awaitable<HttpResponse> TwilioEdge::create(Route route, HttpRequest request, Account account) {
  const Result<Fields> form = form_of(request);
  if (!form) co_return refuse({400, 20001, "The request body is not a well-formed form", {}});
  if (account == Account::test) {
    const auto magic = magic_refusal(route.kind, wire::twilio::field(*form, "From"), wire::twilio::field(*form, "To"));
    if (magic) co_return refuse(*magic);
  }
  if (lives_.unfinished() >= config_.unfinished) co_return refuse(wire::twilio::too_many_requests());
  Checked<Life> planned = plan(route.kind, *form);
  if (auto* error = std::get_if<ApiError>(&planned)) co_return refuse(*error);
  Life& life = std::get<Life>(planned);
  if (account == Account::test) {
    life.resource.account_sid = config_.test_account_sid;
    co_return HttpResponse::json(201, to_json(life.resource));
  }
  const auto fault = faults_.take(FaultPlace::create, life.resource.to);
  if (fault) co_return co_await create_with_fault(std::move(life), *fault);
  co_return co_await store_life(std::move(life));
}

asio::awaitable<HttpResponse> TwilioEdge::create_with_fault(Life life, Fault fault) {
  constexpr int kOptedOut = 21610;
  log::info("phone.fault", {{"mode", to_string(fault.mode)},
                            {"sid", life.resource.sid},
                            {"to", wire::twilio::mask_address(life.resource.to)}});
  switch (fault.mode) {
    case FaultMode::refuse: {
      const int code = fault.code != 0 ? fault.code : kOptedOut;
      co_return refuse(
          {400, code, code == kOptedOut ? "Attempt to send to unsubscribed recipient" : "Refused on request", {}});
    }
    case FaultMode::too_many_requests:
      co_return refuse(wire::twilio::too_many_requests());
    case FaultMode::fail_before_create:
      co_return refuse(wire::twilio::internal_error());
    case FaultMode::hang_before_create:
      co_await hang();
      co_return refuse(wire::twilio::service_unavailable());
    default:
      break;
  }
  HttpResponse created = co_await store_life(std::move(life));
  if (created.status != 201) co_return created;
  if (fault.mode == FaultMode::create_then_hang) {
    co_await hang();
    co_return refuse(wire::twilio::service_unavailable());
  }
  if (fault.mode == FaultMode::gateway_502) {
    co_return HttpResponse::text(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html");
  }
  co_return refuse(wire::twilio::internal_error());
}

asio::awaitable<HttpResponse> TwilioEdge::store_life(Life life) {
  Result<void> stored = co_await store_.create(life);
  if (!stored && stored.error().code == Code::timeout) {  // the commit's answer was lost: look
    const Result<std::optional<Resource>> found = co_await store_.find(life.resource.kind, life.resource.sid);
    if (found && *found) stored = ok();
  }
  if (!stored) {
    log::error("phone.store_failed", {{"sid", life.resource.sid}, {"error", stored.error().to_string()}});
    co_return refuse(stored.error().code == Code::timeout ? wire::twilio::internal_error()
                                                          : wire::twilio::service_unavailable());
  }
  const Result<void> reached = co_await world_.faults.reach("phone.after_create");
  created_.add();
  HttpResponse response = HttpResponse::json(201, to_json(life.resource));
  log::debug("phone.created", {{"sid", life.resource.sid}, {"to", wire::twilio::mask_address(life.resource.to)}});
  lives_.add(std::move(life));
  if (!reached) co_return refuse(wire::twilio::internal_error());
  co_return response;
}

asio::awaitable<HttpResponse> TwilioEdge::fetch(Route route, std::string path) {
  const Result<std::optional<Resource>> found = co_await store_.find(route.kind, route.sid);
  if (!found) co_return refuse(wire::twilio::service_unavailable());
  if (!*found) co_return refuse(wire::twilio::not_found(path));
  co_return HttpResponse::json(200, to_json(**found));
}

asio::awaitable<HttpResponse> TwilioEdge::list(Route route, std::string query) {
  const Result<Fields> fields = net::parse_form(query);
  if (!fields) co_return refuse({400, 20001, "The query is not well-formed", {}});
  const auto checked = wire::twilio::parse_list_query(route.kind, *fields);
  if (const auto* error = std::get_if<ApiError>(&checked)) co_return refuse(*error);
  const auto& wanted = std::get<wire::twilio::ListQuery>(checked);
  Result<std::vector<Resource>> rows = co_await store_.list(wanted);
  if (!rows) co_return refuse(wire::twilio::service_unavailable());
  const bool more = rows->size() > wanted.page_size;
  if (more) rows->pop_back();
  std::vector<std::string> items;
  for (const Resource& row : *rows) items.push_back(to_json(row));
  const std::string last = rows->empty() ? "" : rows->back().sid;
  co_return HttpResponse::json(200, wire::twilio::page_json(wanted, route.account_sid, items, last, more));
}

asio::awaitable<void> TwilioEdge::hang() {
  const Monotonic until = world_.clock.now() + config_.hang;
  while (!stopping_ && world_.clock.now() < until) co_await stop_.wait_until(until);
}

void TwilioEdge::stop() {
  stopping_ = true;
  stop_.notify_all();
}

}  // namespace hf::phone
