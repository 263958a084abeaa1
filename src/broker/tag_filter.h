#pragma once

/// TAG filter expressions: `*` or nothing is everything, else tags separated by `||` (docs/protocols/rocketmq-grpc.md).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hf::broker {

/// java.lang.String.hashCode over UTF-16 units, as RocketMQ's consume queues keep it.
std::uint32_t java_hash(std::string_view utf8);

class TagFilter {
 public:
  static TagFilter parse(std::string_view expression);
  bool all() const { return tags_.empty(); }
  /// By hash, before the body is read: false is final, true is to be confirmed by matches().
  bool may_match(std::uint32_t tag_hash) const;
  /// nullopt: the message has no tag, and matches only the filter for everything.
  bool matches(std::optional<std::string_view> tag) const;

 private:
  std::vector<std::string> tags_;
  std::vector<std::uint32_t> hashes_;
};

}  // namespace hf::broker
