#include <algorithm>
#include <charconv>

#include "net/http.h"
#include "net/text.h"

namespace hf::net {

void HttpHeaders::set(std::string_view name, std::string value) {
  std::erase_if(all_, [&](const auto& field) { return equal_ignoring_case(field.first, name); });
  all_.emplace_back(std::string(name), std::move(value));
}

std::optional<std::string_view> HttpHeaders::get(std::string_view name) const {
  for (const auto& [key, value] : all_) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

std::string_view HttpRequest::path() const { return std::string_view(target).substr(0, target.find('?')); }

std::string_view HttpRequest::query() const {
  const std::size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

HttpResponse HttpResponse::text(int status, std::string body, std::string content_type) {
  HttpResponse response;
  response.status = status;
  response.headers.add("Content-Type", std::move(content_type));
  response.body = std::move(body);
  return response;
}

namespace {

Result<std::string> decode_form_text(std::string_view encoded) {
  std::string spaced(encoded);
  std::ranges::replace(spaced, '+', ' ');
  std::optional<std::string> decoded = percent_decode(spaced);
  if (!decoded) return Error{Code::invalid, "a form field has a broken percent-encoding"};
  return std::move(*decoded);
}

}  // namespace

Result<FormFields> parse_form(std::string_view encoded) {
  FormFields fields;
  while (!encoded.empty()) {
    const std::size_t end = std::min(encoded.find('&'), encoded.size());
    const std::string_view pair = encoded.substr(0, end);
    encoded.remove_prefix(std::min(end + 1, encoded.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    HF_TRY(std::string name, decode_form_text(pair.substr(0, equals)));
    HF_TRY(std::string value, decode_form_text(pair.substr(std::min(equals + 1, pair.size()))));
    fields.emplace_back(std::move(name), std::move(value));
  }
  return fields;
}

std::string encode_form(const FormFields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    out += percent_encode(name);
    out += '=';
    out += percent_encode(value);
  }
  return out;
}

std::optional<std::string_view> find_field(const FormFields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::string Url::origin() const { return scheme + "://" + bracketed(host) + ":" + std::to_string(port); }

namespace {

struct Authority {
  std::string host;
  std::optional<std::uint16_t> port;
};

Error bad_url(std::string_view why) { return Error{Code::invalid, "bad URL: " + std::string(why)}; }

bool is_host_character(char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; }
bool is_ipv6_character(char c) { return is_alphanumeric(c) || c == ':' || c == '.'; }

Result<Authority> parse_authority(std::string_view text) {
  if (text.find('@') != std::string_view::npos) return bad_url("user and password belong into a header");
  Authority authority;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return bad_url("the IPv6 address has no ']'");
    authority.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!std::ranges::all_of(authority.host, is_ipv6_character)) return bad_url("not an IPv6 address");
  } else {
    const std::size_t end = std::min(text.find(':'), text.size());
    authority.host = text.substr(0, end);
    rest = text.substr(end);
    if (!std::ranges::all_of(authority.host, is_host_character))
      return bad_url("the host has a character it may not have");
  }
  if (authority.host.empty()) return bad_url("no host");
  if (rest.empty()) return authority;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), port);
  if (rest[0] != ':' || error != std::errc() || end != rest.data() + rest.size() || port == 0)
    return bad_url("bad port");
  authority.port = port;
  return authority;
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad_url("it does not start with http:// or https://");
  Url url;
  url.scheme = lower_case(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") return bad_url("it does not start with http:// or https://");
  text.remove_prefix(colon + 3);
  text = text.substr(0, text.find('#'));
  const std::size_t authority_end = std::min(text.find_first_of("/?"), text.size());
  HF_TRY(Authority authority, parse_authority(text.substr(0, authority_end)));
  url.host = lower_case(authority.host);
  url.port = authority.port.value_or(url.scheme == "https" ? 443 : 80);
  url.target = text.substr(authority_end);
  if (!url.target.starts_with('/')) url.target.insert(0, 1, '/');
  if (!std::ranges::all_of(url.target, is_target_character))
    return bad_url("the path has a character that must be percent-encoded");
  return url;
}

}  // namespace hf::net
