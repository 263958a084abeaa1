#include "wire/twilio/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "wire/twilio/address.h"
#include "wire/twilio/json_fields.h"
#include "wire/twilio/message.h"
#include "wire/twilio/route.h"
#include "wire/twilio/segments.h"
#include "wire/twilio/sid.h"

namespace hf::wire::twilio {
namespace {

namespace json = boost::json;

constexpr std::size_t kTwimlMax = 4000;
constexpr std::array<std::string_view, 4> kEvents = {"initiated", "ringing", "answered", "completed"};
constexpr std::array<std::string_view, 9> kSubresources = {"notifications",
                                                           "recordings",
                                                           "payments",
                                                           "events",
                                                           "siprec",
                                                           "streams",
                                                           "transcriptions",
                                                           "user_defined_message_subscriptions",
                                                           "user_defined_messages"};

ApiError refusal(int code, std::string message) { return {400, code, std::move(message), {}}; }

/// A number, a client's name or a SIP address, short enough to be stored.
bool is_callee(std::string_view text) {
  constexpr std::size_t kAddressMax = 80;
  if (text.size() > kAddressMax) return false;
  return is_e164(text) || (text.starts_with("client:") && text.size() > 7) ||
         (text.starts_with("sip:") && text.size() > 4);
}

std::string camel(std::string_view snake) {
  std::string out;
  bool upper = true;
  for (const char c : snake) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return out;
}

std::string unescape(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
      {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};
  std::string out;
  while (!text.empty()) {
    const auto found =
        std::ranges::find_if(kEntities, [&](const auto& entity) { return text.starts_with(entity.first); });
    if (found == kEntities.end()) {
      out += text[0];
      text.remove_prefix(1);
    } else {
      out += found->second;
      text.remove_prefix(found->first.size());
    }
  }
  return out;
}

}  // namespace

Checked<CallRequest> parse_call_request(const Fields& form) {
  CallRequest request{.to = field(form, "To"),
                      .from = field(form, "From"),
                      .url = field(form, "Url"),
                      .twiml = field(form, "Twiml"),
                      .application_sid = field(form, "ApplicationSid"),
                      .status_callback = field(form, "StatusCallback"),
                      .events = all_fields(form, "StatusCallbackEvent")};
  if (request.to.empty()) return refusal(21201, "No 'To' number is specified");
  if (!is_callee(request.to))
    return refusal(21217, fmt::format("Phone number {} is not valid", mask_address(request.to)));
  if (request.from.empty()) return refusal(21213, "No 'From' number is specified");
  if (!is_callee(request.from)) {
    return refusal(21212, fmt::format("The 'From' number {} is not valid", mask_address(request.from)));
  }
  if (request.url.empty() && request.twiml.empty() && request.application_sid.empty()) {
    return refusal(21205, "Url parameter is required.");
  }
  if (!request.url.empty() && !is_callback_url(request.url)) return refusal(21205, "Url is not a valid URL");
  if (utf16_length(request.twiml) > kTwimlMax) return refusal(21205, "Twiml must not exceed 4000 characters");
  if (!request.application_sid.empty() && !is_sid("AP", request.application_sid)) {
    return refusal(21218, "Invalid ApplicationSid");
  }
  if (!request.status_callback.empty() && !is_callback_url(request.status_callback)) {
    return refusal(21609, fmt::format("The 'StatusCallback' URL {} is not a valid URL.", request.status_callback));
  }
  for (const std::string& event : request.events) {
    if (std::ranges::find(kEvents, event) == kEvents.end()) {
      return refusal(
          21626, fmt::format("StatusCallbackEvent {} is not one of initiated, ringing, answered, completed", event));
    }
  }
  std::ranges::sort(request.events);
  request.events.erase(std::ranges::unique(request.events).begin(), request.events.end());
  if (request.events.empty()) request.events = {"completed"};
  return request;
}

std::string to_json(const Call& call) {
  const std::string uri = resource_path(Kind::call, call.account_sid, call.sid);
  const std::string stem = uri.substr(0, uri.size() - std::string_view(".json").size());
  json::object subresources;
  for (const std::string_view name : kSubresources) {
    subresources[json::string_view(name.data(), name.size())] = fmt::format("{}/{}.json", stem, camel(name));
  }
  json::object body;
  body["sid"] = call.sid;
  body["account_sid"] = call.account_sid;
  body["to"] = call.to;
  body["to_formatted"] = call.to;
  body["from"] = call.from;
  body["from_formatted"] = call.from;
  body["phone_number_sid"] = nullptr;
  body["parent_call_sid"] = nullptr;
  body["status"] = call.status;
  body["start_time"] = date_or_null(call.start_time);
  body["end_time"] = date_or_null(call.end_time);
  body["duration"] = string_or_null(call.duration_s ? fmt::to_string(*call.duration_s) : std::string{});
  body["price"] = string_or_null(call.price);
  body["price_unit"] = "USD";
  body["direction"] = "outbound-api";
  body["answered_by"] = string_or_null(call.answered_by);
  body["caller_name"] = nullptr;
  body["forwarded_from"] = nullptr;
  body["group_sid"] = nullptr;
  body["queue_time"] = "0";
  body["trunk_sid"] = nullptr;
  body["date_created"] = to_rfc2822(call.date_created);
  body["date_updated"] = to_rfc2822(call.date_updated);
  body["api_version"] = json::string_view(kApiVersion.data(), kApiVersion.size());
  body["uri"] = uri;
  body["subresource_uris"] = std::move(subresources);
  return json::serialize(body);
}

Result<Call> parse_call(std::string_view text) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed || !parsed.is_object()) return Error{Code::invalid, "a call that is no JSON object"};
  const json::object& object = parsed.get_object();
  Call call;
  call.sid = text_of(object, "sid");
  if (!is_sid(kCallPrefix, call.sid)) return Error{Code::invalid, "a call without SID"};
  call.account_sid = text_of(object, "account_sid");
  call.to = text_of(object, "to");
  call.from = text_of(object, "from");
  call.status = text_of(object, "status");
  call.answered_by = text_of(object, "answered_by");
  call.price = text_of(object, "price");
  call.duration_s = number_of(object, "duration");
  call.date_created = date_of(object, "date_created").value_or(WallTime{});
  call.date_updated = date_of(object, "date_updated").value_or(call.date_created);
  call.start_time = date_of(object, "start_time");
  call.end_time = date_of(object, "end_time");
  return call;
}

std::string say(std::string_view text) {
  std::string out = R"(<?xml version="1.0" encoding="UTF-8"?><Response><Say>)";
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out + "</Say></Response>";
}

std::string spoken_text(std::string_view twiml) {
  std::string out;
  while (true) {
    const std::size_t open = twiml.find("<Say");
    if (open == std::string_view::npos) return out;
    const std::size_t begin = twiml.find('>', open);
    if (begin == std::string_view::npos) return out;
    if (twiml[begin - 1] == '/') {  // <Say/> says nothing
      twiml.remove_prefix(begin + 1);
      continue;
    }
    const std::size_t end = twiml.find("</Say>", begin);
    if (end == std::string_view::npos) return out;
    if (!out.empty()) out += ' ';
    out += unescape(twiml.substr(begin + 1, end - begin - 1));
    twiml.remove_prefix(end);
  }
}

}  // namespace hf::wire::twilio
