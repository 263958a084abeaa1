#include "wire/eventbridge/rule_index.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <random>

namespace hf::wire::eventbridge {
namespace {

namespace json = boost::json;

/// A second matcher, as plain as the rules can be said, over another JSON library: the oracle. Every conjunction tries
/// every combination of leaves.
class Naive {
 public:
  static bool matches(const json::value& pattern, const json::value& event) {
    Naive run;
    run.flatten(event, "", {});
    std::vector<Flat> flats(1);
    expand(pattern.as_object(), "", flats);
    return std::ranges::any_of(flats, [&](const Flat& flat) { return run.holds(flat); });
  }

 private:
  using Places = std::map<int, int>;  // list → element
  struct Leaf {
    json::value value;
    Places places;
  };
  using Flat = std::map<std::string, json::array>;

  static std::string join(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : path + "." + std::string(key);
  }
  void flatten(const json::value& value, const std::string& path, const Places& places) {
    if (value.is_object()) {
      for (const auto& [key, child] : value.as_object()) flatten(child, join(path, key), places);
    } else if (value.is_array()) {
      const int list = lists_++;
      int element = 0;
      for (const json::value& child : value.as_array()) {
        Places inner = places;
        inner[list] = element++;
        flatten(child, path, inner);
      }
    } else {
      leaves_[path].push_back({value, places});
    }
  }
  static void expand(const json::object& pattern, const std::string& path, std::vector<Flat>& flats) {
    for (const auto& [key, child] : pattern) {
      if (key == "$or") {
        std::vector<Flat> product;
        for (const json::value& branch : child.as_array()) {
          std::vector<Flat> copy = flats;
          expand(branch.as_object(), path, copy);
          product.insert(product.end(), copy.begin(), copy.end());
        }
        flats = product;
      } else if (child.is_object()) {
        expand(child.as_object(), join(path, key), flats);
      } else {
        for (Flat& flat : flats) flat[join(path, key)] = child.as_array();
      }
    }
  }
  static bool equal(const json::value& a, const json::value& b) {
    if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
    return a.kind() == b.kind() && a == b;
  }
  static bool in_range(const json::array& range, double number) {
    for (std::size_t i = 0; i + 1 < range.size(); i += 2) {
      const std::string_view op = range[i].as_string();
      const double bound = range[i + 1].to_number<double>();
      const bool good = op == "="    ? number == bound
                        : op == "<"  ? number < bound
                        : op == "<=" ? number <= bound
                        : op == ">"  ? number > bound
                                     : number >= bound;
      if (!good) return false;
    }
    return true;
  }
  static bool accepts(const json::value& one, const json::value& value) {
    if (!one.is_object()) return equal(one, value);
    const auto& [op, operand] = *one.as_object().begin();
    if (op == "exists") return operand.as_bool();
    if (op == "numeric") return value.is_number() && in_range(operand.as_array(), value.to_number<double>());
    if (op == "anything-but") {
      if (!operand.is_array()) return !equal(operand, value);
      return std::ranges::none_of(operand.as_array(), [&](const json::value& no) { return equal(no, value); });
    }
    if (!value.is_string()) return false;
    const std::string_view text = value.as_string(), part = operand.as_string();
    return op == "prefix" ? text.starts_with(part) : text.ends_with(part);
  }
  static bool absence_accepted(const json::array& alternatives) {
    return std::ranges::any_of(alternatives, [](const json::value& one) {
      return one.is_object() && one.as_object().begin()->key() == "exists" &&
             !one.as_object().begin()->value().as_bool();
    });
  }
  bool holds(const Flat& flat) const { return holds(flat.begin(), flat.end(), {}); }
  bool holds(Flat::const_iterator at, Flat::const_iterator end, const Places& chosen) const {
    if (at == end) return true;
    const auto leaves = leaves_.find(at->first);
    if (leaves == leaves_.end()) return absence_accepted(at->second) && holds(std::next(at), end, chosen);
    for (const Leaf& leaf : leaves->second) {
      if (std::ranges::none_of(at->second, [&](const json::value& one) { return accepts(one, leaf.value); })) continue;
      Places together = chosen;
      const bool fits = std::ranges::all_of(
          leaf.places, [&](const auto& place) { return together.insert(place).first->second == place.second; });
      if (fits && holds(std::next(at), end, together)) return true;
    }
    return false;
  }

  std::map<std::string, std::vector<Leaf>> leaves_;
  int lists_ = 0;
};

/// Random patterns and events over few names and few values, so that they meet.
class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  json::value event(int depth = 0) {
    const int kind = below(depth < 3 ? 10 : 6);
    if (depth > 0 && kind < 6) return leaf();
    if (depth > 0 && kind < 8) {
      json::array list;
      for (int n = below(4); n > 0; --n) list.push_back(event(depth + 1));
      return list;
    }
    json::object object;
    for (int n = below(4) + (depth == 0 ? 2 : 0); n > 0; --n) object[name()] = event(depth + 1);
    return object;
  }
  json::object pattern(int depth = 0) {
    json::object object;
    for (int n = 1 + below(3); n > 0; --n) {
      const int kind = below(10);
      if (kind < 2 && depth < 2) {
        json::array branches;
        for (int b = 2 + below(2); b > 0; --b) branches.push_back(pattern(depth + 1));
        object["$or"] = branches;
      } else if (kind < 5 && depth < 3) {
        object[name()] = pattern(depth + 1);
      } else {
        json::array list;
        for (int a = 1 + below(2); a > 0; --a) list.push_back(alternative());
        object[name()] = list;
      }
    }
    return object;
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  std::string name() { return below(12) == 0 ? std::string("a.b") : std::string(1, static_cast<char>('a' + below(3))); }
  json::value leaf() {
    switch (below(9)) {
      case 0:
        return nullptr;
      case 1:
        return true;
      case 2:
        return false;
      case 3:
        return below(3);
      case 4:
        return below(3) + 0.5;
      case 5:
        return json::value(json::string(std::to_string(below(3))));
      default:
        return json::value(json::string(kTexts[below(5)]));
    }
  }
  json::value alternative() {
    const json::string text = kTexts[below(5)];
    switch (below(10)) {
      case 0:
        return {{"prefix", text}};
      case 1:
        return {{"suffix", text}};
      case 2:
        return {{"anything-but", text}};
      case 3:
        return {{"anything-but", below(3)}};
      case 4:
        return {{"anything-but", json::array{text, kTexts[below(5)]}}};
      case 5:
        return {{"numeric", json::array{">=", below(3), "<", 3 + below(2)}}};
      case 6:
        return {{"exists", below(2) == 0}};
      default:
        return leaf();
    }
  }

  static constexpr const char* kTexts[] = {"x", "xy", "y", "", "yx"};
  std::mt19937 random_;
};

TEST(RuleIndex, AgreesWithTheNaiveMatcher) {
  std::size_t matched = 0, asked = 0;
  for (unsigned seed = 1; seed <= 25; ++seed) {
    Maker maker(seed);
    std::vector<json::value> sources;
    std::vector<EventPattern> patterns;
    for (int i = 0; i < 60; ++i) {
      sources.push_back(maker.pattern());
      auto compiled = EventPattern::compile(json::serialize(sources.back()));
      ASSERT_TRUE(compiled) << json::serialize(sources.back()) << ": " << compiled.error().message;
      patterns.push_back(std::move(*compiled));
    }
    std::vector<const EventPattern*> all;
    for (const EventPattern& pattern : patterns) all.push_back(&pattern);
    const RuleIndex index(all);
    for (int i = 0; i < 60; ++i) {
      const json::value event = maker.event();
      const auto text = JsonText::parse(json::serialize(event)).value();
      std::vector<std::size_t> want;
      for (std::size_t rule = 0; rule < sources.size(); ++rule) {
        if (Naive::matches(sources[rule], event)) want.push_back(rule);
      }
      const std::vector<std::size_t> got = index.match(text);
      matched += want.size();
      asked += sources.size();
      if (got == want) continue;
      std::vector<std::size_t> differ;
      std::ranges::set_symmetric_difference(got, want, std::back_inserter(differ));
      FAIL() << "seed " << seed << "\npattern " << json::serialize(sources[differ[0]]) << "\nevent " << text.text()
             << "\nrule " << differ[0];
    }
  }
  EXPECT_GT(matched, asked / 50) << "the generator makes too few matches to prove anything";
}

TEST(RuleIndex, ARuleOfManyIsFoundOnce) {
  std::vector<EventPattern> patterns;
  for (int i = 0; i < 1'000; ++i) {
    patterns.push_back(
        EventPattern::compile(fmt::format(R"({{"source":["shop"],"detail":{{"customer":["c{}"]}}}})", i)).value());
  }
  std::vector<const EventPattern*> all;
  for (const EventPattern& pattern : patterns) all.push_back(&pattern);
  const RuleIndex index(all);
  const auto event = JsonText::parse(R"({"source":"shop","detail":{"customer":["c7","c7","c999"]}})").value();
  EXPECT_EQ(index.match(event), (std::vector<std::size_t>{7, 999}));
}

TEST(RuleIndex, ManyElementsStayCheap) {
  // Six conditions over one list of 2 000 elements that no single element fulfils.
  const auto pattern = EventPattern::compile(R"({"i":{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[2]}})").value();
  std::string text = "{\"i\":[";
  for (int i = 0; i < 2'000; ++i)
    text += std::string(i ? "," : "") + (i % 2 ? R"({"a":1,"b":1,"c":1,"d":1,"e":1,"f":1})" : R"({"f":2})");
  const auto event = JsonText::parse(text + "]}").value();
  EXPECT_TRUE(RuleIndex({&pattern}).match(event).empty());
}

}  // namespace
}  // namespace hf::wire::eventbridge
