#include "wire/eventbridge/json_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/bytes.h"

namespace hf::wire::eventbridge {

/// Recursive descent over the input; copies what is not white space into the minified text.
class JsonTextParser {
 public:
  explicit JsonTextParser(std::string_view in) : in_(in) {
    out_.text_.reserve(in.size());
    out_.nodes_.reserve(in.size() / 16 + 4);
  }

  Result<JsonText> run() {
    skip_space();
    if (!value({}, 0)) return error();
    skip_space();
    if (at_ != in_.size()) {
      fail("unexpected text after the value");
      return error();
    }
    return std::move(out_);
  }

 private:
  using Node = JsonText::Node;
  using Slice = JsonText::Slice;

  Error error() const { return Error{Code::invalid, fmt::format("{} at position {}", why_, at_)}; }
  bool fail(const char* why) {
    why_ = why;
    return false;
  }
  bool done() const { return at_ >= in_.size(); }
  char peek() const { return done() ? '\0' : in_[at_]; }
  void skip_space() {
    while (!done() && (in_[at_] == ' ' || in_[at_] == '\n' || in_[at_] == '\t' || in_[at_] == '\r')) ++at_;
  }
  void copy(std::size_t n) {
    out_.text_.append(in_.substr(at_, n));
    at_ += n;
  }
  std::uint32_t size() const { return static_cast<std::uint32_t>(out_.text_.size()); }

  bool value(Slice key, int depth) {
    if (depth > JsonText::kDepthMax) return fail("nested too deeply");
    const Node self = static_cast<Node>(out_.nodes_.size());
    JsonText::Value& fresh = out_.nodes_.emplace_back();
    fresh.key = key;
    fresh.begin = size();
    if (!body(self, depth)) return false;
    JsonText::Value& node = out_.nodes_[self];
    node.end = size();
    node.next = static_cast<Node>(out_.nodes_.size());
    if (node.kind != JsonKind::string) node.content = {node.begin, node.end - node.begin, false};
    return true;
  }

  bool body(Node self, int depth) {
    switch (peek()) {
      case '{':
        return object(self, depth);
      case '[':
        return array(self, depth);
      case '"': {
        out_.nodes_[self].kind = JsonKind::string;
        Slice content;
        if (!string(content)) return false;
        out_.nodes_[self].content = content;
        return true;
      }
      case 't':
        return literal(self, "true", JsonKind::true_);
      case 'f':
        return literal(self, "false", JsonKind::false_);
      case 'n':
        return literal(self, "null", JsonKind::null);
      default:
        return number(self);
    }
  }

  bool literal(Node self, std::string_view word, JsonKind kind) {
    if (in_.substr(at_, word.size()) != word) return fail("expected a JSON value");
    out_.nodes_[self].kind = kind;
    copy(word.size());
    return true;
  }

  std::size_t digits(std::size_t from) const {
    while (from < in_.size() && in_[from] >= '0' && in_[from] <= '9') ++from;
    return from;
  }
  bool number(Node self) {
    std::size_t end = at_;
    if (peek() == '-') ++end;
    const std::size_t first = end;
    end = digits(end);
    if (end == first) return fail("expected a JSON value");
    if (in_[first] == '0' && end - first > 1) return fail("a number may not begin with 0");
    if (end < in_.size() && in_[end] == '.') {
      const std::size_t fraction = ++end;
      end = digits(end);
      if (end == fraction) return fail("digits expected after the decimal point");
    }
    if (end < in_.size() && (in_[end] == 'e' || in_[end] == 'E')) {
      ++end;
      if (end < in_.size() && (in_[end] == '+' || in_[end] == '-')) ++end;
      const std::size_t exponent = end;
      end = digits(end);
      if (end == exponent) return fail("digits expected in the exponent");
    }
    out_.nodes_[self].kind = JsonKind::number;
    copy(end - at_);
    return true;
  }

  bool object(Node self, int depth) {
    out_.nodes_[self].kind = JsonKind::object;
    copy(1);
    skip_space();
    if (peek() == '}') {
      copy(1);
      return true;
    }
    std::size_t members = 0;
    for (;; ++members) {
      skip_space();
      if (peek() != '"') return fail("a member name in double quotes expected");
      Slice key;
      if (!string(key)) return false;
      skip_space();
      if (peek() != ':') return fail("':' expected");
      copy(1);
      skip_space();
      if (!value(key, depth + 1)) return false;
      skip_space();
      const char c = peek();
      if (c != ',' && c != '}') return fail("',' or '}' expected");
      copy(1);
      if (c == '}') break;
    }
    hide_overridden(self, members + 1);
    return true;
  }

  bool array(Node self, int depth) {
    out_.nodes_[self].kind = JsonKind::array;
    copy(1);
    skip_space();
    if (peek() == ']') {
      copy(1);
      return true;
    }
    for (;;) {
      skip_space();
      if (!value({}, depth + 1)) return false;
      skip_space();
      const char c = peek();
      if (c != ',' && c != ']') return fail("',' or ']' expected");
      copy(1);
      if (c == ']') return true;
    }
  }

  /// Copies the string with its quotes and tells where its content is, decoded if it has escapes.
  bool string(Slice& content) {
    std::size_t end = at_ + 1;
    bool escapes = false;
    while (end < in_.size() && in_[end] != '"') {
      if (static_cast<unsigned char>(in_[end]) < 0x20) return at_ = end, fail("control character in a string");
      if (in_[end] == '\\') escapes = true, ++end;
      ++end;
    }
    if (end >= in_.size()) return fail("string without an end");
    const std::string_view inside = in_.substr(at_ + 1, end - at_ - 1);
    if (escapes) {
      content = {static_cast<std::uint32_t>(out_.decoded_.size()), 0, true};
      if (!decode(inside)) return false;
      content.size = static_cast<std::uint32_t>(out_.decoded_.size()) - content.at;
    } else {
      content = {size() + 1, static_cast<std::uint32_t>(inside.size()), false};
    }
    copy(end - at_ + 1);
    return true;
  }

  bool decode(std::string_view in) {
    std::string& out = out_.decoded_;
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (in[i] != '\\') {
        out += in[i];
        continue;
      }
      switch (in[++i]) {
        case '"':
          out += '"';
          break;
        case '\\':
          out += '\\';
          break;
        case '/':
          out += '/';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'u':
          if (!decode_unicode(in, i)) return false;
          break;
        default:
          return fail("unknown escape in a string");
      }
    }
    return true;
  }

  /// `i` stands on the 'u' and ends on the last hex digit.
  bool decode_unicode(std::string_view in, std::size_t& i) {
    std::uint32_t code = 0;
    if (!hex4(in, i + 1, code)) return fail("four hex digits expected after \\u");
    i += 4;
    if (code >= 0xD800 && code < 0xDC00) {
      std::uint32_t low = 0;
      if (in.substr(i + 1, 2) != "\\u" || !hex4(in, i + 3, low) || low < 0xDC00 || low > 0xDFFF) {
        return fail("half of a surrogate pair");
      }
      i += 6;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      return fail("half of a surrogate pair");
    }
    append_utf8(code);
    return true;
  }
  static bool hex4(std::string_view in, std::size_t at, std::uint32_t& code) {
    if (at + 4 > in.size()) return false;
    code = 0;
    for (const char c : in.substr(at, 4)) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return false;
      code = code * 16 + static_cast<std::uint32_t>(digit);
    }
    return true;
  }
  void append_utf8(std::uint32_t code) {
    std::string& out = out_.decoded_;
    const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (code < 0x80) return put(code);
    if (code < 0x800) return put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
    if (code < 0x10000) return put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
    put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F)), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  }

  /// Marks every member that a later one of the same name overrides. Its `next` is set, the object's own not yet.
  void hide_overridden(Node self, std::size_t members) {
    if (members < 2) return;
    if (members <= kFewMembers) return hide_overridden_of_few(self);
    std::vector<Node> by_name;
    by_name.reserve(members);
    const Node end = static_cast<Node>(out_.nodes_.size());
    for (Node child = self + 1; child != end; child = out_.nodes_[child].next) by_name.push_back(child);
    std::sort(by_name.begin(), by_name.end(), [this](Node a, Node b) {
      const auto order = out_.key(a).compare(out_.key(b));
      return order != 0 ? order < 0 : a < b;
    });
    for (std::size_t i = 0; i + 1 < by_name.size(); ++i) {
      if (out_.key(by_name[i]) == out_.key(by_name[i + 1])) out_.nodes_[by_name[i]].hidden = true;
    }
  }

  /// Comparing all pairs beats sorting while there are few.
  static constexpr std::size_t kFewMembers = 16;
  void hide_overridden_of_few(Node self) {
    const Node end = static_cast<Node>(out_.nodes_.size());
    for (Node child = self + 1; child != end; child = out_.nodes_[child].next) {
      const std::string_view name = out_.key(child);
      for (Node later = out_.nodes_[child].next; later != end; later = out_.nodes_[later].next) {
        if (out_.nodes_[later].key.size == name.size() && out_.key(later) == name) out_.nodes_[child].hidden = true;
      }
    }
  }

  std::string_view in_;
  std::size_t at_ = 0;
  const char* why_ = "";
  JsonText out_;
};

Result<JsonText> JsonText::parse(std::string_view text) {
  if (text.size() > kBytesMax) return Error{Code::invalid, "JSON text is too large"};
  if (!is_utf8(text)) return Error{Code::invalid, "JSON text is not UTF-8"};
  return JsonTextParser(text).run();
}

JsonText::Node JsonText::find(Node n, std::string_view name) const {
  if (kind(n) != JsonKind::object) return 0;
  for (Node child = n + 1; child != next(n); child = next(child)) {
    if (!hidden(child) && key(child) == name) return child;
  }
  return 0;
}

void append_json_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  append_json_escaped(out, text);
  out += '"';
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace hf::wire::eventbridge
