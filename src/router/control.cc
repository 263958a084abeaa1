#include "router/control.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace hf::router {
namespace {

/// One change at a time; released when it leaves the coroutine, however it leaves.
class Turn {
 public:
  Turn(bool& busy, sys::Event& free) : busy_(busy), free_(free) { busy_ = true; }
  ~Turn() {
    busy_ = false;
    free_.notify_one();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  bool& busy_;
  sys::Event& free_;
};

template <class T>
std::shared_ptr<T> copy_of(const Named<T>& all, std::string_view name) {
  const auto found = all.find(name);
  return found == all.end() ? nullptr : std::make_shared<T>(*found->second);
}

Result<void> check_destination(const eb::ApiDestination& destination, const Catalogue& catalogue) {
  HF_TRY(eb::check_endpoint(destination.endpoint));
  if (!catalogue.connection_by_arn(destination.connection_arn)) {
    return Error{Code::not_found, fmt::format("Connection '{}' does not exist.", destination.connection_arn)};
  }
  return ok();
}

}  // namespace

Error no_such_rule(std::string_view name) {
  return {Code::not_found, fmt::format("Rule {} does not exist on EventBus default.", name)};
}
Error no_such_connection(std::string_view name) {
  return {Code::not_found, fmt::format("Failed to describe the connection(s). Connection '{}' does not exist.", name)};
}
Error no_such_destination(std::string_view name) {
  return {Code::not_found,
          fmt::format("Failed to describe the api-destination(s). An api-destination '{}' does not exist.", name)};
}

Control::Control(sys::World world, const RouterConfig& config, Store& store)
    : world_(world), config_(config), store_(store), free_(world.clock) {
  Catalogue empty;
  empty.build_index();
  catalogue_ = std::make_shared<const Catalogue>(std::move(empty));
}

std::string Control::rule_arn(std::string_view name) const {
  return fmt::format("arn:aws:events:{}:{}:rule/{}", config_.region, config_.account, name);
}
std::string Control::bus_arn() const {
  return fmt::format("arn:aws:events:{}:{}:event-bus/default", config_.region, config_.account);
}
std::string Control::role_arn(std::string_view name) const {
  return fmt::format("arn:aws:iam::{}:role/{}", config_.account, name);
}
std::string Control::destination_arn_prefix(std::string_view name) const {
  return fmt::format("arn:aws:events:{}:{}:api-destination/{}/", config_.region, config_.account, name);
}
std::string Control::connection_arn_prefix(std::string_view name) const {
  return fmt::format("arn:aws:events:{}:{}:connection/{}/", config_.region, config_.account, name);
}

Task<> Control::load() {
  HF_CO_TRY(Catalogue loaded, co_await store_.load());
  loaded.build_index();
  catalogue_ = std::make_shared<const Catalogue>(std::move(loaded));
  co_return ok();
}

Task<> Control::apply(std::function<Result<Write>(Catalogue&)> change) {
  while (busy_) co_await free_.wait();
  const Turn turn(busy_, free_);
  auto next = std::make_shared<Catalogue>(*catalogue_);
  HF_CO_TRY(Write write, change(*next));
  HF_CO_TRY(co_await store_.change(std::move(write)));
  next->build_index();
  catalogue_ = std::move(next);
  co_return ok();
}

Task<std::string> Control::put_rule(RuleInput input) {
  const std::string arn = rule_arn(input.name);
  std::function<Result<Write>(Catalogue&)> change = [input = std::move(input),
                                                     arn](Catalogue& catalogue) -> Result<Write> {
    auto rule = copy_of(catalogue.rules, input.name);
    if (!rule) rule = std::make_shared<Rule>();
    if (catalogue.rules.size() >= Catalogue::kRulesMax && rule->name.empty()) {
      return Error{Code::exhausted, "The requested resource exceeds the maximum number allowed."};
    }
    HF_TRY(rule->pattern, eb::EventPattern::compile(input.pattern_text));
    rule->name = input.name;
    rule->arn = arn;
    rule->pattern_text = input.pattern_text;
    rule->enabled = input.enabled;
    rule->description = input.description;
    rule->role_arn = input.role_arn;
    catalogue.rules[input.name] = rule;
    return Write([rule](sql::Transaction& tx) { return Store::put_rule(tx, *rule); });
  };
  HF_CO_TRY(co_await apply(std::move(change)));
  co_return arn;
}

Task<> Control::delete_rule(std::string name) {
  std::function<Result<Write>(Catalogue&)> change = [name = std::move(name)](Catalogue& catalogue) -> Result<Write> {
    const auto found = catalogue.rules.find(name);
    if (found != catalogue.rules.end()) {
      if (!found->second->targets.empty()) return Error{Code::invalid, "Rule can't be deleted since it has targets."};
      catalogue.rules.erase(found);
    }
    return Write([name](sql::Transaction& tx) { return Store::remove_rule(tx, name); });
  };
  return apply(std::move(change));
}

Task<> Control::set_rule_state(std::string name, bool enabled) {
  std::function<Result<Write>(Catalogue&)> change = [name = std::move(name),
                                                     enabled](Catalogue& catalogue) -> Result<Write> {
    auto rule = copy_of(catalogue.rules, name);
    if (!rule) return no_such_rule(name);
    rule->enabled = enabled;
    catalogue.rules[name] = rule;
    return Write([rule](sql::Transaction& tx) { return Store::put_rule(tx, *rule); });
  };
  return apply(std::move(change));
}

Task<> Control::put_targets(std::string rule_name, std::vector<eb::Target> targets) {
  std::function<Result<Write>(Catalogue&)> change =
      [rule_name = std::move(rule_name), targets = std::move(targets)](Catalogue& catalogue) -> Result<Write> {
    auto rule = copy_of(catalogue.rules, rule_name);
    if (!rule) return no_such_rule(rule_name);
    for (const eb::Target& target : targets) {
      const auto same = std::ranges::find(rule->targets, target.id, &eb::Target::id);
      if (same != rule->targets.end()) {
        *same = target;
      } else {
        rule->targets.push_back(target);
      }
    }
    if (rule->targets.size() > Catalogue::kTargetsPerRule) {
      return Error{Code::exhausted, "The requested resource exceeds the maximum number allowed."};
    }
    catalogue.rules[rule_name] = rule;
    return Write([rule](sql::Transaction& tx) -> Result<void> {
      for (std::size_t i = 0; i < rule->targets.size(); ++i)
        HF_TRY(Store::put_target(tx, rule->name, rule->targets[i], i));
      return ok();
    });
  };
  return apply(std::move(change));
}

Task<> Control::remove_targets(std::string rule_name, std::vector<std::string> ids) {
  std::function<Result<Write>(Catalogue&)> change = [rule_name = std::move(rule_name),
                                                     ids = std::move(ids)](Catalogue& catalogue) -> Result<Write> {
    auto rule = copy_of(catalogue.rules, rule_name);
    if (!rule) return no_such_rule(rule_name);
    std::erase_if(rule->targets,
                  [&](const eb::Target& target) { return std::ranges::find(ids, target.id) != ids.end(); });
    catalogue.rules[rule_name] = rule;
    return Write([rule_name, ids](sql::Transaction& tx) -> Result<void> {
      for (const std::string& id : ids) HF_TRY(Store::remove_target(tx, rule_name, id));
      return ok();
    });
  };
  return apply(std::move(change));
}

Task<eb::Connection> Control::create_connection(eb::Connection connection) {
  connection.arn = connection_arn_prefix(connection.name) + world_.random.uuid();
  connection.created = connection.modified = connection.authorized = world_.clock.wall();
  std::function<Result<Write>(Catalogue&)> change = [connection](Catalogue& catalogue) -> Result<Write> {
    if (catalogue.connections.contains(connection.name)) {
      return Error{Code::conflict, fmt::format("Connection {} already exists.", connection.name)};
    }
    catalogue.connections[connection.name] = std::make_shared<const eb::Connection>(connection);
    return Write([connection](sql::Transaction& tx) { return Store::put_connection(tx, connection); });
  };
  HF_CO_TRY(co_await apply(std::move(change)));
  co_return connection;
}

Task<eb::Connection> Control::update_connection(std::string name, std::function<Result<void>(eb::Connection&)> edit) {
  auto result = std::make_shared<eb::Connection>();
  const WallTime now = world_.clock.wall();
  std::function<Result<Write>(Catalogue&)> change = [result, name = std::move(name), edit = std::move(edit),
                                                     now](Catalogue& catalogue) -> Result<Write> {
    auto connection = copy_of(catalogue.connections, name);
    if (!connection) return no_such_connection(name);
    HF_TRY(edit(*connection));
    connection->modified = connection->authorized = now;
    *result = *connection;
    catalogue.connections[name] = connection;
    return Write([connection](sql::Transaction& tx) { return Store::put_connection(tx, *connection); });
  };
  HF_CO_TRY(co_await apply(std::move(change)));
  co_return *result;
}

Task<eb::Connection> Control::delete_connection(std::string name) {
  auto result = std::make_shared<eb::Connection>();
  std::function<Result<Write>(Catalogue&)> change = [result,
                                                     name = std::move(name)](Catalogue& catalogue) -> Result<Write> {
    const auto found = catalogue.connections.find(name);
    if (found == catalogue.connections.end()) return no_such_connection(name);
    *result = *found->second;
    catalogue.connections.erase(found);
    return Write([name](sql::Transaction& tx) { return Store::remove_connection(tx, name); });
  };
  HF_CO_TRY(co_await apply(std::move(change)));
  co_return *result;
}

Task<eb::ApiDestination> Control::create_destination(eb::ApiDestination destination) {
  destination.arn = destination_arn_prefix(destination.name) + world_.random.uuid();
  destination.created = destination.modified = world_.clock.wall();
  std::function<Result<Write>(Catalogue&)> change = [destination](Catalogue& catalogue) -> Result<Write> {
    if (catalogue.destinations.contains(destination.name)) {
      return Error{Code::conflict, fmt::format("An api-destination '{}' already exists.", destination.name)};
    }
    HF_TRY(check_destination(destination, catalogue));
    catalogue.destinations[destination.name] = std::make_shared<const eb::ApiDestination>(destination);
    return Write([destination](sql::Transaction& tx) { return Store::put_destination(tx, destination); });
  };
  HF_CO_TRY(co_await apply(std::move(change)));
  co_return destination;
}

Task<eb::ApiDestination> Control::update_destination(std::string name, DestinationChange wanted) {
  auto result = std::make_shared<eb::ApiDestination>();
  const WallTime now = world_.clock.wall();
  std::function<Result<Write>(Catalogue&)> change = [result, name = std::move(name), wanted = std::move(wanted),
                                                     now](Catalogue& catalogue) -> Result<Write> {
    auto destination = copy_of(catalogue.destinations, name);
    if (!destination) return no_such_destination(name);
    if (wanted.description) destination->description = *wanted.description;
    if (wanted.connection_arn) destination->connection_arn = *wanted.connection_arn;
    if (wanted.endpoint) destination->endpoint = *wanted.endpoint;
    if (wanted.method) destination->method = *wanted.method;
    if (wanted.rate_per_second) destination->rate_per_second = *wanted.rate_per_second;
    HF_TRY(check_destination(*destination, catalogue));
    destination->modified = now;
    *result = *destination;
    catalogue.destinations[name] = destination;
    return Write([destination](sql::Transaction& tx) { return Store::put_destination(tx, *destination); });
  };
  HF_CO_TRY(co_await apply(std::move(change)));
  co_return *result;
}

Task<> Control::delete_destination(std::string name) {
  std::function<Result<Write>(Catalogue&)> change = [name = std::move(name)](Catalogue& catalogue) -> Result<Write> {
    if (catalogue.destinations.erase(name) == 0) return no_such_destination(name);
    return Write([name](sql::Transaction& tx) { return Store::remove_destination(tx, name); });
  };
  return apply(std::move(change));
}

Task<> Control::put_role(Role role) {
  std::function<Result<Write>(Catalogue&)> change = [role = std::move(role)](Catalogue& catalogue) -> Result<Write> {
    catalogue.roles[role.arn] = std::make_shared<const Role>(role);
    return Write([role](sql::Transaction& tx) { return Store::put_role(tx, role); });
  };
  return apply(std::move(change));
}

}  // namespace hf::router
