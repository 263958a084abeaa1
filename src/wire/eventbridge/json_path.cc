#include "wire/eventbridge/json_path.h"

#include <charconv>

namespace hf::wire::eventbridge {
namespace {

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}
Error bad(std::string_view path) { return Error{Code::invalid, "not a JSON path: " + std::string(path)}; }

}  // namespace

Result<JsonPath> JsonPath::parse(std::string_view path) {
  if (path.empty() || path.front() != '$') return bad(path);
  JsonPath out;
  std::size_t at = 1;
  while (at < path.size()) {
    if (path[at] == '.') {
      std::size_t end = at + 1;
      while (end < path.size() && name_character(path[end])) ++end;
      if (end == at + 1) return bad(path);
      out.steps_.emplace_back(std::string(path.substr(at + 1, end - at - 1)));
      at = end;
      continue;
    }
    const std::size_t close = path.find(']', at);
    if (path[at] != '[' || close == std::string_view::npos) return bad(path);
    const std::string_view inside = path.substr(at + 1, close - at - 1);
    if (inside == "*") {
      out.steps_.emplace_back(All{});
      out.many_ = true;
    } else {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(inside.data(), inside.data() + inside.size(), index);
      if (error != std::errc{} || end != inside.data() + inside.size()) return bad(path);
      out.steps_.emplace_back(index);
    }
    at = close + 1;
  }
  return out;
}

void JsonPath::collect(const JsonText& document, JsonText::Node node, std::size_t step,
                       std::vector<JsonText::Node>& found) const {
  if (step == steps_.size()) return found.push_back(node);
  if (const auto* name = std::get_if<std::string>(&steps_[step])) {
    if (const JsonText::Node member = document.find(node, *name)) collect(document, member, step + 1, found);
    return;
  }
  if (document.kind(node) != JsonKind::array) return;
  const auto* wanted = std::get_if<std::size_t>(&steps_[step]);
  std::size_t index = 0;
  document.for_each_child(node, [&](JsonText::Node child) {
    if (!wanted || *wanted == index) collect(document, child, step + 1, found);
    ++index;
  });
}

std::optional<Selected> JsonPath::select(const JsonText& document) const {
  std::vector<JsonText::Node> found;
  collect(document, JsonText::root(), 0, found);
  if (found.empty()) return std::nullopt;
  if (!many_) {
    const JsonText::Node node = found.front();
    return Selected{document.kind(node), std::string(document.raw(node)), std::string(document.content(node))};
  }
  std::string list = "[";
  for (const JsonText::Node node : found) {
    if (list.size() > 1) list += ',';
    list += document.raw(node);
  }
  list += ']';
  return Selected{JsonKind::array, list, list};
}

}  // namespace hf::wire::eventbridge
