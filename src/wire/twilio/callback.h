#pragma once

/// Status callbacks: the forms Twilio posts, what they say, and how often Twilio tries.

#include <optional>
#include <string>
#include <string_view>

#include "wire/twilio/call.h"
#include "wire/twilio/fields.h"
#include "wire/twilio/message.h"
#include "wire/twilio/status.h"

namespace hf::wire::twilio {

/// The form of a message status callback. `message.status` is the status reported.
Fields message_callback(const Message& message);
/// The form of a call status callback. `status`: as reported (`initiated` has no REST status). `sequence` counts from
/// 0.
Fields call_callback(const Call& call, std::string_view status, int sequence, WallTime at);
/// initiated → initiated, ringing → ringing, answered → in-progress; any end → completed's event.
std::string_view event_of_call_status(std::string_view status);

/// What a callback says, of either kind.
struct StatusUpdate {
  Kind kind = Kind::message;
  std::string sid;
  std::string status;
  int error_code = 0;  ///< 0: none given
  std::string error_message;
  std::string key;  ///< equal for two deliveries of the same report; different for different reports
};
/// nullopt: no SID or no known status: not a status callback.
std::optional<StatusUpdate> parse_status_update(const Fields& form);

/// Connection overrides in the URL's fragment: "#rc=5&rp=ct,rt,5xx". Twilio's defaults: one retry, and only if the
/// connection failed. Values outside their range are ignored.
struct CallbackPolicy {
  Duration connect_timeout = 5s, read_timeout = 15s, total = 15s;
  int retries = 1;
  bool retry_connect = true, retry_timeout = false, retry_4xx = false, retry_5xx = false;
};
struct CallbackTarget {
  std::string url;  ///< without the fragment
  CallbackPolicy policy;
};
CallbackTarget parse_callback_target(std::string_view url);

enum class CallbackOutcome { accepted, not_connected, timed_out, status_4xx, status_5xx };
/// `tries`: how many were made.
bool retries(const CallbackPolicy& policy, CallbackOutcome outcome, int tries);

}  // namespace hf::wire::twilio
