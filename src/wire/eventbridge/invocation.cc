#include "wire/eventbridge/invocation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "base/bytes.h"

namespace hf::wire::eventbridge {
namespace {

using Node = JsonText::Node;

/// Headers that belong to the service or to the connection itself; whoever configures one is not heard (9.4 of the
/// sheet).
constexpr std::array kRemovedHeaders = std::to_array<std::string_view>({"a-im",
                                                                        "accept-charset",
                                                                        "accept-datetime",
                                                                        "accept-encoding",
                                                                        "cache-control",
                                                                        "connection",
                                                                        "content-encoding",
                                                                        "content-length",
                                                                        "content-md5",
                                                                        "date",
                                                                        "expect",
                                                                        "forwarded",
                                                                        "from",
                                                                        "host",
                                                                        "http2-settings",
                                                                        "if-match",
                                                                        "if-modified-since",
                                                                        "if-none-match",
                                                                        "if-range",
                                                                        "if-unmodified-since",
                                                                        "max-forwards",
                                                                        "origin",
                                                                        "pragma",
                                                                        "proxy-authorization",
                                                                        "range",
                                                                        "referer",
                                                                        "te",
                                                                        "trailer",
                                                                        "transfer-encoding",
                                                                        "user-agent",
                                                                        "upgrade",
                                                                        "via",
                                                                        "warning",
                                                                        "x-holdfast-event-id"});

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}
std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

enum class Names { exact, ignore_case };
void set(TextPairs& pairs, std::string_view name, std::string value, Names names) {
  for (auto& [key, old] : pairs) {
    if (key == name || (names == Names::ignore_case && lower(key) == lower(name))) {
      old = std::move(value);
      return;
    }
  }
  pairs.emplace_back(name, std::move(value));
}

/// A value of HttpParameters: literal, or a path into the original event. Nothing found: nullopt.
Result<std::optional<std::string>> resolve(const std::string& value, const JsonText& event) {
  if (!value.starts_with('$')) return std::optional<std::string>(value);
  HF_TRY(const JsonPath path, JsonPath::parse(value));
  const std::optional<Selected> found = path.select(event);
  if (!found) return std::optional<std::string>();
  return std::optional<std::string>(found->text);
}

Result<std::string> build_url(const ApiDestination& destination, const Connection& connection, const Target& target,
                              const JsonText& event) {
  std::string url;
  std::size_t used = 0;
  const std::string_view endpoint = destination.endpoint;
  for (std::size_t at = 0; at < endpoint.size(); ++at) {
    const std::size_t close = endpoint[at] == '{' ? endpoint.find('}', at) : std::string_view::npos;
    if (endpoint[at] != '*' && close == std::string_view::npos) {
      url += endpoint[at];
      continue;
    }
    if (close != std::string_view::npos) at = close;
    if (used == target.path_values.size())
      return Error{Code::invalid, "the endpoint has more wildcards than PathParameterValues"};
    HF_TRY(const std::optional<std::string> value, resolve(target.path_values[used++], event));
    if (!value || value->empty())
      return Error{Code::invalid, fmt::format("PathParameterValues[{}] finds nothing in this event", used - 1)};
    url += percent_encode(*value);
  }
  TextPairs query;
  for (const auto& [key, value] : target.query) {
    HF_TRY(std::optional<std::string> resolved, resolve(value, event));
    set(query, key, std::move(resolved).value_or(""), Names::exact);
  }
  for (const ConnectionParameter& one : connection.query) set(query, one.key, one.value, Names::exact);
  char separator = endpoint.find('?') == std::string_view::npos ? '?' : '&';
  for (const auto& [key, value] : query) {
    url += separator;
    url += percent_encode(key) + '=' + percent_encode(value);
    separator = '&';
  }
  return url;
}

Result<TextPairs> build_headers(const Connection& connection, const Target& target, const JsonText& event) {
  TextPairs headers{{"Content-Type", "application/json; charset=utf-8"}};
  for (const auto& [key, value] : target.headers) {
    HF_TRY(std::optional<std::string> resolved, resolve(value, event));
    const std::string text = std::move(resolved).value_or("");
    if (!std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; })) {
      return Error{Code::invalid, fmt::format("the value of header {} has control characters", key)};
    }
    set(headers, key, text, Names::ignore_case);
  }
  for (const ConnectionParameter& one : connection.headers) set(headers, one.key, one.value, Names::ignore_case);
  if (connection.authorization_type == "BASIC") {
    set(headers, "Authorization", "Basic " + base64(as_bytes(connection.username + ':' + connection.password)),
        Names::ignore_case);
  } else {
    set(headers, connection.api_key_name, connection.api_key_value, Names::ignore_case);
  }
  std::erase_if(headers, [](const auto& header) {
    return std::ranges::find(kRemovedHeaders, lower(trimmed(header.first))) != kRemovedHeaders.end();
  });
  return headers;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty()) out += '&';
  out += percent_encode(name) + '=' + percent_encode(value);
}

/// Connection BodyParameters as further members of a JSON object; they win.
std::string merge_into_object(const JsonText& body, const ConnectionParameters& parameters) {
  std::string out = "{";
  body.for_each_child(JsonText::root(), [&](Node child) {
    if (std::ranges::find(parameters, body.key(child), &ConnectionParameter::key) != parameters.end()) return;
    if (out.size() > 1) out += ',';
    append_json_string(out, body.key(child));
    out += ':';
    out += body.raw(child);
  });
  for (const ConnectionParameter& one : parameters) {
    if (out.size() > 1) out += ',';
    out += json_string(one.key) + ':' + json_string(one.value);
  }
  return out + '}';
}

std::string_view header(const TextPairs& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (lower(key) == name) return value;
  }
  return {};
}

Result<std::string> convert_body(std::string body, const Connection& connection, std::string_view content_type) {
  const std::string type = lower(trimmed(content_type.substr(0, content_type.find(';'))));
  const Result<JsonText> json = JsonText::parse(body);
  const bool object = json && json->kind(JsonText::root()) == JsonKind::object;
  if (object && !connection.body.empty()) body = merge_into_object(*json, connection.body);
  if (type == "application/x-www-form-urlencoded") {
    HF_TRY(std::string form, to_form(body));
    if (!object) {
      for (const ConnectionParameter& one : connection.body) append_field(form, one.key, one.value);
    }
    return form;
  }
  const bool text = type.starts_with("text/") || type == "application/xml" || type.ends_with("+xml");
  if (text && json && json->kind(JsonText::root()) == JsonKind::string)
    return std::string(json->content(JsonText::root()));
  return body;
}

}  // namespace

Result<std::string> to_form(std::string_view json) {
  HF_TRY(const JsonText body, JsonText::parse(json));
  const Node root = JsonText::root();
  if (body.kind(root) == JsonKind::string) return std::string(body.content(root));
  if (body.kind(root) != JsonKind::object) return Error{Code::invalid, "a form body must be a flat JSON object"};
  std::string out;
  Result<void> verdict = ok();
  const auto scalar = [&](std::string_view name, Node node) {
    const JsonKind kind = body.kind(node);
    if (kind == JsonKind::object || kind == JsonKind::array) {
      verdict = Error{Code::invalid, fmt::format("form field {} is nested too deeply", name)};
    } else if (kind != JsonKind::null) {
      append_field(out, name, body.content(node));
    }
  };
  body.for_each_child(root, [&](Node child) {
    if (body.kind(child) != JsonKind::array) return scalar(body.key(child), child);
    body.for_each_child(child, [&](Node element) { scalar(body.key(child), element); });
  });
  HF_TRY(verdict);
  return out;
}

Result<Invocation> build_invocation(const ApiDestination& destination, const Connection& connection,
                                    const Target& target, const InputContext& context, std::string_view delivery_id) {
  Invocation out;
  out.method = destination.method;
  HF_TRY(out.url, build_url(destination, connection, target, context.event));
  HF_TRY(out.headers, build_headers(connection, target, context.event));
  HF_TRY(std::string body, target.input.body(context));
  if (out.method != "GET" && out.method != "HEAD") {
    HF_TRY(out.body, convert_body(std::move(body), connection, header(out.headers, "content-type")));
  }
  out.headers.emplace_back("User-Agent", "Amazon/EventBridge/ApiDestinations");
  out.headers.emplace_back("Range", "bytes=0-1048575");
  out.headers.emplace_back(kEventIdHeader, delivery_id);
  return out;
}

namespace {

/// "Sun, 06 Nov 1994 08:49:37 GMT": the only form of RFC 9110 that is sent.
std::optional<WallTime> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || text.substr(25) != " GMT") return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) {
    int value = -1;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + size, value);
    return error == std::errc{} && end == text.data() + at + size ? value : -1;
  };
  const int day = number(5, 2), year = number(12, 4), hour = number(17, 2), minute = number(20, 2),
            second = number(23, 2);
  const std::size_t month = kMonths.find(text.substr(8, 3));
  if (day < 1 || year < 0 || hour < 0 || minute < 0 || second < 0 || month == std::string_view::npos || month % 3 != 0)
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

}  // namespace

std::optional<Duration> parse_retry_after(std::string_view value, WallTime now) {
  value = trimmed(value);
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  constexpr std::int64_t kBound = 366 * 86'400;  // keeps the arithmetic far from overflow
  if (!value.empty() && error == std::errc{} && end == value.data() + value.size()) {
    return std::chrono::seconds(std::clamp(seconds, -kBound, kBound));
  }
  const std::optional<WallTime> date = parse_http_date(value);
  if (!date) return std::nullopt;
  return std::clamp<Duration>(std::max(*date - now, WallTime::duration::zero()), 0s, std::chrono::seconds(kBound));
}

}  // namespace hf::wire::eventbridge
