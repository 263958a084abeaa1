#include "wire/twilio/signature.h"

#include <map>
#include <set>

#include "base/bytes.h"

namespace hf::wire::twilio {
namespace {

/// Where the host begins and ends: [after "//" and credentials, before '/', '?' or the end).
struct Authority {
  std::size_t begin = 0, end = 0;
};
Authority authority_of(std::string_view url) {
  const std::size_t slashes = url.find("://");
  if (slashes == std::string_view::npos) return {0, 0};
  Authority at{slashes + 3, url.find_first_of("/?#", slashes + 3)};
  if (at.end == std::string_view::npos) at.end = url.size();
  return at;
}

std::size_t port_at(std::string_view url, Authority at) {
  const std::string_view host = url.substr(at.begin, at.end - at.begin);
  const std::size_t colon = host.rfind(':');
  const bool inside_ipv6 = colon != std::string_view::npos && host.find(']', colon) != std::string_view::npos;
  return colon == std::string_view::npos || inside_ipv6 ? at.end : at.begin + colon;
}

std::string without_port(std::string_view url) {
  const Authority at = authority_of(url);
  const std::size_t port = port_at(url, at);
  return std::string(url.substr(0, port)) + std::string(url.substr(at.end));
}

std::string with_port(std::string_view url) {
  const Authority at = authority_of(url);
  if (at.end == 0 || port_at(url, at) != at.end) return std::string(url);
  return std::string(url.substr(0, at.end)) + (url.starts_with("https:") ? ":443" : ":80") +
         std::string(url.substr(at.end));
}

}  // namespace

std::string signed_url(std::string_view url) {
  url = url.substr(0, url.find('#'));
  const Authority at = authority_of(url);
  const std::size_t credentials = url.substr(at.begin, at.end - at.begin).rfind('@');
  if (credentials == std::string_view::npos) return std::string(url);
  return std::string(url.substr(0, at.begin)) + std::string(url.substr(at.begin + credentials + 1));
}

std::string signed_text(std::string_view url, const Fields& form) {
  std::map<std::string_view, std::set<std::string_view>> sorted;
  for (const auto& [name, value] : form) sorted[name].insert(value);
  std::string text = signed_url(url);
  for (const auto& [name, values] : sorted) {
    for (const std::string_view value : values) {
      text += name;
      text += value;
    }
  }
  return text;
}

std::string sign(HmacSha1 hmac, std::string_view auth_token, std::string_view url, const Fields& form) {
  return base64(as_bytes(hmac(auth_token, signed_text(url, form))));
}

bool verify(HmacSha1 hmac, std::string_view auth_token, std::string_view url, const Fields& form,
            std::string_view signature) {
  if (signature.empty()) return false;
  const std::string bare = signed_url(url);
  bool valid = false;
  for (const std::string& candidate : {bare, without_port(bare), with_port(bare)}) {
    valid |= equal_in_constant_time(sign(hmac, auth_token, candidate, form), signature);
  }
  return valid;
}

}  // namespace hf::wire::twilio
