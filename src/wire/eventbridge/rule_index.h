#pragma once

/// Which of many patterns does an event match? Built once per change of the rules, asked for every event.
///
/// Shape: the paths that any pattern names form a trie; the event is walked once, everything else in it is skipped.
/// Each conjunction is filed under the one of its conditions that promises the fewest companions: under each value,
/// prefix or suffix it asks for, under its numeric ranges, under a field that must be present, else under "always". So
/// an event looks only at conjunctions that can match. Equal conditions of different rules are one predicate, evaluated
/// at most once per event.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wire/eventbridge/json_text.h"
#include "wire/eventbridge/pattern.h"
#include "wire/eventbridge/value.h"

namespace hf::wire::eventbridge {

class RuleIndex {
 public:
  /// Rules are numbered as they come. The patterns are copied.
  explicit RuleIndex(const std::vector<const EventPattern*>& patterns);

  /// The numbers of the rules that match, ascending, each once. `event`: the envelope. Any thread, no state.
  std::vector<std::size_t> match(const JsonText& event) const;

 private:
  using Id = std::uint32_t;
  static constexpr Id kNone = UINT32_MAX;
  class Run;  ///< one event

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct TrieNode {
    std::unordered_map<std::string, Id, TextHash, std::equal_to<>> children;
    Id field = kNone;
  };
  struct Predicate {
    Id field = kNone;
    std::vector<Alternative> alternatives;
    bool absent_will_do = false;
  };
  struct Candidate {
    Id rule = 0;
    std::vector<Id> predicates;
  };
  struct Value {
    Id field;
    std::string key;
  };
  struct ValueView {
    Id field;
    char tag;
    std::string_view bytes;
  };
  struct ValueHash {
    using is_transparent = void;
    std::size_t operator()(const Value& v) const {
      return of(v.field, v.key.front(), std::string_view(v.key).substr(1));
    }
    std::size_t operator()(const ValueView& v) const { return of(v.field, v.tag, v.bytes); }
    static std::size_t of(Id field, char tag, std::string_view bytes) {
      return std::hash<std::string_view>{}(bytes) ^ (field * 0x9E3779B97F4A7C15ull + static_cast<unsigned char>(tag));
    }
  };
  struct ValueEqual {
    using is_transparent = void;
    bool operator()(const Value& a, const Value& b) const { return a.field == b.field && a.key == b.key; }
    bool operator()(const Value& a, const ValueView& b) const {
      return a.field == b.field && a.key.front() == b.tag && std::string_view(a.key).substr(1) == b.bytes;
    }
    bool operator()(const ValueView& a, const Value& b) const { return (*this)(b, a); }
  };

  /// Numeric ranges of one field, sorted by lower bound; `reach` is the highest upper bound of the implicit subtree
  /// whose middle this is. Bounds count as included: what is found is evaluated in full anyway.
  struct Range {
    double lower, upper, reach;
    Id candidate;
  };
  struct Field {
    std::vector<std::size_t> prefix_sizes, suffix_sizes;  ///< that occur, ascending
    std::vector<Range> ranges;
    std::vector<Id> present;       ///< candidates filed under "has a leaf"
    std::uint32_t conditions = 0;  ///< while building: how many candidates name it
    std::uint32_t range_conditions = 0;
  };
  /// Where a condition would be filed.
  enum class Access { values, ranges, presence, none };

  Id field_of(std::string_view path);
  Id predicate_of(const Condition& condition, std::unordered_map<std::string, Id>& known);
  static Access access_of(const Predicate& predicate);
  static std::string value_of(const Alternative& one);
  std::uint64_t companions(const Predicate& predicate) const;
  void file(Id candidate);
  static double set_reach(std::vector<Range>& ranges, std::size_t begin, std::size_t end);

  std::vector<TrieNode> trie_;
  std::vector<Field> fields_;
  std::vector<Predicate> predicates_;
  std::vector<Candidate> candidates_;
  std::size_t rules_ = 0;
  std::unordered_map<Value, std::vector<Id>, ValueHash, ValueEqual> by_value_;  ///< also 'P' prefix, 'S' suffix
  std::vector<Id> always_;
  std::unordered_map<Value, std::uint32_t, ValueHash, ValueEqual> popularity_;  ///< while building
};

}  // namespace hf::wire::eventbridge
