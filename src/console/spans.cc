#include "console/spans.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>

#include "console/json_view.h"
#include "console/table.h"

namespace hf::console {
namespace {

namespace json = boost::json;

constexpr std::int64_t kBarWidth = 40;

std::string bar(const Span& span, std::int64_t first, std::int64_t last) {
  const std::int64_t whole = std::max<std::int64_t>(last - first, 1);
  const std::int64_t from = (span.begun_us - first) * kBarWidth / whole;
  const std::int64_t to = std::max(from + 1, (span.ended_us - first) * kBarWidth / whole);
  return std::string(static_cast<std::size_t>(from), ' ') + std::string(static_cast<std::size_t>(to - from), '=');
}

/// Which step of a story ends the one that began it.
std::string_view begun_by(std::string_view what) {
  if (what == "vote" || what == "silent") return "prepare";
  if (what == "acknowledged" || what == "heuristic" || what == "given-up") return "notify";
  return {};
}

}  // namespace

std::vector<Span> spans_of_story(const json::value& story) {
  std::vector<Span> spans;
  std::map<std::string, std::size_t> open;  // "prepare payment" → its span
  for (const json::value& step : array_of(story, "story")) {
    const std::string what = text_of(step, "what"), who = text_of(step, "participant");
    const std::int64_t at = integer_of(step, "at_us");
    if (what == "call") {
      spans.push_back({"shop", who + " " + text_of(step, "detail"), at, integer_of(step, "until_us")});
    } else if (what == "prepare" || what == "notify") {
      open[what + " " + who] = spans.size();
      spans.push_back({"coordinator", what + " " + who, at, at});
    } else if (const auto found = open.find(fmt::format("{} {}", begun_by(what), who)); found != open.end()) {
      spans[found->second].ended_us = at;
      open.erase(found);
    }
  }
  return spans;
}

std::vector<Span> spans_of_trace(const json::value& trace) {
  std::vector<Span> spans;
  for (const json::value& step : array_of(trace, "steps")) {
    if (text_of(step, "request").empty()) continue;
    spans.push_back({"shop", text_of(step, "name"), integer_of(step, "begun_at_us"), integer_of(step, "ended_at_us")});
  }
  return spans;
}

bool overlap(const Span& a, const Span& b) { return a.begun_us < b.ended_us && b.begun_us < a.ended_us; }

std::string print(const std::vector<Span>& spans) {
  if (spans.empty()) return "";
  std::vector<Span> sorted = spans;
  std::ranges::sort(sorted, {}, [](const Span& span) { return std::pair(span.begun_us, span.ended_us); });
  const std::int64_t first = sorted.front().begun_us;
  const std::int64_t last = std::ranges::max_element(sorted, {}, &Span::ended_us)->ended_us;
  Table table({"from ms", "to ms", "where", "call", ""});
  for (const Span& span : sorted) {
    const auto ms = [&](std::int64_t at) { return fmt::format("{:.3f}", static_cast<double>(at - first) / 1000.0); };
    table.row({ms(span.begun_us), ms(span.ended_us), span.where, span.what, bar(span, first, last)});
  }
  return table.print();
}

json::value to_json(const std::vector<Span>& spans) {
  json::array out;
  for (const Span& span : spans) {
    json::array beside;
    for (const Span& other : spans) {
      if (&other != &span && overlap(span, other)) beside.push_back(json::string(other.what));
    }
    out.push_back({{"where", span.where},
                   {"what", span.what},
                   {"begun_at_us", span.begun_us},
                   {"ended_at_us", span.ended_us},
                   {"overlaps", std::move(beside)}});
  }
  return out;
}

}  // namespace hf::console
