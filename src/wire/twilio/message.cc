#include "wire/twilio/message.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "wire/twilio/address.h"
#include "wire/twilio/json_fields.h"
#include "wire/twilio/route.h"
#include "wire/twilio/segments.h"
#include "wire/twilio/sid.h"

namespace hf::wire::twilio {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyMax = 1600, kMediaMax = 10, kCallbackUrlMax = 4000;
constexpr int kValidityMax = 36'000;

using Refusal = std::optional<ApiError>;

ApiError refusal(int code, std::string message) { return {400, code, std::move(message), {}}; }

bool is_web_url(std::string_view url) { return url.starts_with("http://") || url.starts_with("https://"); }

Refusal check_addresses(const MessageRequest& request) {
  if (request.to.empty()) return refusal(21604, "A 'To' phone number is required.");
  const auto to = parse_recipient(request.to);
  if (!to) return refusal(21211, fmt::format("Invalid 'To' Phone Number: {}", mask_address(request.to)));
  if (request.from.empty() && request.messaging_service_sid.empty()) {
    return refusal(21603, "A 'From' phone number is required.");
  }
  if (!request.messaging_service_sid.empty() && !is_sid(kServicePrefix, request.messaging_service_sid)) {
    return refusal(21705, "The Messaging Service Sid is invalid.");
  }
  if (request.from.empty()) return std::nullopt;
  const auto from = parse_sender(request.from);
  if (!from) {
    return refusal(
        21212, fmt::format("The 'From' number {} is not a valid phone number, shortcode, or alphanumeric sender ID.",
                           mask_address(request.from)));
  }
  if (request.to == request.from) return refusal(21211, "'To' and 'From' number cannot be the same");
  if (to->channel != from->channel) {
    return refusal(
        21612,
        fmt::format("Message cannot be sent with the current combination of 'To' ({}) and/or 'From' ({}) parameters",
                    mask_address(request.to), mask_address(request.from)));
  }
  return std::nullopt;
}

Refusal check_content(const MessageRequest& request, const Fields& form) {
  if (request.body.empty() && request.media_urls.empty() && request.content_sid.empty()) {
    return refusal(21602, "Message body is required.");
  }
  if (utf16_length(request.body) > kBodyMax) {
    return refusal(21617, "The concatenated message body exceeds the 1600 character limit.");
  }
  if (request.media_urls.size() > kMediaMax) return refusal(21623, "Number of media files exceeds allowed limit.");
  for (const std::string& url : request.media_urls) {
    if (!is_web_url(url)) return refusal(21620, "Invalid media URL(s)");
  }
  if (!request.content_sid.empty() && !is_sid("HX", request.content_sid)) {
    return refusal(21655, "The ContentSid is Invalid");
  }
  const std::string& variables = field(form, "ContentVariables");
  if (variables.empty()) return std::nullopt;
  if (request.content_sid.empty()) return refusal(21654, "ContentSid Required");
  boost::system::error_code failed;
  if (!json::parse(variables, failed).is_object() || failed) {
    return refusal(21656, "The Content Variables parameter is invalid.");
  }
  return std::nullopt;
}

Refusal check_delivery_options(const MessageRequest& request, const Fields& form) {
  if (!request.status_callback.empty() && !is_callback_url(request.status_callback)) {
    return refusal(21609, fmt::format("The 'StatusCallback' URL {} is not a valid URL.", request.status_callback));
  }
  const std::string& validity = field(form, "ValidityPeriod");
  if (validity.empty()) return std::nullopt;
  int seconds = 0;
  const auto [end, error] = std::from_chars(validity.data(), validity.data() + validity.size(), seconds);
  if (error != std::errc{} || end != validity.data() + validity.size() || seconds < 1 || seconds > kValidityMax) {
    return refusal(90007, "ValidityPeriod must be between 1 and 36000 seconds.");
  }
  return std::nullopt;
}

/// Twilio accepts more than 300 s and at most 35 days ahead.
Refusal check_schedule(MessageRequest& request, const Fields& form, WallTime now) {
  const std::string& send_at = field(form, "SendAt");
  const std::string& type = field(form, "ScheduleType");
  if (send_at.empty() && type.empty()) return std::nullopt;
  if (type != "fixed") return refusal(35119, "ScheduleType must be 'fixed' when SendAt is given.");
  if (send_at.empty()) return refusal(35111, "SendAt is required for a scheduled message.");
  if (request.messaging_service_sid.empty()) return refusal(35118, "MessagingServiceSid is required for scheduling.");
  const Result<WallTime> at = from_rfc3339(send_at);
  if (!at || *at <= now + 300s || *at > now + std::chrono::days(35)) {
    return refusal(35114, "SendAt must be between 300 seconds and 35 days in the future.");
  }
  request.send_at = *at;
  return std::nullopt;
}

}  // namespace

bool is_callback_url(std::string_view url) {
  if (!is_web_url(url) || url.size() > kCallbackUrlMax) return false;
  const std::size_t host = url.find("://") + 3;
  const std::string_view name = url.substr(host, url.find_first_of("/?#", host) - host);
  return !name.empty() && name.find('_') == std::string_view::npos && name.find(' ') == std::string_view::npos;
}

Checked<MessageRequest> parse_message_request(const Fields& form, WallTime now) {
  MessageRequest request{.to = field(form, "To"),
                         .from = field(form, "From"),
                         .messaging_service_sid = field(form, "MessagingServiceSid"),
                         .body = field(form, "Body"),
                         .media_urls = all_fields(form, "MediaUrl"),
                         .content_sid = field(form, "ContentSid"),
                         .status_callback = field(form, "StatusCallback"),
                         .send_at = std::nullopt};
  if (Refusal refused = check_addresses(request)) return *refused;
  if (Refusal refused = check_content(request, form)) return *refused;
  if (Refusal refused = check_delivery_options(request, form)) return *refused;
  if (Refusal refused = check_schedule(request, form, now)) return *refused;
  return request;
}

std::string to_json(const Message& message) {
  const std::string uri = resource_path(Kind::message, message.account_sid, message.sid);
  const std::string media = uri.substr(0, uri.size() - std::string_view(".json").size()) + "/Media.json";
  json::object body;
  body["sid"] = message.sid;
  body["account_sid"] = message.account_sid;
  body["messaging_service_sid"] = string_or_null(message.messaging_service_sid);
  body["to"] = message.to;
  body["from"] = string_or_null(message.from);
  body["body"] = message.body;
  body["status"] = message.status;
  body["direction"] = "outbound-api";
  body["num_segments"] = fmt::to_string(message.num_segments);
  body["num_media"] = fmt::to_string(message.num_media);
  body["price"] = string_or_null(message.price);
  body["price_unit"] = "USD";
  body["error_code"] = message.error_code ? json::value(*message.error_code) : json::value(nullptr);
  body["error_message"] = string_or_null(message.error_message);
  body["date_created"] = to_rfc2822(message.date_created);
  body["date_updated"] = to_rfc2822(message.date_updated);
  body["date_sent"] = date_or_null(message.date_sent);
  body["api_version"] = json::string_view(kApiVersion.data(), kApiVersion.size());
  body["uri"] = uri;
  body["subresource_uris"] = json::object{{"media", media}};
  return json::serialize(body);
}

Result<Message> parse_message(std::string_view text) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed || !parsed.is_object()) return Error{Code::invalid, "a message that is no JSON object"};
  const json::object& object = parsed.get_object();
  Message message;
  message.sid = text_of(object, "sid");
  if (!is_message_sid(message.sid)) return Error{Code::invalid, "a message without SID"};
  message.account_sid = text_of(object, "account_sid");
  message.messaging_service_sid = text_of(object, "messaging_service_sid");
  message.to = text_of(object, "to");
  message.from = text_of(object, "from");
  message.body = text_of(object, "body");
  message.status = text_of(object, "status");
  message.num_segments = static_cast<std::size_t>(number_of(object, "num_segments").value_or(0));
  message.num_media = static_cast<std::size_t>(number_of(object, "num_media").value_or(0));
  message.price = text_of(object, "price");
  message.error_code = number_of(object, "error_code");
  message.error_message = text_of(object, "error_message");
  message.date_created = date_of(object, "date_created").value_or(WallTime{});
  message.date_updated = date_of(object, "date_updated").value_or(message.date_created);
  message.date_sent = date_of(object, "date_sent");
  return message;
}

}  // namespace hf::wire::twilio
