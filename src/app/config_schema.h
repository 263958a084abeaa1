#pragma once

/// Binds typed configuration structs to a file: every key with its default, unit, bounds and a sentence.
///
///   schema.section("broker", "the message broker")
///       .port("port", config.port, "RocketMQ 5 gRPC, TLS and plaintext")
///       .duration("first_check", config.first_check, 1s, 1h, "age of a half message at its first check-back");
///
/// apply() reads TOML: an unknown key, a wrong type and a value out of bounds are errors that name the key. After an
/// error the structs are half filled: throw them away. Fields must outlive the schema.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace hf::app {

/// What a TOML file can hold for us.
using ConfigValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

struct ConfigField {
  std::string key;
  std::string type;  ///< "duration 1s … 1h", "integer 1 … 100", "text", "true or false", "list of texts"
  std::string sentence;
  std::function<Result<void>(const ConfigValue&)> set;
  std::function<std::string()> print;  ///< as it stands now, in TOML
};

class ConfigSection {
 public:
  ConfigSection(std::string name, std::string sentence) : name_(std::move(name)), sentence_(std::move(sentence)) {}

  template <class N>
    requires std::is_integral_v<N>
  ConfigSection& integer(std::string key, N& field, std::type_identity_t<N> min, std::type_identity_t<N> max,
                         std::string sentence) {
    return add_integer(
        std::move(key), static_cast<std::int64_t>(min), static_cast<std::int64_t>(max), std::move(sentence),
        [&field](std::int64_t value) { field = static_cast<N>(value); },
        [&field] { return static_cast<std::int64_t>(field); });
  }
  ConfigSection& port(std::string key, std::uint16_t& field, std::string sentence) {
    return integer(std::move(key), field, 0, 65535, std::move(sentence) + " (0: any free port)");
  }
  ConfigSection& real(std::string key, double& field, double min, double max, std::string sentence);
  ConfigSection& duration(std::string key, Duration& field, Duration min, Duration max, std::string sentence);
  ConfigSection& text(std::string key, std::string& field, std::string sentence);
  /// Written as "env:NAME" or "file:/path"; printed as "***" by explain.
  ConfigSection& secret(std::string key, std::string& field, std::string sentence);
  ConfigSection& choice(std::string key, std::string& field, std::vector<std::string> choices, std::string sentence);
  ConfigSection& flag(std::string key, bool& field, std::string sentence);
  ConfigSection& list(std::string key, std::vector<std::string>& field, std::string sentence);

  const std::string& name() const { return name_; }
  const std::string& sentence() const { return sentence_; }
  const std::vector<ConfigField>& fields() const { return fields_; }

 private:
  ConfigSection& add_integer(std::string key, std::int64_t min, std::int64_t max, std::string sentence,
                             std::function<void(std::int64_t)> set, std::function<std::int64_t()> get);
  ConfigSection& add(ConfigField field);

  std::string name_, sentence_;
  std::vector<ConfigField> fields_;
};

class ConfigSchema {
 public:
  ConfigSection& section(std::string name, std::string sentence);
  /// Error: invalid, naming `origin`, line and key.
  Result<void> apply_toml(std::string_view text, const std::string& origin);
  /// "section.key=value", value in TOML or bare text: the command line's --set.
  Result<void> apply_assignment(std::string_view assignment);
  /// The whole configuration as commented TOML, as it stands now.
  std::string explain() const;

 private:
  const ConfigField* find(std::string_view section, std::string_view key) const;
  std::vector<std::unique_ptr<ConfigSection>> sections_;
};

}  // namespace hf::app
