#include <fmt/format.h>

#include <ctime>
#include <random>

#include "../rule_shapes.h"
#include "suites.h"
#include "wire/eventbridge/rule_index.h"

namespace hf::bench {
namespace {

using wire::eventbridge::EventPattern;
using wire::eventbridge::JsonText;
using wire::eventbridge::RuleIndex;

double processor_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

Result<double> events_per_second(int rules, double seconds) {
  std::vector<EventPattern> patterns;
  for (int i = 0; i < rules; ++i) {
    HF_TRY(EventPattern pattern, EventPattern::compile(rule("mixed", i)));
    patterns.push_back(std::move(pattern));
  }
  std::vector<const EventPattern*> all;
  for (const EventPattern& pattern : patterns) all.push_back(&pattern);
  const RuleIndex index(all);
  std::mt19937 random(1);
  std::vector<std::string> events;
  for (int i = 0; i < 512; ++i) events.push_back(event(random, rules));
  std::size_t asked = 0, matched = 0;
  const double begin = processor_seconds();
  double elapsed = 0;
  for (; elapsed < seconds; elapsed = processor_seconds() - begin) {
    for (const std::string& text : events) {
      HF_TRY(const JsonText parsed, JsonText::parse(text));
      matched += index.match(parsed).size();
    }
    asked += events.size();
  }
  if (matched == 0) return Error{Code::internal, "no event matched a rule"};
  return static_cast<double>(asked) / elapsed;
}

}  // namespace

Result<void> measure_matching(const Plan& plan, Report& report) {
  for (const int rules : {1, 100, 1'000}) {
    HF_TRY(const double rate, events_per_second(rules, plan.seconds / 2));
    report.add({fmt::format("matching, {} rule{}", rules, rules == 1 ? "" : "s"), "events/s", Better::higher, rate});
  }
  return ok();
}

}  // namespace hf::bench
