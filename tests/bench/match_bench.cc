/// Events per second of processor time through the pattern index, envelope parsing included.
///
/// usage: match_bench [seconds per line]

#include <fmt/format.h>

#include <ctime>
#include <random>

#include "rule_shapes.h"
#include "wire/eventbridge/rule_index.h"

namespace hf::wire::eventbridge {
namespace {

void measure(std::string_view shape, int rules, double span) {
  std::vector<EventPattern> patterns;
  for (int i = 0; i < rules; ++i) patterns.push_back(EventPattern::compile(bench::rule(shape, i)).value());
  std::vector<const EventPattern*> all;
  for (const EventPattern& pattern : patterns) all.push_back(&pattern);
  const RuleIndex index(all);
  std::mt19937 random(1);
  std::vector<std::string> events;
  for (int i = 0; i < 512; ++i) events.push_back(bench::event(random, rules));
  const std::clock_t begin = std::clock();  // processor time: the machine may have other work
  std::size_t asked = 0, matched = 0;
  double elapsed = 0;
  while (elapsed < span) {
    for (const std::string& text : events) matched += index.match(JsonText::parse(text).value()).size();
    asked += events.size();
    elapsed = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  }
  fmt::print("{:<10} rules={:<5} events/s={:<10.0f} us/event={:<8.2f} matches/event={:.2f}\n", shape, rules,
             static_cast<double>(asked) / elapsed, elapsed * 1e6 / static_cast<double>(asked),
             static_cast<double>(matched) / static_cast<double>(asked));
}

}  // namespace
}  // namespace hf::wire::eventbridge

int main(int argc, char** argv) {
  const double span = argc > 1 ? std::atof(argv[1]) : 1;
  for (const char* shape : {"customer", "mixed", "list"}) {
    for (const int rules : {1, 100, 1'000}) hf::wire::eventbridge::measure(shape, rules, span);
  }
}
