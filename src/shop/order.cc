#include "shop/order.h"

namespace hf::shop {

std::string join_channels(const std::vector<std::string>& channels) {
  std::string joined;
  for (const std::string& channel : channels) joined += (joined.empty() ? "" : ",") + channel;
  return joined;
}

std::vector<std::string> split_channels(const std::string& joined) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < joined.size();) {
    const std::size_t end = std::min(joined.find(',', at), joined.size());
    parts.push_back(joined.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

}  // namespace hf::shop
