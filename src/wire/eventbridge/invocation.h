#pragma once

/// From a matched event to the HTTP request an API destination receives, and what its answer means. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/eventbridge/shapes.h"

namespace hf::wire::eventbridge {

struct Invocation {
  std::string method, url;
  TextPairs headers;  ///< without Host, Content-Length, Connection
  std::string body;
};

/// Ours: lets the receiver recognise a repeated delivery. AWS sends nothing of the kind.
inline constexpr std::string_view kEventIdHeader = "X-Holdfast-Event-Id";

/// Rules (docs/protocols/eventbridge.md, "Requests to API destinations"): `*` or `{Name}` in the endpoint is replaced,
/// in order, by the percent-encoded path values; on equal keys the connection wins over the target; headers that the
/// service owns are removed after every merge; values that begin with `$` are paths into the original event.
/// Ours: with Content-Type application/x-www-form-urlencoded a flat JSON object is sent as form fields; with text/* or
/// XML a body that is one JSON string is sent without quotes. `delivery_id` becomes X-Holdfast-Event-Id. Error:
/// invalid: this event can never be sent with this configuration.
Result<Invocation> build_invocation(const ApiDestination& destination, const Connection& connection,
                                    const Target& target, const InputContext& context, std::string_view delivery_id);

/// A body of a form: `a=1&b=x%20y`. Strings as they are, numbers and booleans as JSON spells them, null left out, lists
/// as repeated fields; a single JSON string is taken as already encoded. Error: invalid on anything nested deeper.
Result<std::string> to_form(std::string_view json);

/// The value of Retry-After: seconds or an HTTP date, as time from `now`; negative: do not come again. nullopt:
/// neither.
std::optional<Duration> parse_retry_after(std::string_view value, WallTime now);

}  // namespace hf::wire::eventbridge
