#include "wire/eventbridge/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "wire/eventbridge/json_text.h"
#include "wire/eventbridge/value.h"

namespace hf::wire::eventbridge {
namespace {

using Node = JsonText::Node;
using Op = Alternative::Op;

Error refuse(std::string why) { return Error{Code::invalid, std::move(why)}; }

/// Words that may not be field names inside $or: operators, and those the engine keeps for later.
constexpr std::array kReservedInsideOr = std::to_array<std::string_view>({"exactly",
                                                                          "equals-ignore-case",
                                                                          "prefix",
                                                                          "suffix",
                                                                          "anything-but",
                                                                          "exists",
                                                                          "wildcard",
                                                                          "numeric",
                                                                          "cidr",
                                                                          "=",
                                                                          "<",
                                                                          "<=",
                                                                          ">",
                                                                          ">=",
                                                                          "regex",
                                                                          "not-wildcard",
                                                                          "not-equals-ignore-case",
                                                                          "date-after",
                                                                          "date-on-or-after",
                                                                          "date-before",
                                                                          "date-on-or-before",
                                                                          "in-date-range",
                                                                          "ip-address-in-range",
                                                                          "ip-address-not-in-range"});

std::string key_of(const JsonText& json, Node node) {
  ValueKey key;
  key.assign(json.kind(node), json.content(node));
  return key.str();
}

/// Reads one value list entry.
class AlternativeReader {
 public:
  explicit AlternativeReader(const JsonText& json) : json_(json) {}

  Result<Alternative> read(Node node) const {
    switch (json_.kind(node)) {
      case JsonKind::array:
        return refuse("Match value must be String, number, true, false, or null");
      case JsonKind::object:
        return expression(node);
      default: {
        Alternative out;
        out.text = key_of(json_, node);
        return out;
      }
    }
  }

 private:
  Result<Alternative> expression(Node node) const {
    Node operand = 0;
    std::size_t members = 0;
    json_.for_each_child(node, [&](Node child) { operand = child, ++members; });
    if (members == 0) return refuse("Match expression name not found");
    const std::string_view name = json_.key(operand);
    if (members > 1) return refuse("Only one key allowed in match expression");
    if (name == "exactly") return text_operator(Op::equals, "exact", operand);
    if (name == "prefix") return text_operator(Op::prefix, "prefix", operand);
    if (name == "suffix") return text_operator(Op::suffix, "suffix", operand);
    if (name == "anything-but") return anything_but(operand);
    if (name == "numeric") return numeric(operand);
    if (name == "exists") return exists(operand);
    if (name == "wildcard" || name == "cidr" || name == "equals-ignore-case") return not_yet(name);
    return refuse(fmt::format("Unrecognized match type {}", name));
  }

  static Error not_yet(std::string_view name) {
    return refuse(fmt::format("Match type {} is not supported yet", name));
  }

  Result<Alternative> text_operator(Op op, std::string_view name, Node operand) const {
    if (json_.kind(operand) == JsonKind::object) {
      const Node inner = operand + 1;
      if (json_.next(operand) == inner) return refuse(fmt::format("{} match pattern must be a string", name));
      if (op != Op::equals && json_.key(inner) == "equals-ignore-case")
        return not_yet(fmt::format("{}/equals-ignore-case", name));
      return refuse(fmt::format("Unsupported {} pattern: {}", name, json_.key(inner)));
    }
    if (json_.kind(operand) != JsonKind::string) return refuse(fmt::format("{} match pattern must be a string", name));
    Alternative out;
    out.op = op;
    out.text = op == Op::equals ? key_of(json_, operand) : std::string(json_.content(operand));
    return out;
  }

  Result<Alternative> anything_but(Node operand) const {
    Alternative out;
    out.op = Op::anything_but;
    switch (json_.kind(operand)) {
      case JsonKind::string:
      case JsonKind::number:
        out.keys.push_back(key_of(json_, operand));
        return out;
      case JsonKind::array:
        return anything_but_list(operand, std::move(out));
      case JsonKind::object: {
        const Node inner = operand + 1;
        if (json_.next(operand) == inner) return refuse("Anything-But expression name not found");
        const std::string_view name = json_.key(inner);
        if (name == "prefix" || name == "suffix" || name == "wildcard" || name == "equals-ignore-case") {
          return not_yet(fmt::format("anything-but/{}", name));
        }
        return refuse(fmt::format("Unsupported anything-but pattern: {}", name));
      }
      default:
        return refuse("Value of anything-but must be an array or single string/number value.");
    }
  }
  Result<Alternative> anything_but_list(Node list, Alternative out) const {
    bool strings = false, numbers = false, others = false;
    json_.for_each_child(list, [&](Node child) {
      if (json_.kind(child) == JsonKind::string) {
        strings = true;
      } else if (json_.kind(child) == JsonKind::number) {
        numbers = true;
      } else {
        others = true;
        return;
      }
      out.keys.push_back(key_of(json_, child));
    });
    if (others) return refuse("Inside anything but list, start|null|boolean is not supported.");
    if (strings == numbers) {
      return refuse("Inside anything but list, either all values are number or string, mixed type is not supported");
    }
    return out;
  }

  Result<Alternative> exists(Node operand) const {
    const JsonKind kind = json_.kind(operand);
    if (kind != JsonKind::true_ && kind != JsonKind::false_)
      return refuse("exists match pattern must be either true or false.");
    Alternative out;
    out.op = Op::exists;
    out.exists = kind == JsonKind::true_;
    return out;
  }

  /// ["=", n] · [">" or ">=", n] · ["<" or "<=", n] · lower bound, then upper bound.
  Result<Alternative> numeric(Node operand) const {
    if (json_.kind(operand) != JsonKind::array) return refuse("Value of numeric must be an array.");
    std::vector<Node> items;
    json_.for_each_child(operand, [&](Node child) { items.push_back(child); });
    if (items.empty() || json_.kind(items[0]) != JsonKind::string) {
      return refuse(fmt::format("Invalid member in numeric match: {}", items.empty() ? "]" : json_.raw(items[0])));
    }
    const std::string_view op = json_.content(items[0]);
    if (op != "=" && op != "<" && op != "<=" && op != ">" && op != ">=") {
      return refuse(fmt::format("Unrecognized numeric range operator: {}", op));
    }
    HF_TRY(const double first, bound(items, 1, op));
    Alternative out;
    out.op = Op::numeric;
    if (op[0] != '>') {
      if (items.size() > 2) return refuse("Too many terms in numeric range expression");
      out.upper = Alternative::Bound{first, op != "<"};
      if (op == "=") out.lower = out.upper;
      return out;
    }
    out.lower = Alternative::Bound{first, op == ">="};
    if (items.size() == 2) return out;
    const std::string_view second_op = json_.kind(items[2]) == JsonKind::string ? json_.content(items[2]) : "";
    if (second_op != "<" && second_op != "<=")
      return refuse(fmt::format("Bad numeric range operator: {}", json_.raw(items[2])));
    HF_TRY(const double second, bound(items, 3, second_op));
    if (items.size() > 4) return refuse("Too many terms in numeric range expression");
    if (!(first < second)) return refuse("Bottom must be less than top");
    out.upper = Alternative::Bound{second, second_op == "<="};
    return out;
  }
  Result<double> bound(const std::vector<Node>& items, std::size_t at, std::string_view op) const {
    if (at >= items.size() || json_.kind(items[at]) != JsonKind::number) {
      return refuse(fmt::format("Value of {} must be numeric", op == "=" ? "equals" : op));
    }
    const std::optional<double> value = exact_number(json_.content(items[at]));
    if (!value) return refuse(fmt::format("Bad value in numeric range: {}", json_.raw(items[at])));
    return *value;
  }

  const JsonText& json_;
};

/// Walks the pattern in document order and multiplies $or out.
class Expander {
 public:
  explicit Expander(const JsonText& json) : json_(json), alternatives_(json) {}

  Result<void> object(Node node, const std::string& path, bool inside_or, std::vector<Conjunction>& into) {
    if (json_.next(node) == node + 1) return refuse("Empty objects are not allowed");
    for (Node child = node + 1; child != json_.next(node); child = json_.next(child)) {
      if (json_.hidden(child)) continue;
      HF_TRY(member(child, path, inside_or, into));
    }
    return ok();
  }

 private:
  Result<void> member(Node node, const std::string& path, bool inside_or, std::vector<Conjunction>& into) {
    const std::string_view name = json_.key(node);
    if (name == "$or") return any_of(node, path, into);
    if (inside_or && std::ranges::find(kReservedInsideOr, name) != kReservedInsideOr.end()) {
      return refuse(fmt::format("{} is Ruler reserved fieldName which cannot be used inside $or.", name));
    }
    const std::string here = path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
    if (json_.kind(node) == JsonKind::object) return object(node, here, inside_or, into);
    if (json_.kind(node) != JsonKind::array) return refuse(fmt::format("\"{}\" must be an object or an array", name));
    Condition condition{here, {}};
    for (Node child = node + 1; child != json_.next(node); child = json_.next(child)) {
      HF_TRY(Alternative one, alternatives_.read(child));
      condition.alternatives.push_back(std::move(one));
    }
    if (condition.alternatives.empty()) return refuse("Empty arrays are not allowed");
    for (Conjunction& conjunction : into) set(conjunction, condition);
    return ok();
  }

  /// A field that is set again is overwritten: the later one in the document counts.
  static void set(Conjunction& conjunction, const Condition& condition) {
    const auto same = std::ranges::find(conjunction, condition.path, &Condition::path);
    if (same != conjunction.end()) {
      same->alternatives = condition.alternatives;
    } else {
      conjunction.push_back(condition);
    }
  }

  Result<void> any_of(Node node, const std::string& path, std::vector<Conjunction>& into) {
    if (json_.kind(node) != JsonKind::array) return refuse("It must be an Array followed with $or.");
    std::vector<Node> branches;
    json_.for_each_child(node, [&](Node child) { branches.push_back(child); });
    for (const Node branch : branches) {
      if (json_.kind(branch) != JsonKind::object)
        return refuse("Only JSON object is allowed in array of $or relationship.");
    }
    if (branches.size() < 2) return refuse("There must have at least 2 Objects in $or relationship.");
    if (into.size() * branches.size() > EventPattern::kCombinationsMax) return too_many();
    std::vector<Conjunction> product;
    for (const Node branch : branches) {
      std::vector<Conjunction> one = into;
      HF_TRY(object(branch, path, true, one));
      std::ranges::move(one, std::back_inserter(product));
      if (product.size() > EventPattern::kCombinationsMax) return too_many();
    }
    into = std::move(product);
    return ok();
  }
  static Error too_many() {
    return refuse(
        fmt::format("More than {} combinations of $or branches are not allowed", EventPattern::kCombinationsMax));
  }

  const JsonText& json_;
  AlternativeReader alternatives_;
};

}  // namespace

Result<EventPattern> EventPattern::compile(std::string_view text) {
  if (text.size() > kTextMax) return refuse(fmt::format("Event pattern is longer than {} characters", kTextMax));
  HF_TRY(const JsonText json, JsonText::parse(text));
  if (json.kind(JsonText::root()) != JsonKind::object) return refuse("Filter is not an object");
  EventPattern out;
  out.conjunctions_.emplace_back();
  HF_TRY(Expander(json).object(JsonText::root(), "", false, out.conjunctions_));
  return out;
}

}  // namespace hf::wire::eventbridge
