#include "shop/two_phase/samples.h"

#include "shop/item_list.h"
#include "shop/two_phase/requests.h"

namespace hf::shop::two_phase {
namespace {

Result<SampleAccount> parse_account(std::string_view entry) {
  const std::vector<std::string_view> parts = split_entry(entry);
  if (parts.size() != 2) return Error{Code::invalid, "an account is \"card;balance\""};
  SampleAccount account{.card_no = std::string(parts[0])};
  if (parts[0].empty() || parts[0].size() > kCardMax) {
    return Error{Code::invalid, fmt::format("the card must have 1 … {} bytes", kCardMax)};
  }
  HF_TRY(account.amount, parse_number(parts[1], 0, kIntMax, "the balance"));
  return account;
}

Result<SampleStock> parse_item(std::string_view entry) {
  const std::vector<std::string_view> parts = split_entry(entry);
  if (parts.size() != 3) return Error{Code::invalid, "stock is \"item;pieces;unit price\""};
  SampleStock stock;
  HF_TRY(stock.item_id, parse_number(parts[0], 1, kIntMax, "the item"));
  HF_TRY(stock.amount, parse_number(parts[1], 0, kIntMax, "pieces"));
  HF_TRY(stock.unit_price, parse_number(parts[2], 0, kIntMax, "the unit price"));
  return stock;
}

template <class T, class Parse, class Same>
Result<std::vector<T>> parse_all(const std::vector<std::string>& entries, Parse parse, Same same) {
  std::vector<T> all;
  for (const std::string& entry : entries) {
    Result<T> one = parse(entry);
    if (!one) return one.error().with_context(fmt::format("sample \"{}\"", entry));
    const bool twice = std::any_of(all.begin(), all.end(), [&](const T& other) { return same(other, *one); });
    if (twice) return Error{Code::invalid, fmt::format("sample \"{}\" is listed twice", entry)};
    all.push_back(std::move(*one));
  }
  return all;
}

}  // namespace

Result<std::vector<SampleAccount>> parse_accounts(const std::vector<std::string>& entries) {
  return parse_all<SampleAccount>(entries, parse_account,
                                  [](const auto& a, const auto& b) { return a.card_no == b.card_no; });
}

Result<std::vector<SampleStock>> parse_stock(const std::vector<std::string>& entries) {
  return parse_all<SampleStock>(entries, parse_item,
                                [](const auto& a, const auto& b) { return a.item_id == b.item_id; });
}

}  // namespace hf::shop::two_phase
