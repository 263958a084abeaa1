#include "wire/eventbridge/rule_index.h"

#include <algorithm>
#include <limits>
#include <span>

#include "base/assert.h"

namespace hf::wire::eventbridge {
namespace {

/// Calls `each` for the parts of a dotted path: "a.b" is a, then b.
template <class Each>
void for_each_segment(std::string_view path, Each each) {
  for (;;) {
    const std::size_t dot = path.find('.');
    each(path.substr(0, dot));
    if (dot == std::string_view::npos) return;
    path.remove_prefix(dot + 1);
  }
}

/// Which element of which list a leaf was found in.
struct Step {
  JsonText::Node list = 0, element = 0;
  bool operator==(const Step&) const = default;
};
/// From the outermost list inwards.
using Trail = std::span<const Step>;
/// The places at which one condition holds.
using Places = std::vector<Trail>;

bool hold_together(std::vector<Places> conditions);

/// Conditions that are connected by lists they share: fixes one element of the first one's outermost list after
/// another.
bool component_holds(const std::vector<Places>& conditions) {
  if (conditions.size() < 2) return true;
  std::vector<Step> tried;
  for (const Trail& place : conditions.front()) {
    const Step choice = place.front();
    if (std::ranges::find(tried, choice) != tried.end()) continue;
    tried.push_back(choice);
    std::vector<Places> rest;
    for (const Places& places : conditions) {
      Places& kept = rest.emplace_back();
      for (const Trail& trail : places) {
        if (trail.front() == choice) {
          kept.push_back(trail.subspan(1));
        } else if (trail.front().list != choice.list) {
          kept.push_back(trail);
        }
      }
    }
    if (hold_together(std::move(rest))) return true;
  }
  return false;
}

bool share_a_list(const Places& a, const Places& b) {
  for (const Trail& x : a) {
    for (const Trail& y : b) {
      if (x.front().list == y.front().list) return true;
    }
  }
  return false;
}

/// Array consistency: is there one place for each condition such that no two contradict in the element of a list? Lists
/// that have nothing to do with one another are decided apart, so the work grows with the event, not with products of
/// it.
bool hold_together(std::vector<Places> conditions) {
  for (const Places& places : conditions) {
    if (places.empty()) return false;
  }
  std::erase_if(conditions,
                [](const Places& places) { return std::ranges::any_of(places, [](Trail t) { return t.empty(); }); });
  while (!conditions.empty()) {
    std::vector<Places> component;
    component.push_back(std::move(conditions.back()));
    conditions.pop_back();
    for (std::size_t i = 0; i < component.size(); ++i) {
      for (std::size_t j = 0; j < conditions.size();) {
        if (!share_a_list(component[i], conditions[j])) {
          ++j;
          continue;
        }
        component.push_back(std::move(conditions[j]));
        conditions.erase(conditions.begin() + static_cast<std::ptrdiff_t>(j));
      }
    }
    if (!component_holds(component)) return false;
  }
  return true;
}

}  // namespace

/// One event against the index.
class RuleIndex::Run {
 public:
  Run(const RuleIndex& index, const JsonText& event)
      : index_(index),
        event_(event),
        first_leaf_(index.fields_.size(), kNone),
        verdicts_(index.predicates_.size()),
        tried_(index.candidates_.size()),
        matched_(index.rules_) {}

  std::vector<std::size_t> run() {
    walk(JsonText::root(), 0);
    for (const Id candidate : index_.always_) attempt(candidate);
    for (const Id field : present_) {
      for (const Id candidate : index_.fields_[field].present) attempt(candidate);
    }
    for (const Leaf& leaf : leaves_) attempt_filed_under(leaf);
    std::vector<std::size_t> out;
    for (std::size_t rule = 0; rule < matched_.size(); ++rule) {
      if (matched_[rule]) out.push_back(rule);
    }
    return out;
  }

 private:
  struct Leaf {
    Id field = kNone;
    Id next = kNone;  ///< of the same field
    ValueKey* key = nullptr;
    std::size_t trail = 0, trail_size = 0;  ///< in trails_
  };
  struct Verdict {
    enum class State : std::uint8_t { unknown, fails, holds } state = State::unknown;
    std::uint32_t begin = 0, end = 0;  ///< the leaves that satisfy it, in satisfying_
  };

  void walk(JsonText::Node node, Id place) {
    switch (event_.kind(node)) {
      case JsonKind::object:
        event_.for_each_child(node, [&](JsonText::Node child) {
          if (const Id below = descend(place, event_.key(child)); below != kNone) walk(child, below);
        });
        return;
      case JsonKind::array:
        event_.for_each_child(node, [&](JsonText::Node child) {
          path_.push_back({node, child});
          walk(child, place);
          path_.pop_back();
        });
        return;
      default:
        add_leaf(node, index_.trie_[place].field);
    }
  }
  Id descend(Id place, std::string_view key) const {
    for_each_segment(key, [&](std::string_view segment) {
      if (place == kNone) return;
      const auto& children = index_.trie_[place].children;
      const auto child = children.find(segment);
      place = child == children.end() ? kNone : child->second;
    });
    return place;
  }
  void add_leaf(JsonText::Node node, Id field) {
    if (field == kNone) return;
    Leaf leaf{field, first_leaf_[field], &keys_.emplace_back(), trails_.size(), path_.size()};
    leaf.key->assign(event_.kind(node), event_.content(node));
    if (first_leaf_[field] == kNone) present_.push_back(field);
    first_leaf_[field] = static_cast<Id>(leaves_.size());
    trails_.insert(trails_.end(), path_.begin(), path_.end());
    leaves_.push_back(leaf);
  }

  void attempt_value(const ValueView& value) {
    const auto hit = index_.by_value_.find(value);
    if (hit == index_.by_value_.end()) return;
    for (const Id candidate : hit->second) attempt(candidate);
  }
  void attempt_filed_under(const Leaf& leaf) {
    const ValueKey& key = *leaf.key;
    const Field& field = index_.fields_[leaf.field];
    attempt_value({leaf.field, key.tag, key.bytes});
    if (key.tag == 's') {
      for (const std::size_t size : field.prefix_sizes) {
        if (size > key.bytes.size()) break;
        attempt_value({leaf.field, 'P', key.bytes.substr(0, size)});
      }
      for (const std::size_t size : field.suffix_sizes) {
        if (size > key.bytes.size()) break;
        attempt_value({leaf.field, 'S', key.bytes.substr(key.bytes.size() - size)});
      }
    }
    if (key.number) attempt_ranges(field.ranges, 0, field.ranges.size(), *key.number);
  }
  void attempt_ranges(const std::vector<Range>& ranges, std::size_t begin, std::size_t end, double number) {
    if (begin == end) return;
    const std::size_t middle = begin + (end - begin) / 2;
    const Range& range = ranges[middle];
    if (range.reach < number) return;
    attempt_ranges(ranges, begin, middle, number);
    if (range.lower > number) return;
    if (range.upper >= number) attempt(range.candidate);
    attempt_ranges(ranges, middle + 1, end, number);
  }

  static bool within(const Alternative& range, double number) {
    if (range.lower && !(number > range.lower->value || (range.lower->inclusive && number == range.lower->value)))
      return false;
    return !range.upper || number < range.upper->value || (range.upper->inclusive && number == range.upper->value);
  }
  static bool same(const std::string& key, const ValueKey& value) {
    return key.front() == value.tag && std::string_view(key).substr(1) == value.bytes;
  }
  static bool holds(const Alternative& one, const ValueKey& value) {
    switch (one.op) {
      case Alternative::Op::equals:
        return same(one.text, value);
      case Alternative::Op::prefix:
        return value.tag == 's' && value.bytes.starts_with(one.text);
      case Alternative::Op::suffix:
        return value.tag == 's' && value.bytes.ends_with(one.text);
      case Alternative::Op::anything_but:
        return std::ranges::none_of(one.keys, [&](const std::string& key) { return same(key, value); });
      case Alternative::Op::numeric:
        return value.number && within(one, *value.number);
      case Alternative::Op::exists:
        return one.exists;
    }
    HF_ASSERT(false);  // the list is closed
  }

  const Verdict& verdict(Id id) {
    Verdict& out = verdicts_[id];
    if (out.state != Verdict::State::unknown) return out;
    const Predicate& predicate = index_.predicates_[id];
    out.begin = static_cast<std::uint32_t>(satisfying_.size());
    for (Id leaf = first_leaf_[predicate.field]; leaf != kNone; leaf = leaves_[leaf].next) {
      const ValueKey& value = *leaves_[leaf].key;
      if (std::ranges::any_of(predicate.alternatives, [&](const Alternative& one) { return holds(one, value); })) {
        satisfying_.push_back(leaf);
      }
    }
    out.end = static_cast<std::uint32_t>(satisfying_.size());
    const bool absent = predicate.absent_will_do && first_leaf_[predicate.field] == kNone;
    out.state = out.begin != out.end || absent ? Verdict::State::holds : Verdict::State::fails;
    return out;
  }

  void attempt(Id id) {
    if (tried_[id]) return;
    tried_[id] = true;
    const Candidate& candidate = index_.candidates_[id];
    if (matched_[candidate.rule]) return;
    for (const Id predicate : candidate.predicates) {
      if (verdict(predicate).state == Verdict::State::fails) return;
    }
    if (trails_.empty() || consistent(candidate)) matched_[candidate.rule] = true;
  }
  bool consistent(const Candidate& candidate) {
    std::vector<Places> conditions;
    for (const Id predicate : candidate.predicates) {
      const Verdict& found = verdicts_[predicate];
      if (found.begin == found.end) continue;  // absent, as it should be
      Places& places = conditions.emplace_back();
      for (std::uint32_t i = found.begin; i < found.end; ++i) {
        const Leaf& leaf = leaves_[satisfying_[i]];
        places.push_back(Trail(trails_).subspan(leaf.trail, leaf.trail_size));
      }
    }
    return hold_together(std::move(conditions));
  }

  const RuleIndex& index_;
  const JsonText& event_;
  std::vector<Id> first_leaf_;     ///< by field
  std::vector<Verdict> verdicts_;  ///< by predicate
  std::vector<bool> tried_;        ///< by candidate
  std::vector<bool> matched_;      ///< by rule
  std::vector<Id> present_;        ///< fields with a leaf
  std::vector<Leaf> leaves_;
  std::deque<ValueKey> keys_;  ///< stable addresses: a key may point into itself
  std::vector<Step> path_, trails_;
  std::vector<Id> satisfying_;
};

RuleIndex::RuleIndex(const std::vector<const EventPattern*>& patterns) : rules_(patterns.size()) {
  trie_.emplace_back();
  std::unordered_map<std::string, Id> known;
  for (std::size_t rule = 0; rule < patterns.size(); ++rule) {
    for (const Conjunction& conjunction : patterns[rule]->conjunctions()) {
      Candidate candidate{static_cast<Id>(rule), {}};
      for (const Condition& condition : conjunction) candidate.predicates.push_back(predicate_of(condition, known));
      candidates_.push_back(std::move(candidate));
    }
  }
  for (const Candidate& candidate : candidates_) {
    for (const Id id : candidate.predicates) {
      const Predicate& predicate = predicates_[id];
      ++fields_[predicate.field].conditions;
      const Access access = access_of(predicate);
      if (access == Access::ranges) ++fields_[predicate.field].range_conditions;
      if (access != Access::values) continue;
      for (const Alternative& one : predicate.alternatives) ++popularity_[Value{predicate.field, value_of(one)}];
    }
  }
  for (Id candidate = 0; candidate < candidates_.size(); ++candidate) file(candidate);
  for (Field& field : fields_) {
    std::ranges::sort(field.ranges, {}, &Range::lower);
    set_reach(field.ranges, 0, field.ranges.size());
    for (std::vector<std::size_t>* sizes : {&field.prefix_sizes, &field.suffix_sizes}) {
      std::ranges::sort(*sizes);
      sizes->erase(std::unique(sizes->begin(), sizes->end()), sizes->end());
    }
  }
  popularity_.clear();
}

double RuleIndex::set_reach(std::vector<Range>& ranges, std::size_t begin, std::size_t end) {
  if (begin == end) return -std::numeric_limits<double>::infinity();
  const std::size_t middle = begin + (end - begin) / 2;
  const double below = set_reach(ranges, begin, middle), above = set_reach(ranges, middle + 1, end);
  return ranges[middle].reach = std::max({ranges[middle].upper, below, above});
}

RuleIndex::Id RuleIndex::field_of(std::string_view path) {
  Id place = 0;
  for_each_segment(path, [&](std::string_view segment) {
    const auto [child, fresh] = trie_[place].children.try_emplace(std::string(segment), static_cast<Id>(trie_.size()));
    const Id below = child->second;
    if (fresh) trie_.emplace_back();
    place = below;
  });
  if (trie_[place].field == kNone) {
    trie_[place].field = static_cast<Id>(fields_.size());
    fields_.emplace_back();
  }
  return trie_[place].field;
}

RuleIndex::Id RuleIndex::predicate_of(const Condition& condition, std::unordered_map<std::string, Id>& known) {
  std::string name = condition.path + '\0';
  for (const Alternative& one : condition.alternatives) {
    // Lengths in front: no two different conditions have the same name.
    name += fmt::format("|{}:{}:{}", static_cast<int>(one.op), one.text.size(), one.text);
    for (const std::string& key : one.keys) name += fmt::format(",{}:{}", key.size(), key);
    if (one.lower) name += fmt::format(">{}{}", one.lower->inclusive, one.lower->value);
    if (one.upper) name += fmt::format("<{}{}", one.upper->inclusive, one.upper->value);
    name += one.exists ? '+' : '-';
  }
  const auto [entry, fresh] = known.try_emplace(std::move(name), static_cast<Id>(predicates_.size()));
  if (fresh) {
    Predicate predicate{field_of(condition.path), condition.alternatives, false};
    predicate.absent_will_do = std::ranges::any_of(condition.alternatives, [](const Alternative& one) {
      return one.op == Alternative::Op::exists && !one.exists;
    });
    predicates_.push_back(std::move(predicate));
  }
  return entry->second;
}

RuleIndex::Access RuleIndex::access_of(const Predicate& predicate) {
  using Op = Alternative::Op;
  const auto all = [&](auto... ops) {
    return std::ranges::all_of(predicate.alternatives,
                               [&](const Alternative& one) { return ((one.op == ops) || ...); });
  };
  if (all(Op::equals, Op::prefix, Op::suffix)) return Access::values;
  if (all(Op::numeric)) return Access::ranges;
  return predicate.absent_will_do ? Access::none : Access::presence;
}

std::string RuleIndex::value_of(const Alternative& one) {
  if (one.op == Alternative::Op::equals) return one.text;
  return (one.op == Alternative::Op::prefix ? 'P' : 'S') + one.text;
}

/// About how many candidates an event that gets this far would have to look at.
std::uint64_t RuleIndex::companions(const Predicate& predicate) const {
  const Field& field = fields_[predicate.field];
  switch (access_of(predicate)) {
    case Access::values: {
      std::uint64_t sum = 0;
      for (const Alternative& one : predicate.alternatives) {
        sum += popularity_.find(Value{predicate.field, value_of(one)})->second;
      }
      return sum;
    }
    case Access::ranges:
      return 2 + field.range_conditions / 8;  // a guess: ranges overlap a little
    case Access::presence:
      return 3 + field.conditions;
    case Access::none:
      return UINT64_MAX;
  }
  HF_ASSERT(false);  // the list is closed
}

void RuleIndex::file(Id id) {
  const Predicate* best = nullptr;
  for (const Id p : candidates_[id].predicates) {
    if (!best || companions(predicates_[p]) < companions(*best)) best = &predicates_[p];
  }
  const Access access = best ? access_of(*best) : Access::none;
  if (access == Access::none) return always_.push_back(id);
  Field& field = fields_[best->field];
  if (access == Access::presence) return field.present.push_back(id);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const Alternative& one : best->alternatives) {
    if (access == Access::ranges) {
      const double lower = one.lower ? one.lower->value : -kInfinity, upper = one.upper ? one.upper->value : kInfinity;
      field.ranges.push_back({lower, upper, 0, id});
      continue;
    }
    by_value_[Value{best->field, value_of(one)}].push_back(id);
    if (one.op == Alternative::Op::prefix) field.prefix_sizes.push_back(one.text.size());
    if (one.op == Alternative::Op::suffix) field.suffix_sizes.push_back(one.text.size());
  }
}

std::vector<std::size_t> RuleIndex::match(const JsonText& event) const { return Run(*this, event).run(); }

}  // namespace hf::wire::eventbridge
