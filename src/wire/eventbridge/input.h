#pragma once

/// What a target is sent: the whole event, a constant, a part of it, or a template filled from it.
///
/// Templates (user guide "input transformation", observed outputs in docs/protocols/eventbridge.md):
///  - JSON template: begins with anything but a double quote. A placeholder outside quotes becomes a JSON value; inside
///    quotes its text. A list or object inside quotes, or a result that is not JSON, is a permanent failure.
///  - string template: every line is a quoted text and stays one; lists and objects lose their quotes.
/// Ours: text that goes inside quotes is escaped, so a quote or line break in a customer's name cannot break the body.

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "wire/eventbridge/json_path.h"
#include "wire/eventbridge/json_text.h"

namespace hf::wire::eventbridge {

/// What the predefined variables are taken from.
struct InputContext {
  const JsonText& event;  ///< the envelope
  std::string_view rule_arn;
  std::string_view rule_name;
  std::string_view ingestion_time;  ///< RFC 3339
};

class InputTransformer {
 public:
  static constexpr std::size_t kTemplateMax = 8'192;
  /// Error: invalid: a bad path or name, or "InputTemplate for target ID contains invalid placeholder NAME."
  static Result<InputTransformer> compile(const std::map<std::string, std::string>& paths, std::string_view text,
                                          std::string_view target_id);
  /// Error: invalid; the delivery can never succeed with this event and template.
  Result<std::string> render(const InputContext& context) const;

 private:
  enum class Where { bare, quoted };
  struct Placeholder {
    std::string name;
    Where where = Where::bare;
  };
  using Segment = std::variant<std::string, Placeholder>;

  std::optional<Selected> value(const std::string& name, const InputContext& context) const;
  Result<void> insert(std::string& out, const Placeholder& placeholder, const InputContext& context) const;

  std::map<std::string, JsonPath> paths_;
  std::vector<Segment> segments_;
  bool string_template_ = false;
};

/// A target's Input, InputPath, InputTransformer or none of them.
class TargetInput {
 public:
  static TargetInput whole_event() { return TargetInput(); }
  static TargetInput constant(std::string json) { return TargetInput(Source(std::move(json))); }
  static TargetInput part(JsonPath path) { return TargetInput(Source(std::move(path))); }
  static TargetInput transformed(InputTransformer transformer) { return TargetInput(Source(std::move(transformer))); }

  /// The body before any conversion. Error: invalid.
  Result<std::string> body(const InputContext& context) const;

 private:
  using Source = std::variant<std::monostate, std::string, JsonPath, InputTransformer>;
  TargetInput() = default;
  explicit TargetInput(Source source) : source_(std::move(source)) {}
  Source source_;
};

}  // namespace hf::wire::eventbridge
