#pragma once

/// The path language of InputPath, InputPathsMap and dynamic HttpParameters: `$`, then `.name` (letters, digits, `_`,
/// `-`), `[n]` and `[*]`. No filters, slices, functions (EventBridge user guide, "input transformation").

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "wire/eventbridge/json_text.h"

namespace hf::wire::eventbridge {

/// What a path found: `json` is its text, spelled as in the event; `text` the same for people: a string without quotes
/// and escapes.
struct Selected {
  JsonKind kind = JsonKind::null;
  std::string json;
  std::string text;
};

class JsonPath {
 public:
  /// Error: invalid.
  static Result<JsonPath> parse(std::string_view path);
  /// nullopt: nothing there. A path with `[*]` gives the list of what it finds.
  std::optional<Selected> select(const JsonText& document) const;

 private:
  struct All {};
  using Step = std::variant<std::string, std::size_t, All>;
  void collect(const JsonText& document, JsonText::Node node, std::size_t step,
               std::vector<JsonText::Node>& found) const;

  std::vector<Step> steps_;
  bool many_ = false;
};

}  // namespace hf::wire::eventbridge
