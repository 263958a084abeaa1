#include "router/catalogue.h"

#include <algorithm>

#include "base/assert.h"

namespace hf::router {
namespace {

bool covers(std::string_view pattern, std::string_view text) {
  if (pattern.ends_with('*')) return text.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == text;
}
bool any_covers(const std::vector<std::string>& patterns, std::string_view text) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) { return covers(pattern, text); });
}
template <class T>
const T* by_arn(const Named<T>& all, std::string_view arn) {
  for (const auto& [name, one] : all) {
    if (one->arn == arn) return one.get();
  }
  return nullptr;
}

}  // namespace

bool Role::allows(std::string_view action, std::string_view resource) const {
  return std::ranges::any_of(statements, [&](const Statement& statement) {
    return any_covers(statement.actions, action) && any_covers(statement.resources, resource);
  });
}

void Catalogue::build_index() {
  indexed_.clear();
  std::vector<const eb::EventPattern*> patterns;
  for (const auto& [name, rule] : rules) {
    if (!rule->enabled) continue;
    indexed_.push_back(rule);
    patterns.push_back(&rule->pattern);
  }
  index_ = std::make_shared<const eb::RuleIndex>(patterns);
}

std::vector<std::shared_ptr<const Rule>> Catalogue::match(const eb::JsonText& event) const {
  HF_ASSERT(index_ != nullptr);
  std::vector<std::shared_ptr<const Rule>> out;
  for (const std::size_t rule : index_->match(event)) out.push_back(indexed_[rule]);
  return out;
}

const eb::ApiDestination* Catalogue::destination_by_arn(std::string_view arn) const {
  return by_arn(destinations, arn);
}
const eb::Connection* Catalogue::connection_by_arn(std::string_view arn) const { return by_arn(connections, arn); }

}  // namespace hf::router
