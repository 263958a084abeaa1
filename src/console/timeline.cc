#include "console/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/time.h"
#include "console/table.h"

namespace hf::console {

void Timeline::add(std::int64_t at_us, std::string where, std::string what, std::string detail) {
  hops_.push_back({at_us, std::move(where), std::move(what), std::move(detail)});
}

std::vector<Hop> Timeline::hops() const {
  struct Placed {
    std::int64_t at_us;
    std::size_t place;
  };
  std::vector<Placed> order;
  for (const Hop& hop : hops_) {
    // A hop without a time keeps its place behind the one it was added after.
    const std::int64_t at = hop.at_us != 0 || order.empty() ? hop.at_us : order.back().at_us;
    order.push_back({at, order.size()});
  }
  std::ranges::sort(order, {}, [](const Placed& p) { return std::pair(p.at_us, p.place); });
  std::vector<Hop> sorted;
  for (const Placed& placed : order) {
    sorted.push_back(hops_[placed.place]);
    sorted.back().at_us = placed.at_us;
  }
  return sorted;
}

std::string Timeline::print() const {
  const std::vector<Hop> sorted = hops();
  Table table({"time (UTC)", "ms", "where", "what", ""});
  for (const Hop& hop : sorted) {
    const std::string time = to_rfc3339(wall_from_us(hop.at_us));
    const double since_ms = static_cast<double>(hop.at_us - sorted.front().at_us) / 1000.0;
    table.row({time.substr(11, 15), fmt::format("{:.3f}", since_ms), hop.where, hop.what, hop.detail});
  }
  return table.print();
}

boost::json::value Timeline::to_json() const {
  boost::json::array all;
  for (const Hop& hop : hops()) {
    all.push_back({{"at", to_rfc3339(wall_from_us(hop.at_us))},
                   {"at_us", hop.at_us},
                   {"where", hop.where},
                   {"what", hop.what},
                   {"detail", hop.detail}});
  }
  return all;
}

}  // namespace hf::console
