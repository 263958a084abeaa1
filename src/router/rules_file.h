#pragma once

/// The rules file: roles, connections, API destinations and rules that `serve` puts in place at every start.
///
///   {"roles":           [{"name", "statements": [{"Action": […], "Resource": […]}]}],
///    "connections":     [as CreateConnection],
///    "apiDestinations": [as CreateApiDestination, with "Connection": name in place of ConnectionArn],
///    "rules":           [{"Name", "EventPattern": {…}, "State", "Description",
///                         "Targets": [as PutTargets, with "ApiDestination": name and "Role": name in place of the
///                         ARNs]}]}
///
/// In texts, {{notifier_url}}, {{account_sid}}, {{auth_token}}, {{twilio_number}} and {{whatsapp_number}} are replaced
/// from the configuration before the file is read. Applied by name: what is there under the same name is replaced (ARNs
/// stay, and so does a rule's state unless the file says one), targets of a rule that the file does not name stay. All
/// of it or nothing.

#include <string_view>

#include "router/control.h"

namespace hf::router {

/// The built-in file: one rule per channel for `order.confirmed`.
std::string_view default_rules();

/// Error: invalid, naming the place.
Task<> apply_rules_file(Control& control, const RouterConfig& config, sys::World world, std::string text);

}  // namespace hf::router
