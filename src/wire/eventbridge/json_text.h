#pragma once

/// A JSON text taken apart without being changed: number spelling, member order and raw slices stay, so that what a
/// target receives is what the sender wrote (`1.10`, `1e2`, integers beyond 2^53). A DOM of values cannot do that.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::wire::eventbridge {

enum class JsonKind : std::uint8_t { null, true_, false_, number, string, array, object };

/// The minified text and a flat, pre-order list of its values. Node 0 is the root; the children of `n` are n+1, then
/// next(child) … until next(n). A value, movable; safe to read from any thread.
class JsonText {
 public:
  using Node = std::uint32_t;
  static constexpr int kDepthMax = 1'000;              ///< PutEvents' documented bound
  static constexpr std::size_t kBytesMax = 64u << 20;  ///< offsets are 32 bits; requests are far smaller

  /// Error: invalid, with the position. A member that is repeated in its object stays in the text, but is skipped by
  /// every look-up except for its last occurrence (that is what the target's parser will see).
  static Result<JsonText> parse(std::string_view text);

  const std::string& text() const { return text_; }
  static constexpr Node root() { return 0; }
  JsonKind kind(Node n) const { return nodes_[n].kind; }
  /// The member name, decoded; "" in arrays and at the root.
  std::string_view key(Node n) const { return view(nodes_[n].key); }
  /// A string's content, decoded; a number's spelling; otherwise the raw text.
  std::string_view content(Node n) const { return view(nodes_[n].content); }
  /// The minified JSON of this value alone.
  std::string_view raw(Node n) const {
    return std::string_view(text_).substr(nodes_[n].begin, nodes_[n].end - nodes_[n].begin);
  }
  Node next(Node n) const { return nodes_[n].next; }
  /// A member that a later one of the same name overrides.
  bool hidden(Node n) const { return nodes_[n].hidden; }
  /// Calls `each(child)` for every child that is not hidden.
  template <class Each>
  void for_each_child(Node n, Each each) const {
    for (Node child = n + 1; child != next(n); child = next(child)) {
      if (!hidden(child)) each(child);
    }
  }
  /// The member `name` of object `n`, or 0 (the root is nobody's child).
  Node find(Node n, std::string_view name) const;

 private:
  friend class JsonTextParser;
  struct Slice {
    std::uint32_t at = 0, size = 0;
    bool decoded = false;  ///< in decoded_, not in text_
  };
  struct Value {
    JsonKind kind = JsonKind::null;
    bool hidden = false;
    std::uint32_t begin = 0, end = 0;
    Node next = 0;
    Slice key, content;
  };
  std::string_view view(Slice s) const { return std::string_view(s.decoded ? decoded_ : text_).substr(s.at, s.size); }

  std::string text_;
  std::string decoded_;  ///< strings that contain escapes, decoded, one after another
  std::vector<Value> nodes_;
};

/// Appends `text` as a JSON string, with quotes. `text` is UTF-8.
void append_json_string(std::string& out, std::string_view text);
/// The same without the quotes.
void append_json_escaped(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

}  // namespace hf::wire::eventbridge
