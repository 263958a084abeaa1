#include "wire/twilio/callback.h"

#include <fmt/format.h>

#include <charconv>

#include "wire/twilio/route.h"
#include "wire/twilio/sid.h"

namespace hf::wire::twilio {
namespace {

std::optional<int> to_int(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::string version() { return std::string(kApiVersion); }

/// Calls `each(part)` for the parts of "a,b,c".
template <class Each>
void split(std::string_view text, char separator, Each each) {
  while (!text.empty()) {
    const std::size_t at = text.find(separator);
    each(text.substr(0, at));
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  }
}

void apply_milliseconds(std::string_view value, int min, int max, Duration& into) {
  if (const auto ms = to_int(value); ms && *ms >= min && *ms <= max) into = std::chrono::milliseconds(*ms);
}

void apply_retry_on(std::string_view list, CallbackPolicy& policy) {
  policy.retry_connect = false;
  split(list, ',', [&](std::string_view what) {
    const bool all = what == "all";
    policy.retry_connect |= all || what == "ct";
    policy.retry_timeout |= all || what == "rt";
    policy.retry_4xx |= all || what == "4xx";
    policy.retry_5xx |= all || what == "5xx";
  });
}

}  // namespace

Fields message_callback(const Message& message) {
  Fields form = {{"AccountSid", message.account_sid},
                 {"ApiVersion", version()},
                 {"From", message.from},
                 {"MessageSid", message.sid},
                 {"MessageStatus", message.status},
                 {"SmsSid", message.sid},
                 {"SmsStatus", message.status},
                 {"To", message.to}};
  if (!message.messaging_service_sid.empty()) form.emplace_back("MessagingServiceSid", message.messaging_service_sid);
  if (message.error_code) form.emplace_back("ErrorCode", fmt::to_string(*message.error_code));
  if (!message.error_message.empty()) form.emplace_back("ErrorMessage", message.error_message);
  if (message.to.starts_with("whatsapp:")) form.emplace_back("ChannelPrefix", "whatsapp");
  if (message.status == "read") form.emplace_back("EventType", "READ");
  return form;
}

Fields call_callback(const Call& call, std::string_view status, int sequence, WallTime at) {
  Fields form = {{"AccountSid", call.account_sid},
                 {"ApiVersion", version()},
                 {"CallSid", call.sid},
                 {"CallStatus", std::string(status)},
                 {"CallbackSource", "call-progress-events"},
                 {"Called", call.to},
                 {"Caller", call.from},
                 {"Direction", "outbound-api"},
                 {"From", call.from},
                 {"SequenceNumber", fmt::to_string(sequence)},
                 {"Timestamp", to_rfc2822(at)},
                 {"To", call.to}};
  if (status == "completed" && call.duration_s) {
    form.emplace_back("CallDuration", fmt::to_string(*call.duration_s));
    form.emplace_back("Duration", fmt::to_string((*call.duration_s + 59) / 60));
  }
  if (status == "busy") form.emplace_back("SipResponseCode", "486");
  if (status == "no-answer") form.emplace_back("SipResponseCode", "487");
  if (status == "failed") form.emplace_back("SipResponseCode", "404");
  return form;
}

std::string_view event_of_call_status(std::string_view status) {
  if (status == "initiated" || status == "ringing") return status;
  if (status == "in-progress") return "answered";
  return "completed";
}

std::optional<StatusUpdate> parse_status_update(const Fields& form) {
  StatusUpdate update;
  update.sid = field(form, "MessageSid");
  update.status = field(form, "MessageStatus");
  if (update.sid.empty()) {
    update.kind = Kind::call;
    update.sid = field(form, "CallSid");
    update.status = field(form, "CallStatus");
  }
  const bool named = update.kind == Kind::message ? is_message_sid(update.sid) : is_sid(kCallPrefix, update.sid);
  if (!named || status_rank(update.kind, update.status) == 0) return std::nullopt;
  update.error_code = to_int(field(form, "ErrorCode")).value_or(0);
  update.error_message = field(form, "ErrorMessage");
  update.key = fmt::format("{}/{}/{}/{}/{}", update.sid, update.status, update.error_code,
                           field(form, "RawDlrDoneDate"), field(form, "SequenceNumber"));
  return update;
}

CallbackTarget parse_callback_target(std::string_view url) {
  const std::size_t hash = url.find('#');
  CallbackTarget target{std::string(url.substr(0, hash)), {}};
  if (hash == std::string_view::npos) return target;
  split(url.substr(hash + 1), '&', [&](std::string_view pair) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return;
    const std::string_view name = pair.substr(0, equals), value = pair.substr(equals + 1);
    if (name == "ct") apply_milliseconds(value, 100, 10'000, target.policy.connect_timeout);
    if (name == "rt") apply_milliseconds(value, 100, 15'000, target.policy.read_timeout);
    if (name == "tt") apply_milliseconds(value, 100, 15'000, target.policy.total);
    if (name == "rp") apply_retry_on(value, target.policy);
    if (const auto count = to_int(value); name == "rc" && count && *count >= 0 && *count <= 5)
      target.policy.retries = *count;
  });
  return target;
}

bool retries(const CallbackPolicy& policy, CallbackOutcome outcome, int tries) {
  if (tries > policy.retries) return false;
  switch (outcome) {
    case CallbackOutcome::accepted:
      return false;
    case CallbackOutcome::not_connected:
      return policy.retry_connect;
    case CallbackOutcome::timed_out:
      return policy.retry_timeout;
    case CallbackOutcome::status_4xx:
      return policy.retry_4xx;
    case CallbackOutcome::status_5xx:
      return policy.retry_5xx;
  }
  return false;
}

}  // namespace hf::wire::twilio
