#include "broker/authentication.h"

#include "base/bytes.h"
#include "net/crypto.h"

namespace hf::broker {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// The value of `name` in "name=value, name=value".
std::string_view item(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view one = trim(list.substr(0, comma));
    const std::size_t equals = one.find('=');
    if (equals != std::string_view::npos && one.substr(0, equals) == name) return one.substr(equals + 1);
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return {};
}

}  // namespace

std::optional<std::string> refuse_caller(const std::map<std::string, std::string>& keys,
                                         const wire::rocketmq::CallContext& call) {
  if (keys.empty()) return std::nullopt;
  const std::string_view header = call.authorization;
  const std::size_t space = header.find(' ');
  if (space == std::string_view::npos) return "authorization is missing";
  if (call.date_time.empty()) return "x-mq-date-time is missing";
  const std::string_view list = header.substr(space + 1);
  const std::string_view credential = item(list, "Credential");
  const std::string access_key(credential.substr(0, credential.find('/')));
  const auto secret = keys.find(access_key);
  const std::optional<std::string> signature = unhex(item(list, "Signature"));
  // One answer for all: who guesses learns nothing.
  if (secret == keys.end() || !signature ||
      !equal_in_constant_time(*signature, net::hmac_sha1(secret->second, call.date_time))) {
    return "wrong access key or signature";
  }
  return std::nullopt;
}

}  // namespace hf::broker
