#include "shop/item_list.h"

#include <charconv>

namespace hf::shop {

std::vector<std::string_view> split_entry(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t end = text.find(';', at);
    parts.push_back(text.substr(at, end - at));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

Result<std::int64_t> parse_number(std::string_view text, std::int64_t min, std::int64_t max, std::string_view what) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) {
    return Error{Code::invalid, fmt::format("{} must be an integer {} … {}, not \"{}\"", what, min, max, text)};
  }
  return value;
}

namespace {

Result<Item> parse_item(std::string_view entry) {
  const std::vector<std::string_view> parts = split_entry(entry);
  if (parts.size() != 4) return Error{Code::invalid, "an item is \"id;name;price in minor units;pieces\""};
  Item item;
  HF_TRY(item.id, parse_number(parts[0], 1, INT64_MAX, "the id"));
  item.name = std::string(parts[1]);
  if (item.name.empty() || item.name.size() > 200) return Error{Code::invalid, "the name must have 1 … 200 bytes"};
  HF_TRY(item.price_minor, parse_number(parts[2], 0, kPriceMinorMax, "the price"));
  HF_TRY(item.initial, parse_number(parts[3], 0, 1'000'000'000, "pieces"));
  item.available = item.initial;
  return item;
}

}  // namespace

Result<std::vector<Item>> parse_items(const std::vector<std::string>& entries) {
  std::vector<Item> items;
  for (const std::string& entry : entries) {
    Result<Item> item = parse_item(entry);
    if (!item) return item.error().with_context(fmt::format("item \"{}\"", entry));
    const bool twice = std::any_of(items.begin(), items.end(), [&](const Item& other) { return other.id == item->id; });
    if (twice) return Error{Code::invalid, fmt::format("item {} is listed twice", item->id)};
    items.push_back(std::move(*item));
  }
  return items;
}

}  // namespace hf::shop
