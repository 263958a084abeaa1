#pragma once

/// Twilio's string identifiers: two letters and 32 hexadecimal digits.

#include <string>
#include <string_view>

namespace hf::wire::twilio {

inline constexpr std::string_view kAccountPrefix = "AC", kMessagePrefix = "SM", kMediaMessagePrefix = "MM",
                                  kCallPrefix = "CA", kServicePrefix = "MG", kRequestPrefix = "RQ";

/// `prefix` and 32 hexadecimal digits of either case.
bool is_sid(std::string_view prefix, std::string_view text);
/// SM or MM: both are accepted wherever a message is named.
bool is_message_sid(std::string_view text);

/// What an Authorization header of the form `Basic base64(user:password)` carries; both "" if it is none.
struct BasicCredentials {
  std::string user, password;
};
BasicCredentials parse_basic(std::string_view header);
std::string basic_header(std::string_view user, std::string_view password);

}  // namespace hf::wire::twilio
