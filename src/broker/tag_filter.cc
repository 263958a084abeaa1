#include "broker/tag_filter.h"

#include <algorithm>

namespace hf::broker {
namespace {

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };  // as java.lang.String.trim
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Length of the UTF-8 sequence that starts with `lead`; malformed bytes count as one.
std::size_t sequence_size(unsigned char lead) {
  if (lead >= 0xF0) return 4;
  if (lead >= 0xE0) return 3;
  return lead >= 0xC0 ? 2 : 1;
}

}  // namespace

std::uint32_t java_hash(std::string_view utf8) {
  std::uint32_t hash = 0;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const std::size_t size = std::min(sequence_size(lead), utf8.size() - i);
    std::uint32_t point = size == 1 ? lead : lead & (0xFFu >> (size + 1));
    for (std::size_t k = 1; k < size; ++k) point = point << 6 | (static_cast<unsigned char>(utf8[i + k]) & 0x3Fu);
    if (point >= 0x10000) {
      point -= 0x10000;
      hash = hash * 31 + (0xD800 + (point >> 10));
      point = 0xDC00 + (point & 0x3FF);
    }
    hash = hash * 31 + point;
    i += size;
  }
  return hash;
}

TagFilter TagFilter::parse(std::string_view expression) {
  TagFilter filter;
  if (trim(expression) == "*") return filter;
  while (true) {
    const std::size_t bar = expression.find("||");
    const std::string_view tag = trim(expression.substr(0, bar));
    if (!tag.empty()) {
      filter.tags_.emplace_back(tag);
      filter.hashes_.push_back(java_hash(tag));
    }
    if (bar == std::string_view::npos) return filter;
    expression.remove_prefix(bar + 2);
  }
}

bool TagFilter::may_match(std::uint32_t tag_hash) const {
  return all() || std::find(hashes_.begin(), hashes_.end(), tag_hash) != hashes_.end();
}

bool TagFilter::matches(std::optional<std::string_view> tag) const {
  return all() || (tag && std::find(tags_.begin(), tags_.end(), *tag) != tags_.end());
}

}  // namespace hf::broker
