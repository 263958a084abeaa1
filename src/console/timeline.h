#pragma once

/// One story from many stores: hops with times, in order. Pure.

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace hf::console {

struct Hop {
  std::int64_t at_us = 0;  ///< 0: the time is not known; stands where it was added
  std::string where;       ///< "shop", "broker", "router", "notifier", "phone"
  std::string what;        ///< "half message stored"
  std::string detail;      ///< ids, codes
};

class Timeline {
 public:
  void add(std::int64_t at_us, std::string where, std::string what, std::string detail = "");
  bool empty() const { return hops_.empty(); }
  /// Sorted by time; hops of one time stay in the order they were added.
  std::vector<Hop> hops() const;
  /// A line per hop: time of day, milliseconds since the first hop, where, what, detail.
  std::string print() const;
  boost::json::value to_json() const;

 private:
  std::vector<Hop> hops_;
};

}  // namespace hf::console
