#include "wire/rocketmq/endpoints.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace hf::wire::rocketmq {
namespace {

constexpr std::int32_t kDefaultPort = 8081;

bool is_ipv4(std::string_view host) {
  int parts = 0;
  while (true) {
    const std::size_t dot = host.find('.');
    const std::string_view part = host.substr(0, dot);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (part.empty() || part.size() > 3 || error != std::errc{} || end != part.data() + part.size() || value > 255)
      return false;
    ++parts;
    if (dot == std::string_view::npos) return parts == 4;
    host.remove_prefix(dot + 1);
  }
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
}

bool is_ipv6(std::string_view host) {
  return host.size() >= 2 && host.size() <= 45 && host.find(':') != std::string_view::npos &&
         host.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

struct HostPort {
  std::string_view host, port;  // port: empty if absent
};

HostPort split(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return {text, {}};
    const std::string_view rest = text.substr(close + 1);
    return {text.substr(1, close - 1), rest.starts_with(':') ? rest.substr(1) : rest};
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Result<pb::AddressScheme> parse_address(std::string_view text, pb::Address& out) {
  const HostPort parts = split(text);
  std::int32_t port = kDefaultPort;
  if (!parts.port.empty()) {
    const auto [end, error] = std::from_chars(parts.port.data(), parts.port.data() + parts.port.size(), port);
    if (error != std::errc{} || end != parts.port.data() + parts.port.size() || port < 1 || port > 65535)
      return Error{hf::Code::invalid, "not a port: " + std::string(text)};
  } else if (text.ends_with(':')) {
    return Error{hf::Code::invalid, "no port after ':' in " + std::string(text)};
  }
  out.set_host(std::string(parts.host));
  out.set_port(port);
  if (is_ipv4(parts.host)) return pb::IPv4;
  if (is_ipv6(parts.host)) return pb::IPv6;
  if (is_host_name(parts.host)) return pb::DOMAIN_NAME;
  return Error{hf::Code::invalid, "not an address: '" + std::string(text) + "'"};
}

}  // namespace

Result<pb::Endpoints> parse_endpoints(std::string_view text) {
  for (const std::string_view prefix : {"http://", "https://"})
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  pb::Endpoints endpoints;
  while (true) {
    const std::size_t end = text.find_first_of(";,");
    HF_TRY(const pb::AddressScheme scheme, parse_address(text.substr(0, end), *endpoints.add_addresses()));
    if (endpoints.addresses_size() > 1 && (scheme != endpoints.scheme() || scheme == pb::DOMAIN_NAME))
      return Error{hf::Code::invalid, "several addresses must all be IPv4 or all IPv6"};
    endpoints.set_scheme(scheme);
    if (end == std::string_view::npos) return endpoints;
    text.remove_prefix(end + 1);
  }
}

std::string to_string(const pb::Endpoints& endpoints) {
  std::string text;
  for (const pb::Address& address : endpoints.addresses()) {
    if (!text.empty()) text += ';';
    const bool bracket = address.host().find(':') != std::string::npos;
    text += bracket ? "[" + address.host() + "]" : address.host();
    text += ":" + std::to_string(address.port());
  }
  return text;
}

}  // namespace hf::wire::rocketmq
