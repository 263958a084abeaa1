/// Events per second of processor time through the pattern index, envelope parsing included.
///
/// usage: match_bench [seconds per line]
///
/// Shapes: `customer`: every rule names one customer (exact) and shares source and detail-type · `mixed`: a quarter
/// each exact, prefix, numeric and anything-but on four fields, all sharing the source · `list`: rules on elements of a
/// list.

#include <fmt/format.h>

#include <ctime>
#include <random>

#include "wire/eventbridge/rule_index.h"

namespace hf::wire::eventbridge {
namespace {

std::string rule(std::string_view shape, int i) {
  const std::string head = R"({"source":["ecommerce.orders"],"detail-type":["order.confirmed"],"detail":{)";
  if (shape == "customer") return head + fmt::format(R"("customer":["c{}"]}}}})", i);
  if (shape == "list")
    return head + fmt::format(R"("items":{{"sku":["s{}"],"quantity":[{{"numeric":[">",{}]}}]}}}}}})", i, i % 5);
  switch (i % 4) {
    case 0:
      return head + fmt::format(R"("customer":["c{}"]}}}})", i);
    case 1:
      return head + fmt::format(R"("city":[{{"prefix":"city{}"}}]}}}})", i);
    case 2:
      return head + fmt::format(R"("amount":[{{"numeric":[">=",{},"<",{}]}}]}}}})", i * 10, i * 10 + 10);
    default:
      return head + fmt::format(R"("status":[{{"anything-but":["new","paid"]}}],"shop":["h{}"]}}}})", i);
  }
}

std::string event(std::mt19937& random, int rules) {
  const auto pick = [&] { return random() % static_cast<unsigned>(rules * 2); };
  return fmt::format(
      R"({{"version":"0","id":"6f8a1c1e-7d3b-4b7a-9d0e-3f2a51c7e001","detail-type":"order.confirmed","source":"ecommerce.orders",)"
      R"("account":"000000000000","time":"2026-11-21T09:00:00Z","region":"us-east-1","resources":[],"detail":{{"order_id":"o-{}",)"
      R"("customer":"c{}","city":"city{}-north","amount":{},"status":"new","shop":"h{}","channel":["sms","voice"],"items":[)"
      R"({{"sku":"s{}","quantity":2,"price_minor":1999}},{{"sku":"s{}","quantity":7,"price_minor":250}}],)"
      R"("note":"{}"}}}})",
      pick(), pick(), pick(), pick() * 10, pick(), pick(), pick(), std::string(400, 'x'));
}

void measure(std::string_view shape, int rules, double span) {
  std::vector<EventPattern> patterns;
  for (int i = 0; i < rules; ++i) patterns.push_back(EventPattern::compile(rule(shape, i)).value());
  std::vector<const EventPattern*> all;
  for (const EventPattern& pattern : patterns) all.push_back(&pattern);
  const RuleIndex index(all);
  std::mt19937 random(1);
  std::vector<std::string> events;
  for (int i = 0; i < 512; ++i) events.push_back(event(random, rules));
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
