#pragma once

/// The event pattern language: text → conditions. Matching is in rule_index.h.
///
/// Built: exact values, prefix, suffix, anything-but (value or list), numeric, exists, exactly, $or. Everything later
/// (wildcard, cidr, equals-ignore-case, anything-but with an operator) is refused by name, never ignored.
/// Source of every rule and text: docs/protocols/eventbridge.md, "Patterns".

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::wire::eventbridge {

/// One entry of a pattern's value list; one that holds is enough.
struct Alternative {
  enum class Op { equals, prefix, suffix, anything_but, numeric, exists };
  struct Bound {
    double value = 0;
    bool inclusive = false;
    bool operator==(const Bound&) const = default;
  };
  Op op = Op::equals;
  std::string text;               ///< equals: ValueKey::str() · prefix, suffix: the text
  std::vector<std::string> keys;  ///< anything_but: ValueKey::str() of each
  std::optional<Bound> lower, upper;
  bool exists = false;
  bool operator==(const Alternative&) const = default;
};

/// A field by its path, joined with dots ({"a":{"b":…}} and {"a.b":…} are the same), and what it may be.
struct Condition {
  std::string path;
  std::vector<Alternative> alternatives;
};
/// All conditions hold, together within one element of any list they share.
using Conjunction = std::vector<Condition>;

class EventPattern {
 public:
  static constexpr std::size_t kTextMax = 4'096;          ///< service model
  static constexpr std::size_t kCombinationsMax = 1'000;  ///< of $or branches (user guide)

  /// Error: invalid; the message is the service's text after "Reason: ".
  static Result<EventPattern> compile(std::string_view text);

  /// $or multiplied out; the event matches if one of them holds.
  const std::vector<Conjunction>& conjunctions() const { return conjunctions_; }

 private:
  std::vector<Conjunction> conjunctions_;
};

}  // namespace hf::wire::eventbridge
