#include "wire/eventbridge/input.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hf::wire::eventbridge {
namespace {

constexpr std::array kPredefined =
    std::to_array<std::string_view>({"aws.events.rule-arn", "aws.events.rule-name", "aws.events.event.ingestion-time",
                                     "aws.events.event", "aws.events.event.json"});

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}
bool placeholder_character(char c) { return name_character(c) || c == '.'; }  // <aws.events.rule-name>

Selected text_value(std::string_view text) { return {JsonKind::string, json_string(text), std::string(text)}; }
Selected object_value(std::string json) { return {JsonKind::object, json, json}; }

/// <aws.events.event>: the event without its detail, `detail-type` spelled `detailType`, in the service's order.
std::string event_without_detail(const JsonText& event) {
  std::string out = "{";
  for (const std::string_view name :
       {"id", "account", "detail-type", "time", "source", "region", "resources", "version"}) {
    const JsonText::Node node = event.find(JsonText::root(), name);
    if (!node) continue;
    if (out.size() > 1) out += ',';
    append_json_string(out, name == "detail-type" ? "detailType" : name);
    out += ':';
    out += event.raw(node);
  }
  return out + '}';
}

}  // namespace

Result<InputTransformer> InputTransformer::compile(const std::map<std::string, std::string>& paths,
                                                   std::string_view text, std::string_view target_id) {
  if (text.empty() || text.size() > kTemplateMax) {
    return Error{Code::invalid,
                 fmt::format("InputTemplate for target {} must have 1 to {} characters.", target_id, kTemplateMax)};
  }
  InputTransformer out;
  for (const auto& [name, path] : paths) {
    if (name.empty() || !std::ranges::all_of(name, name_character)) {  // so `aws.` cannot be defined
      return Error{Code::invalid,
                   fmt::format("InputPathsMap for target {} contains invalid name {}.", target_id, name)};
    }
    HF_TRY(JsonPath parsed, JsonPath::parse(path));
    out.paths_.emplace(name, std::move(parsed));
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  out.string_template_ = first != std::string_view::npos && text[first] == '"';
  std::string literal;
  Where where = Where::bare;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\' && where == Where::quoted && at + 1 < text.size()) {
      literal += c;
      literal += text[++at];
      continue;
    }
    if (c == '"') where = where == Where::bare ? Where::quoted : Where::bare;
    std::size_t end = at + 1;
    if (c == '<') {
      while (end < text.size() && placeholder_character(text[end])) ++end;
    }
    if (c != '<' || end == at + 1 || end == text.size() || text[end] != '>') {
      literal += c;
      continue;
    }
    const std::string name(text.substr(at + 1, end - at - 1));
    if (!out.paths_.contains(name) && std::ranges::find(kPredefined, name) == kPredefined.end()) {
      return Error{Code::invalid,
                   fmt::format("InputTemplate for target {} contains invalid placeholder {}.", target_id, name)};
    }
    out.segments_.emplace_back(std::move(literal));
    literal.clear();
    out.segments_.emplace_back(Placeholder{name, where});
    at = end;
  }
  out.segments_.emplace_back(std::move(literal));
  return out;
}

std::optional<Selected> InputTransformer::value(const std::string& name, const InputContext& context) const {
  if (const auto path = paths_.find(name); path != paths_.end()) return path->second.select(context.event);
  if (name == "aws.events.rule-arn") return text_value(context.rule_arn);
  if (name == "aws.events.rule-name") return text_value(context.rule_name);
  if (name == "aws.events.event.ingestion-time") return text_value(context.ingestion_time);
  if (name == "aws.events.event") return object_value(event_without_detail(context.event));
  return object_value(context.event.text());
}

Result<void> InputTransformer::insert(std::string& out, const Placeholder& placeholder,
                                      const InputContext& context) const {
  const std::optional<Selected> found = value(placeholder.name, context);
  if (placeholder.where == Where::bare) {
    out += found ? found->json : "\"\"";
    return ok();
  }
  if (!found) return ok();
  const bool nested = found->kind == JsonKind::object || found->kind == JsonKind::array;
  if (nested && !string_template_) {
    return Error{Code::invalid, fmt::format("<{}> is an object or a list and stands inside quotes", placeholder.name)};
  }
  if (nested) {
    std::ranges::copy_if(found->json, std::back_inserter(out), [](char c) { return c != '"'; });
  } else {
    append_json_escaped(out, found->text);
  }
  return ok();
}

Result<std::string> InputTransformer::render(const InputContext& context) const {
  std::string out;
  for (const Segment& segment : segments_) {
    if (const auto* literal = std::get_if<std::string>(&segment)) {
      out += *literal;
    } else {
      HF_TRY(insert(out, std::get<Placeholder>(segment), context));
    }
  }
  if (string_template_) return out;
  if (const Result<JsonText> parsed = JsonText::parse(out); !parsed) {
    return parsed.error().with_context("the filled InputTemplate is not JSON");
  }
  return out;
}

Result<std::string> TargetInput::body(const InputContext& context) const {
  if (const auto* text = std::get_if<std::string>(&source_)) return *text;
  if (const auto* transformer = std::get_if<InputTransformer>(&source_)) return transformer->render(context);
  if (const auto* path = std::get_if<JsonPath>(&source_)) {
    const std::optional<Selected> found = path->select(context.event);
    if (!found) return Error{Code::invalid, "InputPath finds nothing in this event"};
    return found->json;
  }
  return context.event.text();
}

}  // namespace hf::wire::eventbridge
