#include "notifier/provider.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/bytes.h"
#include "wire/twilio/call.h"
#include "wire/twilio/message.h"
#include "wire/twilio/route.h"
#include "wire/twilio/segments.h"
#include "wire/twilio/sid.h"

namespace hf::notifier {
namespace {

using wire::twilio::Fields;
using wire::twilio::Kind;

/// Ours, or replaced by ours.
constexpr std::array<std::string_view, 4> kNotForwarded = {"StatusCallback", "StatusCallbackMethod",
                                                           "StatusCallbackEvent", "HoldfastOrderId"};
/// Connection overrides: five retries, also after time-outs and 5xx. The fragment is neither sent nor signed.
constexpr std::string_view kCallbackOverrides = "#rc=5&rp=ct,rt,5xx";
constexpr Duration kCreatedWithin = 120s, kScanBeyond = 5min;
constexpr std::size_t kListPageSize = 100;

net::HttpRequest authorized(std::string method, const NotifierConfig& config) {
  net::HttpRequest request;
  request.method = std::move(method);
  request.headers.add("Authorization", wire::twilio::basic_header(config.account_sid, config.auth_token));
  request.headers.add("Accept", "application/json");
  return request;
}

std::string default_from(Kind kind, const std::string& to, const NotifierConfig& config) {
  if (kind == Kind::call) return config.from_voice;
  return to.starts_with("whatsapp:") ? config.from_whatsapp : config.from_sms;
}

std::optional<Duration> retry_after(const net::HttpResponse& response) {
  const auto text = response.headers.get("Retry-After");
  if (!text) return std::nullopt;
  int seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc{} || end != text->data() + text->size() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

Answer read_created(Kind kind, const net::HttpResponse& response) {
  if (kind == Kind::message) {
    const auto message = wire::twilio::parse_message(response.body);
    if (message) return {CallCreated{message->sid, message->status}, response.body};
  } else {
    const auto call = wire::twilio::parse_call(response.body);
    if (call) return {CallCreated{call->sid, call->status}, response.body};
  }
  return {CallLost{fmt::format("answered {} without a SID", response.status)}, {}};
}

WallTime plus(WallTime at, Duration d) { return at + std::chrono::duration_cast<std::chrono::microseconds>(d); }

}  // namespace

Fields outgoing_form(Kind kind, const Fields& form, const NotifierConfig& config) {
  Fields out;
  for (const auto& [name, value] : form) {
    const bool ours = std::ranges::find(kNotForwarded, name) != kNotForwarded.end();
    if (!ours && !(name == "From" && value.empty())) out.emplace_back(name, value);
  }
  const bool has_sender =
      !wire::twilio::field(out, "From").empty() || !wire::twilio::field(out, "MessagingServiceSid").empty();
  if (!has_sender) out.emplace_back("From", default_from(kind, wire::twilio::field(out, "To"), config));
  return out;
}

std::string order_id_in(std::string_view text, const NotifierConfig& config) {
  constexpr std::size_t kOrderIdMax = 100;
  const auto in_id = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  };
  for (const std::string& before : config.order_id_after) {
    const std::size_t at = text.find(before);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = text.substr(at + before.size());
    const auto length = static_cast<std::size_t>(std::ranges::find_if_not(rest, in_id) - rest.begin());
    if (length > 0 && length <= kOrderIdMax) return std::string(rest.substr(0, length));
  }
  return {};
}

std::string callback_target(Kind kind, const std::string& id, int attempt) {
  return fmt::format("/hooks/twilio/{}?n={}&a={}", to_string(kind), id, attempt);
}

ProviderCall create_call(const Notification& row, const NotifierConfig& config) {
  ProviderCall call{authorized("POST", config),
                    config.provider_url + wire::twilio::list_path(row.entry.kind, config.account_sid)};
  call.request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  call.request.body = row.form;
  if (config.callback_base_url.empty()) return call;
  Fields callback = {{"StatusCallback", config.callback_base_url +
                                            callback_target(row.entry.kind, row.id, row.entry.attempt) +
                                            std::string(kCallbackOverrides)}};
  if (row.entry.kind == Kind::call) {
    for (const char* event : {"initiated", "ringing", "answered", "completed"})
      callback.emplace_back("StatusCallbackEvent", event);
  }
  call.request.body += "&" + net::encode_form(callback);
  return call;
}

ProviderCall list_call(const Notification& row, const NotifierConfig& config) {
  // No date filter: rows that were not sent yet match none, and they are what is looked for.
  return {authorized("GET", config), fmt::format("{}{}?To={}&PageSize={}", config.provider_url,
                                                 wire::twilio::list_path(row.entry.kind, config.account_sid),
                                                 percent_encode(row.to), kListPageSize)};
}

ProviderCall next_page_call(const std::string& next_page_uri, const NotifierConfig& config) {
  return {authorized("GET", config), config.provider_url + next_page_uri};
}

ProviderCall fetch_call(const Notification& row, const NotifierConfig& config) {
  return {authorized("GET", config),
          config.provider_url + wire::twilio::resource_path(row.entry.kind, config.account_sid, row.entry.sid)};
}

Answer read_answer(Kind kind, const Result<net::HttpResponse>& response) {
  if (!response) {
    const Error& error = response.error();
    // The client's two classes: unavailable is certainly not processed; everything else may have been.
    if (error.code == Code::unavailable || error.code == Code::invalid) return {CallNotMade{error.message, {}}, {}};
    return {CallLost{error.message}, {}};
  }
  if (response->status >= 200 && response->status < 300) return read_created(kind, *response);
  const auto error = wire::twilio::parse_error(response->body, response->status);
  if (response->status < 400 || response->status >= 500 || !error) {
    return {CallLost{fmt::format("answered {}", response->status)}, {}};
  }
  if (wire::twilio::classify_refusal(error->code) == wire::twilio::FailureClass::retry) {
    return {CallNotMade{fmt::format("{} ({})", error->message, error->code), retry_after(*response)}, {}};
  }
  if (response->status == 429) return {CallLost{fmt::format("answered 429 with {}", error->code)}, {}};
  return {CallRefused{*error}, {}};
}

std::optional<Listed> read_listed(Kind kind, const std::string& item) {
  if (kind == Kind::message) {
    const auto m = wire::twilio::parse_message(item);
    if (!m) return std::nullopt;
    return Listed{m->sid, m->status, m->from, m->body, item, m->error_code.value_or(0), m->date_created};
  }
  const auto c = wire::twilio::parse_call(item);
  if (!c) return std::nullopt;
  return Listed{c->sid, c->status, c->from, {}, item, 0, c->date_created};
}

bool may_be(const Listed& listed, const Notification& row, const NotifierConfig& config) {
  const WallTime begin = plus(row.entry.attempt_started, -config.clock_tolerance);
  const WallTime end = plus(row.entry.attempt_started, config.call_timeout + kCreatedWithin + config.clock_tolerance);
  if (listed.created < begin || listed.created > end) return false;
  // A service picks the sender itself, so only a sender that we fixed says something.
  const bool sender = row.from.empty() || listed.from.empty() || listed.from == row.from;
  // Twilio puts its trial prefix before the text.
  const bool text = row.entry.kind == Kind::call || row.text.empty() || listed.body.ends_with(row.text);
  return sender && text;
}

bool is_too_old(const Listed& listed, const Notification& row, const NotifierConfig& config) {
  return listed.created < plus(row.entry.attempt_started, -(config.clock_tolerance + kScanBeyond));
}

Event read_look(Kind kind, const std::vector<Listed>& candidates, const Store::Rivals& rivals) {
  if (candidates.empty()) return NotFound{};
  if (rivals.sending > 0) return LookFailed{"another call to the same number is under way; its answer decides first"};
  const auto unknown = static_cast<std::size_t>(std::max<std::int64_t>(rivals.unknown, 1));
  if (kind == Kind::call && candidates.size() < unknown) {
    return LookFailed{
        fmt::format("{} calls in the list for {} unanswered ones; callbacks must tell", candidates.size(), unknown)};
  }
  const Listed& first = candidates.front();
  return Found{first.sid, first.status, first.error_code};
}

std::string to_json(const Notification& row, const NotifierConfig& config) {
  const Entry& e = row.entry;
  if (e.kind == Kind::call) {
    wire::twilio::Call call = wire::twilio::parse_call(row.resource).value_or(wire::twilio::Call{});
    if (call.sid.empty()) {
      call.date_created = e.attempt_started;
      call.from = row.from;
    }
    call.sid = e.sid;
    call.account_sid = config.account_sid;
    call.to = row.to;
    call.status = e.status == "initiated" ? "queued" : e.status;  // `initiated` has no REST status
    call.date_updated = std::max(call.date_created, e.state_since);
    return wire::twilio::to_json(call);
  }
  wire::twilio::Message message = wire::twilio::parse_message(row.resource).value_or(wire::twilio::Message{});
  if (message.sid.empty()) {
    message.date_created = e.attempt_started;
    message.from = row.from;
    message.body = row.text;
    message.messaging_service_sid = row.messaging_service_sid;
    message.num_segments = wire::twilio::segment(row.text).segments;
  }
  message.sid = e.sid;
  message.account_sid = config.account_sid;
  message.to = row.to;
  message.status = e.status;
  if (e.error_code != 0) message.error_code = e.error_code;
  message.error_message = e.error_message;
  message.date_updated = std::max(message.date_created, e.state_since);
  if (!message.date_sent && wire::twilio::status_rank(e.kind, e.status) >= wire::twilio::status_rank(e.kind, "sent") &&
      e.status != "failed" && e.status != "canceled") {
    message.date_sent = e.attempt_started;
  }
  return wire::twilio::to_json(message);
}

}  // namespace hf::notifier
