#include "app/config_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1  // the library of the package is built with exceptions
#include <toml++/toml.h>

#include <cstdlib>

#include "sys/files.h"

namespace hf::app {
namespace {

Error wrong_type(std::string_view wanted) { return Error{Code::invalid, fmt::format("must be {}", wanted)}; }

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

Result<ConfigValue> to_value(const toml::node& node) {
  if (const auto* flag = node.as_boolean()) return ConfigValue{flag->get()};
  if (const auto* number = node.as_integer()) return ConfigValue{number->get()};
  if (const auto* number = node.as_floating_point()) return ConfigValue{number->get()};
  if (const auto* text = node.as_string()) return ConfigValue{text->get()};
  if (const auto* array = node.as_array()) {
    std::vector<std::string> items;
    for (const toml::node& item : *array) {
      if (item.as_string() == nullptr) return Error{Code::invalid, "lists hold texts"};
      items.push_back(item.as_string()->get());
    }
    return ConfigValue{std::move(items)};
  }
  return Error{Code::invalid, "dates and nested tables mean nothing here"};
}

/// A secret never stands in the configuration itself: "env:NAME", "file:/path" (without its last newline), or "".
Result<std::string> read_secret(const std::string& reference) {
  if (reference.empty()) return std::string();
  if (reference.starts_with("env:")) {
    const char* value = std::getenv(reference.c_str() + 4);
    if (value == nullptr) return Error{Code::invalid, "the environment has no " + reference.substr(4)};
    return std::string(value);
  }
  if (reference.starts_with("file:")) {
    sys::RealFileSystem files;
    HF_TRY(std::string content, sys::read_file(files, reference.substr(5), 64 << 10));
    if (content.ends_with('\n')) content.pop_back();
    return content;
  }
  return wrong_type("\"env:NAME\" or \"file:/path\": a secret never stands in the configuration itself");
}

}  // namespace

ConfigSection& ConfigSection::add(ConfigField field) {
  fields_.push_back(std::move(field));
  return *this;
}

ConfigSection& ConfigSection::add_integer(std::string key, std::int64_t min, std::int64_t max, std::string sentence,
                                          std::function<void(std::int64_t)> set, std::function<std::int64_t()> get) {
  ConfigField field;
  field.key = std::move(key);
  field.type = fmt::format("integer {} … {}", min, max);
  field.sentence = std::move(sentence);
  field.set = [=](const ConfigValue& value) -> Result<void> {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number == nullptr) return wrong_type("an integer");
    if (*number < min || *number > max) return Error{Code::invalid, fmt::format("must be {} … {}", min, max)};
    set(*number);
    return ok();
  };
  field.print = [get = std::move(get)] { return std::to_string(get()); };
  return add(std::move(field));
}

ConfigSection& ConfigSection::real(std::string key, double& target, double min, double max, std::string sentence) {
  ConfigField field;
  field.key = std::move(key);
  field.type = fmt::format("number {} … {}", min, max);
  field.sentence = std::move(sentence);
  field.set = [&target, min, max](const ConfigValue& value) -> Result<void> {
    double number = 0;
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
      number = static_cast<double>(*whole);
    } else if (const auto* fraction = std::get_if<double>(&value)) {
      number = *fraction;
    } else {
      return wrong_type("a number");
    }
    if (!(number >= min && number <= max)) return Error{Code::invalid, fmt::format("must be {} … {}", min, max)};
    target = number;
    return ok();
  };
  field.print = [&target] { return fmt::format("{}", target); };
  return add(std::move(field));
}

ConfigSection& ConfigSection::duration(std::string key, Duration& target, Duration min, Duration max,
                                       std::string sentence) {
  const std::string bounds = fmt::format("{} … {}", format_duration(min), format_duration(max));
  ConfigField field;
  field.key = std::move(key);
  field.type = "duration " + bounds;
  field.sentence = std::move(sentence);
  field.set = [&target, min, max, bounds](const ConfigValue& value) -> Result<void> {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return wrong_type("a duration in quotes: \"5s\", \"250ms\"");
    HF_TRY(const Duration parsed, parse_duration(*text));
    if (parsed < min || parsed > max) return Error{Code::invalid, "must be " + bounds};
    target = parsed;
    return ok();
  };
  field.print = [&target] { return quoted(format_duration(target)); };
  return add(std::move(field));
}

ConfigSection& ConfigSection::text(std::string key, std::string& target, std::string sentence) {
  ConfigField field;
  field.key = std::move(key);
  field.type = "text";
  field.sentence = std::move(sentence);
  field.set = [&target](const ConfigValue& value) -> Result<void> {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return wrong_type("a text in quotes");
    target = *text;
    return ok();
  };
  field.print = [&target] { return quoted(target); };
  return add(std::move(field));
}

ConfigSection& ConfigSection::secret(std::string key, std::string& target, std::string sentence) {
  ConfigField field;
  field.key = std::move(key);
  field.type = "secret: \"env:NAME\" or \"file:/path\"";
  field.sentence = std::move(sentence);
  field.set = [&target](const ConfigValue& value) -> Result<void> {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return wrong_type("a text in quotes");
    HF_TRY(target, read_secret(*text));
    return ok();
  };
  field.print = [&target] { return std::string(target.empty() ? "\"\"" : "\"***\""); };
  return add(std::move(field));
}

ConfigSection& ConfigSection::choice(std::string key, std::string& target, std::vector<std::string> choices,
                                     std::string sentence) {
  const std::string all = fmt::format("{}", fmt::join(choices, ", "));
  text(std::move(key), target, std::move(sentence));
  ConfigField& field = fields_.back();
  field.type = "one of " + all;
  field.set = [&target, all, choices = std::move(choices)](const ConfigValue& value) -> Result<void> {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || std::find(choices.begin(), choices.end(), *text) == choices.end()) {
      return wrong_type("one of " + all);
    }
    target = *text;
    return ok();
  };
  return *this;
}

ConfigSection& ConfigSection::flag(std::string key, bool& target, std::string sentence) {
  ConfigField field;
  field.key = std::move(key);
  field.type = "true or false";
  field.sentence = std::move(sentence);
  field.set = [&target](const ConfigValue& value) -> Result<void> {
    const auto* flag = std::get_if<bool>(&value);
    if (flag == nullptr) return wrong_type("true or false");
    target = *flag;
    return ok();
  };
  field.print = [&target] { return std::string(target ? "true" : "false"); };
  return add(std::move(field));
}

ConfigSection& ConfigSection::list(std::string key, std::vector<std::string>& target, std::string sentence) {
  ConfigField field;
  field.key = std::move(key);
  field.type = "list of texts";
  field.sentence = std::move(sentence);
  field.set = [&target](const ConfigValue& value) -> Result<void> {
    const auto* items = std::get_if<std::vector<std::string>>(&value);
    if (items == nullptr) return wrong_type("a list of texts");
    target = *items;
    return ok();
  };
  field.print = [&target] {
    std::string out = "[";
    for (const std::string& item : target) out += (out.size() > 1 ? ", " : "") + quoted(item);
    return out + "]";
  };
  return add(std::move(field));
}

ConfigSection& ConfigSchema::section(std::string name, std::string sentence) {
  return *sections_.emplace_back(std::make_unique<ConfigSection>(std::move(name), std::move(sentence)));
}

const ConfigField* ConfigSchema::find(std::string_view section, std::string_view key) const {
  for (const auto& candidate : sections_) {
    if (candidate->name() != section) continue;
    for (const ConfigField& field : candidate->fields()) {
      if (field.key == key) return &field;
    }
  }
  return nullptr;
}

Result<void> ConfigSchema::apply_toml(std::string_view text, const std::string& origin) {
  const toml::parse_result parsed = toml::parse(text, origin);
  if (!parsed) {
    return Error{Code::invalid, fmt::format("{}:{}: {}", origin, parsed.error().source().begin.line,
                                            std::string(parsed.error().description()))};
  }
  std::vector<std::pair<const ConfigField*, ConfigValue>> values;
  for (const auto& [section_key, node] : parsed.table()) {
    const std::string_view section = section_key.str();
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return Error{Code::invalid,
                   fmt::format("{}:{}: '{}' stands outside any [section]", origin, node.source().begin.line, section)};
    }
    for (const auto& [key, value_node] : *table) {
      const std::string at = fmt::format("{}:{}: {}.{}", origin, value_node.source().begin.line, section, key.str());
      const ConfigField* field = find(section, key.str());
      if (field == nullptr) {
        return Error{Code::invalid, at + ": there is no such key; `holdfast config explain` lists all"};
      }
      auto value = to_value(value_node);
      if (!value) return value.error().with_context(at);
      values.emplace_back(field, std::move(*value));
    }
    const bool known =
        std::any_of(sections_.begin(), sections_.end(), [&](const auto& s) { return s->name() == section; });
    if (!known) return Error{Code::invalid, fmt::format("{}: there is no section [{}]", origin, section)};
  }
  for (auto& [field, value] : values) {
    if (auto set = field->set(value); !set) {
      return set.error().with_context(fmt::format("{}: {}", origin, field->key));
    }
  }
  return ok();
}

Result<void> ConfigSchema::apply_assignment(std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  const std::size_t dot = assignment.substr(0, equals).find('.');
  if (equals == std::string_view::npos || dot == std::string_view::npos) {
    return Error{Code::invalid, fmt::format("'{}' is not section.key=value", assignment)};
  }
  const std::string_view section = assignment.substr(0, dot);
  const std::string_view key = assignment.substr(dot + 1, equals - dot - 1);
  const std::string_view value = assignment.substr(equals + 1);
  const auto as_toml = [&](std::string_view v) { return fmt::format("[{}]\n{} = {}\n", section, key, v); };
  const bool is_toml = static_cast<bool>(toml::parse(as_toml(value)));
  return apply_toml(as_toml(is_toml ? std::string(value) : quoted(value)), "--set");
}

std::string ConfigSchema::explain() const {
  std::string out;
  for (const auto& section : sections_) {
    out += fmt::format("# {}\n[{}]\n", section->sentence(), section->name());
    for (const ConfigField& field : section->fields()) {
      out += fmt::format("# {} ({})\n{} = {}\n", field.sentence, field.type, field.key, field.print());
    }
    out += '\n';
  }
  return out;
}

}  // namespace hf::app
