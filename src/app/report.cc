#include "app/report.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "console/table.h"

namespace hf::app {
namespace {

namespace json = boost::json;

using Counts = std::map<std::string, std::int64_t>;

std::string counts_text(const Counts& counts) {
  std::string out;
  for (const auto& [name, count] : counts) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, name);
  return out.empty() ? "none" : out;
}

json::object counts_json(const Counts& counts) {
  json::object out;
  for (const auto& [name, count] : counts) out[name] = count;
  return out;
}

}  // namespace

std::int64_t percentile(const std::vector<std::int64_t>& sorted, double fraction) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(fraction * static_cast<double>(sorted.size() - 1))];
}

std::string percentile_text(const std::vector<std::int64_t>& sorted_us, double fraction) {
  if (sorted_us.empty()) return "–";
  return fmt::format("{:.1f} ms", static_cast<double>(percentile(sorted_us, fraction)) / 1000.0);
}

std::string print_report(const reconcile::Report& report) {
  console::Table table({"what", "figure"});
  table.row({"orders confirmed", std::to_string(report.confirmed)});
  table.row({"orders refused", counts_text(report.refused)});
  table.row({"messages", fmt::format("{}; checked back {}", counts_text(report.messages), report.checked_back)});
  table.row({"deliveries", counts_text(report.deliveries)});
  table.row({"notifications seen", counts_text(report.notifications)});
  table.row({"duplicates seen by customers", std::to_string(report.duplicates)});
  table.row({"notified without order", std::to_string(report.without_order)});
  table.row({"orders without notification", std::to_string(report.without_notification)});
  if (report.mode == reconcile::Mode::two_phase) {
    table.row({"stock", fmt::format("opening {} = available {} + reserved {} + sold {}", report.stock_initial,
                                    report.stock_avail, report.stock_held, report.stock_sold)});
    table.row({"money", fmt::format("opening {} = left {} + held {} + paid {}", report.money_opening, report.money_left,
                                    report.money_held, report.money_paid)});
  } else {
    table.row({"stock", fmt::format("initial {} = available {} + sold {}", report.stock_initial, report.stock_avail,
                                    report.stock_sold)});
  }
  table.row({"order → phone p50 / p99", fmt::format("{} / {}", percentile_text(report.latency_us, 0.5),
                                                    percentile_text(report.latency_us, 0.99))});
  table.row({"on their way", std::to_string(report.open)});
  std::string out = table.print();
  for (const std::string& example : report.open_examples) out += "  " + example + "\n";
  if (report.findings.empty()) return out + "\nclean: no findings\n";
  console::Table findings({"promise", "finding", "id", ""});
  for (const reconcile::Finding& finding : report.findings) {
    findings.row(
        {std::string(promise_of(finding.kind)), std::string(to_string(finding.kind)), finding.id, finding.text});
  }
  return out + fmt::format("\n{} findings\n", report.findings.size()) + findings.print();
}

std::string report_json(const reconcile::Report& report) {
  json::array findings;
  for (const reconcile::Finding& finding : report.findings) {
    findings.push_back({{"promise", promise_of(finding.kind)},
                        {"class", to_string(finding.kind)},
                        {"needs_a_human", needs_a_human(finding.kind)},
                        {"id", finding.id},
                        {"text", finding.text}});
  }
  json::array examples;
  for (const std::string& example : report.open_examples) examples.emplace_back(example);
  const json::object body{{"clean", report.clean()},
                          {"findings", std::move(findings)},
                          {"open", report.open},
                          {"open_examples", std::move(examples)},
                          {"confirmed", report.confirmed},
                          {"refused", counts_json(report.refused)},
                          {"messages", counts_json(report.messages)},
                          {"checked_back", report.checked_back},
                          {"deliveries", counts_json(report.deliveries)},
                          {"notifications", counts_json(report.notifications)},
                          {"duplicates", report.duplicates},
                          {"notified_without_order", report.without_order},
                          {"orders_without_notification", report.without_notification},
                          {"stock",
                           {{"initial", report.stock_initial},
                            {"available", report.stock_avail},
                            {"reserved", report.stock_held},
                            {"sold", report.stock_sold}}},
                          {"money",
                           {{"opening", report.money_opening},
                            {"left", report.money_left},
                            {"held", report.money_held},
                            {"paid", report.money_paid}}},
                          {"order_to_phone_us",
                           {{"count", report.latency_us.size()},
                            {"p50", percentile(report.latency_us, 0.5)},
                            {"p99", percentile(report.latency_us, 0.99)}}}};
  return json::serialize(body) + "\n";
}

}  // namespace hf::app
