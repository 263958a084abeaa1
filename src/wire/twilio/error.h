#pragma once

/// Twilio's errors: the body of the 2010 API, the codes, and what a code allows a sender to do next.
/// Source: docs/protocols/twilio.md, "Errors".

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace hf::wire::twilio {

struct ApiError {
  int status = 400;  ///< of HTTP
  int code = 0;      ///< Twilio's; 0: none
  std::string message;
  std::string detail;  ///< some 401 bodies carry one

  bool operator==(const ApiError&) const = default;
};

/// A request that is well-formed, or the error that answers it.
template <class T>
using Checked = std::variant<T, ApiError>;

/// {"code": …, "message": …, "more_info": "https://www.twilio.com/docs/errors/…", "status": …}
std::string to_json(const ApiError& error);
/// nullopt unless the body is a JSON object with an integer `code`: proxies and gateways answer in their own words, and
/// then nobody knows what Twilio did.
std::optional<ApiError> parse_error(std::string_view body, int http_status);

/// The errors that are not about one parameter.
ApiError authentication_failed();
ApiError not_found(std::string_view path);
ApiError method_not_allowed();
ApiError too_many_requests();
ApiError service_unavailable();
ApiError internal_error();

/// What the ledger may do after a failure (docs/protocols/twilio.md, "Classes").
enum class FailureClass {
  retry,      ///< certainly not created: the same attempt again, later
  unknown,    ///< may have been created: resolve first
  fix,        ///< our request or our account is wrong: never again by itself
  address,    ///< this recipient cannot be reached on this channel
  opted_out,  ///< the recipient said stop
  later,      ///< created, failed for now: a new attempt may be made
  fallback,   ///< created, failed: another channel, not this one
};
/// Of a code that answered a create call. Unknown codes are `fix`: Twilio may add some at any time.
FailureClass classify_refusal(int code);
/// Of an ErrorCode that came with `failed` or `undelivered`. Unknown codes are `fallback`.
FailureClass classify_delivery_failure(int code);
std::string_view to_string(FailureClass failure);

}  // namespace hf::wire::twilio
