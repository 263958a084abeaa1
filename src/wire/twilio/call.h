#pragma once

/// The Call resource: what a create call asks for and what the API answers.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "wire/twilio/error.h"
#include "wire/twilio/fields.h"

namespace hf::wire::twilio {

struct CallRequest {
  std::string to, from;
  std::string url;  ///< beats `twiml`
  std::string twiml;
  std::string application_sid;
  std::string status_callback;
  std::vector<std::string> events;  ///< of initiated, ringing, answered, completed; default: completed alone
};
/// Errors: docs/protocols/twilio.md, "Create a call".
Checked<CallRequest> parse_call_request(const Fields& form);

struct Call {
  std::string sid, account_sid;
  std::string to, from;
  std::string status;
  std::string answered_by;
  std::string price;  ///< "": not known yet
  std::optional<int> duration_s;
  WallTime date_created, date_updated;
  std::optional<WallTime> start_time, end_time;
};
std::string to_json(const Call& call);
/// Error: invalid, if it is no JSON or carries no call SID.
Result<Call> parse_call(std::string_view json);

/// <Response><Say>…</Say></Response>, escaped.
std::string say(std::string_view text);
/// What TwiML lets the customer hear: the text of its Say elements, joined by a space.
std::string spoken_text(std::string_view twiml);

}  // namespace hf::wire::twilio
