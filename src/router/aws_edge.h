#pragma once

/// AWS JSON 1.1: HTTP ⇄ Control and Intake. Checks signature and shape, names errors as the service does, decides
/// nothing. Call by call: docs/protocols/eventbridge.md.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>

#include "net/http.h"
#include "router/config.h"
#include "router/control.h"
#include "router/intake.h"
#include "router/sigv4.h"

namespace hf::router {

class AwsEdge {
 public:
  enum class Open { yes, no };
  AwsEdge(sys::World world, const RouterConfig& config, Control& control, Intake& intake);

  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request, Open open);

 private:
  /// The body of a success (may be empty), or the refusal.
  using Answer = std::variant<std::string, Refusal>;
  struct Input;
  using Handler = asio::awaitable<Answer> (AwsEdge::*)(Input&);

  static const std::map<std::string_view, Handler>& handlers();
  asio::awaitable<Answer> answer(const net::HttpRequest& request, std::string_view operation);

  asio::awaitable<Answer> put_events(Input& in);
  asio::awaitable<Answer> put_rule(Input& in);
  asio::awaitable<Answer> describe_rule(Input& in);
  asio::awaitable<Answer> list_rules(Input& in);
  asio::awaitable<Answer> enable_rule(Input& in);
  asio::awaitable<Answer> disable_rule(Input& in);
  asio::awaitable<Answer> delete_rule(Input& in);
  asio::awaitable<Answer> list_rule_names_by_target(Input& in);
  asio::awaitable<Answer> put_targets(Input& in);
  asio::awaitable<Answer> list_targets_by_rule(Input& in);
  asio::awaitable<Answer> remove_targets(Input& in);
  asio::awaitable<Answer> test_event_pattern(Input& in);
  asio::awaitable<Answer> describe_event_bus(Input& in);
  asio::awaitable<Answer> list_event_buses(Input& in);
  asio::awaitable<Answer> create_connection(Input& in);
  asio::awaitable<Answer> describe_connection(Input& in);
  asio::awaitable<Answer> update_connection(Input& in);
  asio::awaitable<Answer> delete_connection(Input& in);
  asio::awaitable<Answer> list_connections(Input& in);
  asio::awaitable<Answer> create_api_destination(Input& in);
  asio::awaitable<Answer> describe_api_destination(Input& in);
  asio::awaitable<Answer> update_api_destination(Input& in);
  asio::awaitable<Answer> delete_api_destination(Input& in);
  asio::awaitable<Answer> list_api_destinations(Input& in);
  asio::awaitable<Answer> list_tags_for_resource(Input& in);

  asio::awaitable<Answer> set_rule_state(Input& in, bool enabled);
  bool is_default_bus(std::string_view name_or_arn) const;
  std::optional<Refusal> unknown_bus(Input& in) const;

  sys::World world_;
  const RouterConfig& config_;
  Control& control_;
  Intake& intake_;
};

}  // namespace hf::router
