#include "router/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "net/crypto.h"

namespace hf::router {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kMismatch =
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing "
    "method. Consult the service documentation for details.";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

/// Trimmed, inner runs of spaces as one.
std::string collapse(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool space = c == ' ' || c == '\t';
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

struct Credential {
  std::string key_id, date, region, service;
  std::string scope() const { return fmt::format("{}/{}/{}/aws4_request", date, region, service); }
};
struct Authorization {
  Credential credential;
  std::vector<std::string> signed_headers;  ///< as sent: lower case, sorted
  std::string signed_headers_text;
  std::string signature;
};

Refusal incomplete(std::string what) { return {"IncompleteSignatureException", std::move(what)}; }
Refusal invalid(std::string what) { return {"InvalidSignatureException", std::move(what)}; }

std::optional<Refusal> parse_credential(std::string_view text, Credential& out) {
  const std::vector<std::string_view> parts = split(text, '/');
  if (parts.size() != 5 || parts[4] != "aws4_request" || std::ranges::any_of(parts, &std::string_view::empty)) {
    return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.");
  }
  out = {std::string(parts[0]), std::string(parts[1]), std::string(parts[2]), std::string(parts[3])};
  return std::nullopt;
}

std::optional<Refusal> parse_authorization(std::string_view header, Authorization& out) {
  if (!header.starts_with(kAlgorithm) || header.size() == kAlgorithm.size() || header[kAlgorithm.size()] != ' ') {
    return incomplete(fmt::format("Authorization header requires the algorithm {}.", kAlgorithm));
  }
  std::string credential;
  for (std::string_view part : split(header.substr(kAlgorithm.size()), ',')) {
    part.remove_prefix(std::min(part.size(), part.find_first_not_of(' ')));
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = part.substr(0, equals);
    const std::string value = collapse(part.substr(equals + 1));
    if (name == "Credential") credential = value;
    if (name == "SignedHeaders") out.signed_headers_text = value;
    if (name == "Signature") out.signature = value;
  }
  if (credential.empty()) return incomplete("Authorization header requires 'Credential' parameter.");
  if (out.signed_headers_text.empty()) return incomplete("Authorization header requires 'SignedHeaders' parameter.");
  if (out.signature.empty()) return incomplete("Authorization header requires 'Signature' parameter.");
  for (const std::string_view name : split(out.signed_headers_text, ';')) out.signed_headers.emplace_back(name);
  return parse_credential(credential, out.credential);
}

std::string canonical_query(std::string_view query) {
  if (query.empty()) return "";
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view part : split(query, '&')) {
    const std::size_t equals = part.find('=');
    const auto encode = [](std::string_view text) {
      return percent_encode(percent_decode(text).value_or(std::string(text)));
    };
    pairs.emplace_back(encode(part.substr(0, equals)),
                       equals == std::string_view::npos ? "" : encode(part.substr(equals + 1)));
  }
  std::ranges::sort(pairs);
  std::string out;
  for (const auto& [name, value] : pairs) out += (out.empty() ? "" : "&") + name + '=' + value;
  return out;
}

std::string canonical_headers(const net::HttpHeaders& headers, const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += name + ':';
    bool first = true;
    for (const auto& [key, value] : headers.all()) {
      if (lower(key) != name) continue;
      if (!first) out += ',';
      out += collapse(value);
      first = false;
    }
    out += '\n';
  }
  return out;
}

std::string body_hash(const net::HttpRequest& request) { return hex(as_bytes(net::sha256(request.body))); }

std::string signature(const net::HttpRequest& request, const Credential& credential, const std::string& stamp,
                      const std::vector<std::string>& names, std::string_view secret, std::string_view payload_hash) {
  const std::string canonical =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path(), canonical_query(request.query()),
                  canonical_headers(request.headers, names), fmt::join(names, ";"), payload_hash);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, stamp, credential.scope(), hex(as_bytes(net::sha256(canonical))));
  const std::string date_key = net::hmac_sha256("AWS4" + std::string(secret), credential.date);
  const std::string service_key = net::hmac_sha256(net::hmac_sha256(date_key, credential.region), credential.service);
  return hex(as_bytes(net::hmac_sha256(net::hmac_sha256(service_key, "aws4_request"), to_sign)));
}

std::optional<Refusal> check_time(std::string_view stamp, const Credential& credential, Duration tolerance,
                                  WallTime now) {
  const Result<WallTime> signed_at = from_basic_iso8601(stamp);
  if (!signed_at)
    return incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  if (stamp.substr(0, 8) != credential.date) {
    return invalid(fmt::format(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}'.",
        credential.date, stamp.substr(0, 8)));
  }
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(tolerance).count();
  const auto wide = std::chrono::duration_cast<WallTime::duration>(tolerance);
  if (*signed_at < now - wide) {
    return invalid(fmt::format("Signature expired: {} is now earlier than {} ({} - {} min.)", stamp,
                               to_basic_iso8601(now - wide), to_basic_iso8601(now), minutes));
  }
  if (*signed_at > now + wide) {
    return invalid(fmt::format("Signature not yet current: {} is still later than {} ({} + {} min.)", stamp,
                               to_basic_iso8601(now + wide), to_basic_iso8601(now), minutes));
  }
  return std::nullopt;
}

/// `host` and every x-amz-* header that was sent must be under the signature.
std::optional<Refusal> check_signed_headers(const net::HttpRequest& request, const Authorization& authorization) {
  const auto covered = [&](std::string_view name) {
    return std::ranges::find(authorization.signed_headers, name) != authorization.signed_headers.end();
  };
  if (!covered("host")) return invalid("'Host' must be a 'SignedHeader' in the AWS Authorization.");
  for (const auto& header : request.headers.all()) {
    const std::string name = lower(header.first);
    if (name.starts_with("x-amz-") && !covered(name)) {
      return invalid(fmt::format("'{}' must be a 'SignedHeader' in the AWS Authorization.", name));
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> verify_signature(const net::HttpRequest& request, std::span<const AccessKey> keys,
                                        const SignatureScope& scope, WallTime now) {
  const std::optional<std::string_view> header = request.headers.get("Authorization");
  if (!header) return Refusal{"MissingAuthenticationTokenException", "Missing Authentication Token"};
  Authorization authorization;
  if (auto refusal = parse_authorization(*header, authorization)) return refusal;
  const std::optional<std::string_view> stamp = request.headers.get("X-Amz-Date");
  if (!stamp) return incomplete("Authorization header requires existence of a 'X-Amz-Date' header.");
  const Credential& credential = authorization.credential;
  if (auto refusal = check_time(*stamp, credential, scope.tolerance, now)) return refusal;
  if (credential.region != scope.region) return invalid("Credential should be scoped to a valid region.");
  if (credential.service != scope.service) {
    return invalid(fmt::format("Credential should be scoped to correct service: '{}'.", scope.service));
  }
  const auto key = std::ranges::find(keys, credential.key_id, &AccessKey::id);
  // Temporary credentials do not exist here, so their token belongs to nobody.
  if (key == keys.end() || request.headers.get("X-Amz-Security-Token")) {
    return Refusal{"UnrecognizedClientException", "The security token included in the request is invalid."};
  }
  if (auto refusal = check_signed_headers(request, authorization)) return refusal;
  const std::string hash = body_hash(request);
  const std::optional<std::string_view> claimed = request.headers.get("X-Amz-Content-Sha256");
  if (claimed && *claimed != hash && *claimed != "UNSIGNED-PAYLOAD") return invalid(std::string(kMismatch));
  const std::string want = signature(request, credential, std::string(*stamp), authorization.signed_headers,
                                     key->secret, claimed ? *claimed : std::string_view(hash));
  if (!equal_in_constant_time(want, authorization.signature)) return invalid(std::string(kMismatch));
  return std::nullopt;
}

void sign(net::HttpRequest& request, const AccessKey& key, const SignatureScope& scope, WallTime now) {
  HF_ASSERT(request.headers.get("Host").has_value());
  const std::string stamp = to_basic_iso8601(now);
  request.headers.set("X-Amz-Date", stamp);
  std::vector<std::string> names;
  for (const auto& header : request.headers.all()) names.push_back(lower(header.first));
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const Credential credential{key.id, stamp.substr(0, 8), scope.region, scope.service};
  const std::string value = signature(request, credential, stamp, names, key.secret, body_hash(request));
  request.headers.set("Authorization", fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                                                   key.id, credential.scope(), fmt::join(names, ";"), value));
}

}  // namespace hf::router
