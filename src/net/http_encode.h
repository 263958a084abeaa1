#pragma once

/// HTTP/1.1 messages as bytes. Pure.
///
/// No message can carry a header that somebody smuggled into a value. A response's value may stem from a caller's data,
/// and an answer is owed: CR, LF and NUL in it become spaces. A request with such a value is refused (check_request),
/// because what would arrive is not what the caller meant. Names are ours: a bad one in a response is an assertion.

#include <string>
#include <string_view>

#include "net/http.h"

namespace hf::net {

std::string_view reason_phrase(int status);

struct ResponseFraming {
  std::string_view date = {};  ///< the Date header, "Sat, 21 Nov 2026 09:13:05 GMT"
  bool keep_alive = true;
  bool http_1_0 = false;  ///< there keep-alive must be said, not its absence
};
/// Appends status line and header, with Content-Length, Date and Connection of ours in place of the response's.
void append_response_head(std::string& out, const HttpResponse& response, const ResponseFraming& framing);
/// True if this status may have a body at all.
bool may_have_body(int status);

/// Errors: invalid, naming the header.
Result<void> check_request(const HttpRequest& request);
/// Appends request line and header, with Host, Content-Length and Connection of ours in place of the request's.
void append_request_head(std::string& out, const HttpRequest& request, const Url& url);

/// "Sat, 21 Nov 2026 09:13:05 GMT" (RFC 9110 §5.6.7).
std::string format_http_date(WallTime time);

}  // namespace hf::net
