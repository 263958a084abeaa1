#pragma once

/// Rules, targets, connections, API destinations and roles as one immutable picture. A change makes a new one; whoever
/// works with the old one finishes with it. All of it is in the database (router/store.h).

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/eventbridge/pattern.h"
#include "wire/eventbridge/rule_index.h"
#include "wire/eventbridge/shapes.h"

namespace hf::router {

namespace eb = ::hf::wire::eventbridge;

struct Rule {
  std::string name, arn;
  std::string pattern_text;  ///< as sent
  eb::EventPattern pattern;
  bool enabled = true;
  std::string description, role_arn;
  std::vector<eb::Target> targets;  ///< in the order in which they were put
};

/// A role: which actions on which resources. `*` at the end of either stands for anything that follows.
struct Role {
  struct Statement {
    std::vector<std::string> actions, resources;
  };
  std::string arn;
  std::vector<Statement> statements;
  /// "events:InvokeApiDestination" on the destination's ARN.
  bool allows(std::string_view action, std::string_view resource) const;
};

template <class T>
using Named = std::map<std::string, std::shared_ptr<const T>, std::less<>>;

class Catalogue {
 public:
  static constexpr std::size_t kTargetsPerRule = 5;  ///< EventBridge quota
  static constexpr std::size_t kRulesMax = 2'000;    ///< EventBridge: 300 per bus; ours is memory and start-up time

  Named<Rule> rules;
  Named<eb::Connection> connections;
  Named<eb::ApiDestination> destinations;
  Named<Role> roles;  ///< by ARN

  /// After changing the maps, before the first match().
  void build_index();
  /// Enabled rules whose pattern matches, by name. `event`: the envelope.
  std::vector<std::shared_ptr<const Rule>> match(const eb::JsonText& event) const;

  const eb::ApiDestination* destination_by_arn(std::string_view arn) const;
  const eb::Connection* connection_by_arn(std::string_view arn) const;

 private:
  std::vector<std::shared_ptr<const Rule>> indexed_;
  std::shared_ptr<const eb::RuleIndex> index_;
};
using CataloguePtr = std::shared_ptr<const Catalogue>;

}  // namespace hf::router
