#include "wire/twilio/route.h"

#include <fmt/format.h>

#include "wire/twilio/sid.h"

namespace hf::wire::twilio {
namespace {

constexpr std::string_view kAccounts = "/2010-04-01/Accounts/", kJson = ".json";

std::string_view collection(Kind kind) { return kind == Kind::message ? "Messages" : "Calls"; }

}  // namespace

std::optional<Route> parse_route(std::string_view path) {
  if (!path.starts_with(kAccounts) || !path.ends_with(kJson)) return std::nullopt;
  path.remove_prefix(kAccounts.size());
  path.remove_suffix(kJson.size());
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos || slash == 0) return std::nullopt;
  Route route{std::string(path.substr(0, slash)), Kind::message, {}};
  path.remove_prefix(slash + 1);
  for (const Kind kind : {Kind::message, Kind::call}) {
    if (!path.starts_with(collection(kind))) continue;
    route.kind = kind;
    path.remove_prefix(collection(kind).size());
    if (path.empty()) return route;
    if (path[0] != '/' || path.size() == 1 || path.find('/', 1) != std::string_view::npos) return std::nullopt;
    route.sid = std::string(path.substr(1));
    return route;
  }
  return std::nullopt;
}

std::string list_path(Kind kind, std::string_view account_sid) {
  return fmt::format("{}{}/{}{}", kAccounts, account_sid, collection(kind), kJson);
}

std::string resource_path(Kind kind, std::string_view account_sid, std::string_view sid) {
  return fmt::format("{}{}/{}/{}{}", kAccounts, account_sid, collection(kind), sid, kJson);
}

}  // namespace hf::wire::twilio
