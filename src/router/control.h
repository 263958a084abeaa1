#pragma once

/// Changes to rules, targets, connections, destinations and roles: one after another, durable before they return, in
/// force for the next event when they return.
///
/// Errors are the edge's to name: invalid (ValidationException) · not_found (ResourceNotFoundException) · conflict
/// (ResourceAlreadyExistsException) · exhausted (LimitExceededException). Texts are the service's, where they are
/// known.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "router/catalogue.h"
#include "router/config.h"
#include "router/store.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::router {

/// PutRule: what is absent is cleared, except targets.
struct RuleInput {
  std::string name, pattern_text;
  bool enabled = true;
  std::string description, role_arn;
};
/// Update…: nullopt leaves the member as it is.
struct DestinationChange {
  std::optional<std::string> description, connection_arn, endpoint, method;
  std::optional<std::int64_t> rate_per_second;
};

class Control {
 public:
  Control(sys::World world, const RouterConfig& config, Store& store);

  Task<> load();
  CataloguePtr catalogue() const { return catalogue_; }

  std::string rule_arn(std::string_view name) const;
  std::string bus_arn() const;
  std::string role_arn(std::string_view name) const;
  std::string destination_arn_prefix(std::string_view name) const;  ///< without the UUID
  std::string connection_arn_prefix(std::string_view name) const;

  Task<std::string> put_rule(RuleInput input);
  Task<> delete_rule(std::string name);
  Task<> set_rule_state(std::string name, bool enabled);
  Task<> put_targets(std::string rule, std::vector<eb::Target> targets);
  Task<> remove_targets(std::string rule, std::vector<std::string> ids);

  /// Name and authorization are set; ARN and times are given here.
  Task<eb::Connection> create_connection(eb::Connection connection);
  /// `change` is applied to the present one; it must not suspend.
  Task<eb::Connection> update_connection(std::string name, std::function<Result<void>(eb::Connection&)> change);
  Task<eb::Connection> delete_connection(std::string name);
  Task<eb::ApiDestination> create_destination(eb::ApiDestination destination);
  Task<eb::ApiDestination> update_destination(std::string name, DestinationChange change);
  Task<> delete_destination(std::string name);

  /// Creates or replaces.
  Task<> put_role(Role role);

  /// For the rules file: `change` edits a copy and says what to write; all of it or nothing.
  using Write = std::function<Result<void>(sql::Transaction&)>;
  Task<> apply(std::function<Result<Write>(Catalogue&)> change);

 private:
  sys::World world_;
  const RouterConfig& config_;
  Store& store_;
  CataloguePtr catalogue_;
  bool busy_ = false;
  sys::Event free_;
};

Error no_such_rule(std::string_view name);
Error no_such_connection(std::string_view name);
Error no_such_destination(std::string_view name);

}  // namespace hf::router
