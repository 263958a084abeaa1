#include "net/http_encode.h"

#include <array>

#include "base/time.h"
#include "net/text.h"

namespace hf::net {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

bool may_have_body(int status) { return status != 204 && status != 304; }

namespace {

/// Headers that decide where a message ends or what becomes of the connection: never taken from a caller.
bool is_framing(std::string_view name) {
  for (const std::string_view ours : {"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive"}) {
    if (equal_ignoring_case(name, ours)) return true;
  }
  return false;
}

void append_value(std::string& out, std::string_view value) {
  const std::size_t at = out.size();
  out += value;
  if (std::ranges::all_of(value, is_value_character)) return;
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(at), out.end(), [](char c) { return !is_value_character(c); }, ' ');
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  append_value(out, value);
  out += "\r\n";
}

}  // namespace

void append_response_head(std::string& out, const HttpResponse& response, const ResponseFraming& framing) {
  HF_ASSERT(response.status >= 200 && response.status <= 999);
  out += "HTTP/1.1 ";
  out += std::to_string(response.status);
  out += ' ';
  out += reason_phrase(response.status);
  out += "\r\n";
  for (const auto& [name, value] : response.headers.all()) {
    HF_ASSERT(is_token(name));
    if (!is_framing(name) && !equal_ignoring_case(name, "Date")) append_field(out, name, value);
  }
  append_field(out, "Date", framing.date);
  if (may_have_body(response.status)) append_field(out, "Content-Length", std::to_string(response.body.size()));
  if (!framing.keep_alive) {
    out += "Connection: close\r\n";
  } else if (framing.http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
}

Result<void> check_request(const HttpRequest& request) {
  if (!is_token(request.method)) return Error{Code::invalid, "not an HTTP method: '" + request.method + "'"};
  if (request.method == "CONNECT") return Error{Code::invalid, "CONNECT asks for a tunnel, not for an answer"};
  for (const auto& [name, value] : request.headers.all()) {
    if (!is_token(name)) return Error{Code::invalid, "not a header name: '" + name + "'"};
    if (!std::ranges::all_of(value, is_value_character)) {
      return Error{Code::invalid, "header " + name + " has a line end or NUL in its value"};
    }
  }
  return ok();
}

void append_request_head(std::string& out, const HttpRequest& request, const Url& url) {
  out += request.method;
  out += ' ';
  out += url.target;
  out += " HTTP/1.1\r\n";
  const bool usual_port = url.port == (url.scheme == "https" ? 443 : 80);
  append_field(out, "Host", usual_port ? bracketed(url.host) : bracketed(url.host) + ":" + std::to_string(url.port));
  for (const auto& [name, value] : request.headers.all()) {
    if (!is_framing(name) && !equal_ignoring_case(name, "Host")) append_field(out, name, value);
  }
  // RFC 9110 §8.6: a method that could have had a body says that it has none.
  const bool usually_with_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (usually_with_body || !request.body.empty()) {
    append_field(out, "Content-Length", std::to_string(request.body.size()));
  }
  out += "\r\n";
}

std::string format_http_date(WallTime time) {
  std::string date = to_rfc2822(time);  // the same but for the zone's name
  HF_ASSERT(date.ends_with("+0000"));
  return date.replace(date.size() - 5, 5, "GMT");
}

}  // namespace hf::net
