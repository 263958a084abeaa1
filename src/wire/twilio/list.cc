#include "wire/twilio/list.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/bytes.h"
#include "wire/twilio/dates.h"
#include "wire/twilio/json_fields.h"
#include "wire/twilio/route.h"
#include "wire/twilio/sid.h"

namespace hf::wire::twilio {
namespace {

namespace json = boost::json;

constexpr std::size_t kPageSizeMax = 1000;
constexpr std::string_view kTokenPrefix = "PA";

ApiError refusal(int code, std::string message) { return {400, code, std::move(message), {}}; }

std::optional<std::size_t> to_count(std::string_view text) {
  std::size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(count) : std::nullopt;
}

std::string_view items_key(Kind kind) { return kind == Kind::message ? "messages" : "calls"; }
std::string_view date_name(Kind kind) { return kind == Kind::message ? "DateSent" : "StartTime"; }

/// `DateSent`, `DateSent<` (≤) and `DateSent>` (≥): Twilio's names carry the operator.
std::optional<ApiError> read_dates(const Fields& query, ListQuery& out) {
  for (const auto& [name, value] : query) {
    const std::string_view base = date_name(out.kind);
    if (value.empty() || !name.starts_with(base) || name.size() > base.size() + 1) continue;
    const Result<DateSpan> span = parse_filter_date(value);
    if (!span) return refusal(20001, fmt::format("{} is not a valid date", value));
    const char op = name.size() == base.size() ? '=' : name.back();
    if (op != '<') out.sent.from = span->begin;
    if (op != '>') out.sent.until = span->end;
  }
  return std::nullopt;
}

void add(std::string& query, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  query += fmt::format("{}{}={}", query.empty() ? "" : "&", percent_encode(name), percent_encode(value));
}

std::string page_uri(const ListQuery& query, std::string_view account_sid, std::size_t page,
                     std::string_view after_sid) {
  std::string out;
  add(out, "To", query.to);
  add(out, "From", query.sender);
  add(out, "Status", query.status);
  const std::string name(date_name(query.kind));
  if (query.sent.from) add(out, name + ">", to_rfc3339_seconds(*query.sent.from));
  if (query.sent.until) add(out, name + "<", to_rfc3339_seconds(*query.sent.until - std::chrono::seconds(1)));
  add(out, "PageSize", fmt::to_string(query.page_size));
  add(out, "Page", fmt::to_string(page));
  if (!after_sid.empty()) add(out, "PageToken", std::string(kTokenPrefix) + std::string(after_sid));
  return fmt::format("{}?{}", list_path(query.kind, account_sid), out);
}

}  // namespace

Checked<ListQuery> parse_list_query(Kind kind, const Fields& query) {
  ListQuery out;
  out.kind = kind;
  out.to = field(query, "To");
  out.sender = field(query, "From");
  if (kind == Kind::call) out.status = field(query, "Status");
  if (auto refused = read_dates(query, out)) return *refused;
  if (const std::string& size = field(query, "PageSize"); !size.empty()) {
    const auto count = to_count(size);
    if (!count || *count == 0 || *count > kPageSizeMax) return refusal(20007, "Page size must be between 1 and 1000.");
    out.page_size = *count;
  }
  if (const std::string& page = field(query, "Page"); !page.empty()) out.page = to_count(page).value_or(0);
  if (const std::string& token = field(query, "PageToken"); !token.empty()) {
    const bool valid = token.starts_with(kTokenPrefix) &&
                       (kind == Kind::message ? is_message_sid(std::string_view(token).substr(2))
                                              : is_sid(kCallPrefix, std::string_view(token).substr(2)));
    if (!valid) return refusal(21481, "Invalid PageToken.");
    out.after_sid = token.substr(kTokenPrefix.size());
  }
  return out;
}

std::string page_json(const ListQuery& query, std::string_view account_sid, const std::vector<std::string>& items,
                      std::string_view last_sid, bool more) {
  const std::size_t start = query.page * query.page_size;
  json::object rest;
  rest["page"] = query.page;
  rest["page_size"] = query.page_size;
  rest["start"] = start;
  rest["end"] = items.empty() ? start : start + items.size() - 1;
  rest["uri"] = page_uri(query, account_sid, query.page, query.after_sid);
  rest["first_page_uri"] = page_uri(query, account_sid, 0, {});
  rest["previous_page_uri"] = nullptr;  // the token holds one direction; Twilio's own clients only go forward
  rest["next_page_uri"] =
      more ? json::value(page_uri(query, account_sid, query.page + 1, last_sid)) : json::value(nullptr);
  std::string body = fmt::format("{{\"{}\":[", items_key(query.kind));
  for (const std::string& item : items) {
    if (&item != &items.front()) body += ',';
    body += item;
  }
  return body + "]," + json::serialize(rest).substr(1);
}

Result<Page> parse_page(Kind kind, std::string_view text) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed || !parsed.is_object()) return Error{Code::invalid, "a page that is no JSON object"};
  const json::value* items =
      parsed.get_object().if_contains(json::string_view(items_key(kind).data(), items_key(kind).size()));
  if (items == nullptr || !items->is_array()) return Error{Code::invalid, "a page without items"};
  Page page;
  for (const json::value& item : items->get_array()) page.items.push_back(json::serialize(item));
  page.next_page_uri = text_of(parsed.get_object(), "next_page_uri");
  return page;
}

}  // namespace hf::wire::twilio
