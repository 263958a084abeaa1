#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

namespace hf::bench {
namespace {

namespace json = boost::json;

std::string number(double value) {
  if (value >= 1000) return fmt::format("{:.0f}", value);
  return value >= 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

std::string row(const Figure& f) {
  const auto [low, high] = std::minmax_element(f.rounds.begin(), f.rounds.end());
  const std::string limit = f.limits.empty() ? "" : number(median(f.limits));
  const std::string part = f.limits.empty() ? "" : fmt::format("{:.0f} %", efficiency(f) * 100);
  std::string target;
  if (f.target) {
    target = fmt::format("{} {} {}", f.better == Better::higher ? "at least" : "below", number(*f.target),
                         met(f).value_or(false) ? "met" : "MISSED");
  }
  return fmt::format("{:<46} {:>10} {:<9} {:>21} {:>10} {:>6}  {}", f.name, number(median(f.rounds)), f.unit,
                     fmt::format("[{} … {}]", number(*low), number(*high)), limit, part, target);
}

json::array array_of(const std::vector<double>& values) {
  json::array out;
  for (const double value : values) out.push_back(value);
  return out;
}

json::object object_of(const Figure& f) {
  const auto [low, high] = std::minmax_element(f.rounds.begin(), f.rounds.end());
  json::object out{{"name", f.name},
                   {"unit", f.unit},
                   {"better", f.better == Better::higher ? "higher" : "lower"},
                   {"median", median(f.rounds)},
                   {"min", *low},
                   {"max", *high},
                   {"rounds", array_of(f.rounds)}};
  if (!f.limits.empty()) {
    out["limits"] = array_of(f.limits);
    out["efficiency"] = efficiency(f);
  }
  if (f.target) {
    out["target"] = *f.target;
    out["met"] = met(f).value_or(false);
  }
  return out;
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(std::floor(q * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

double efficiency(const Figure& figure) {
  const double value = median(figure.rounds), limit = median(figure.limits);
  if (value <= 0 || limit <= 0) return 0;
  return figure.better == Better::higher ? value / limit : limit / value;
}

std::optional<bool> met(const Figure& figure) {
  if (!figure.target) return std::nullopt;
  const double value = median(figure.rounds);
  return figure.better == Better::higher ? value >= *figure.target : value < *figure.target;
}

void Report::add(const Sample& sample) {
  auto found = std::find_if(figures_.begin(), figures_.end(), [&](const Figure& f) { return f.name == sample.name; });
  if (found == figures_.end()) {
    figures_.push_back({sample.name, sample.unit, sample.better, sample.target, {}, {}});
    found = figures_.end() - 1;
  }
  found->rounds.push_back(sample.value);
  if (sample.limit > 0) found->limits.push_back(sample.limit);
}

std::string Report::table() const {
  std::string out = fmt::format("{:<46} {:>10} {:<9} {:>21} {:>10} {:>6}  {}\n", "figure", "median", "unit", "[range]",
                                "limit", "of it", "target");
  for (const Figure& figure : figures_) out += row(figure) + "\n";
  return out;
}

std::string heading(const Context& c) {
  return fmt::format(
      "holdfast {} ({}), {}\n{}, {} cores, {:.1f} GiB, Linux {}, {} on {}\n"
      "{} rounds, {:.1f} s a line; every answer waits for fdatasync; load average {:.2f} before, {:.2f} after\n"
      "limit: what disk and loopback of the same round would allow, were all else free\n",
      c.version, c.commit, c.date, c.cpu, c.cores, c.memory_gib, c.kernel, c.file_system, c.folder, c.rounds, c.seconds,
      c.load_before, c.load_after);
}

std::string to_json(const Context& c, const Report& report) {
  json::array figures;
  for (const Figure& figure : report.figures()) figures.push_back(object_of(figure));
  const json::object machine{{"cpu", c.cpu},
                             {"cores", c.cores},
                             {"memory_gib", c.memory_gib},
                             {"kernel", c.kernel},
                             {"file_system", c.file_system},
                             {"load_average", {{"before", c.load_before}, {"after", c.load_after}}}};
  const json::object settings{{"rounds", c.rounds},
                              {"seconds_per_line", c.seconds},
                              {"folder", c.folder},
                              {"backlog_messages", c.backlog},
                              {"durability", "fdatasync before every answer"}};
  const json::object all{{"product", "holdfast"}, {"version", c.version}, {"commit", c.commit}, {"date", c.date},
                         {"machine", machine},    {"settings", settings}, {"figures", figures}};
  return json::serialize(all) + "\n";
}

}  // namespace hf::bench
