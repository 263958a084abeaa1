#pragma once

/// Ids of orders: 24 hexadecimal digits.

#include <string>

#include "base/time.h"
#include "sys/random.h"

namespace hf::shop {

/// 12 digits of time, 12 of chance: unique, and orders of one moment lie together in the table's index.
inline std::string new_order_id(WallTime now, sys::Random& random) {
  const std::uint64_t us = static_cast<std::uint64_t>(to_us(now)) >> 4 & 0xffff'ffff'ffff;
  return fmt::format("{:012x}{}", us, random.hex(6));
}

}  // namespace hf::shop
