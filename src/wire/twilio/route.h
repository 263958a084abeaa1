#pragma once

/// Which resource of the 2010 API a path names.

#include <optional>
#include <string>
#include <string_view>

#include "wire/twilio/status.h"

namespace hf::wire::twilio {

inline constexpr std::string_view kApiVersion = "2010-04-01";

/// /2010-04-01/Accounts/{account_sid}/Messages.json, …/Messages/{sid}.json, and the same for Calls.
struct Route {
  std::string account_sid;
  Kind kind = Kind::message;
  std::string sid;  ///< "": the list
};
/// nullopt: no such resource here. `path` is without query.
std::optional<Route> parse_route(std::string_view path);

std::string list_path(Kind kind, std::string_view account_sid);
std::string resource_path(Kind kind, std::string_view account_sid, std::string_view sid);

}  // namespace hf::wire::twilio
