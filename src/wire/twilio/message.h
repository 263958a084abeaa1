#pragma once

/// The Message resource: what a create call asks for and what the API answers.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "wire/twilio/error.h"
#include "wire/twilio/fields.h"

namespace hf::wire::twilio {

struct MessageRequest {
  std::string to;
  std::string from;  ///< "" only with a messaging service
  std::string messaging_service_sid;
  std::string body;
  std::vector<std::string> media_urls;
  std::string content_sid;
  std::string status_callback;
  std::optional<WallTime> send_at;  ///< scheduled
};
/// Checks everything that needs no account: combinations, lengths, forms. Unknown parameters are ignored, as Twilio
/// does. Errors: docs/protocols/twilio.md, "Create a message".
Checked<MessageRequest> parse_message_request(const Fields& form, WallTime now);

/// http or https, a host without underscore, at most 4 000 characters.
bool is_callback_url(std::string_view url);

struct Message {
  std::string sid, account_sid, messaging_service_sid;
  std::string to, from, body;
  std::string status;
  std::size_t num_segments = 1, num_media = 0;
  std::string price;  ///< "": not known yet
  std::optional<int> error_code;
  std::string error_message;
  WallTime date_created, date_updated;
  std::optional<WallTime> date_sent;
};
std::string to_json(const Message& message);
/// Of a 2xx body or of an item of a list. Error: invalid, if it is no JSON or carries no message SID.
Result<Message> parse_message(std::string_view json);

}  // namespace hf::wire::twilio
