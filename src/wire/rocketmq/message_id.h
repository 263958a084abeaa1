#pragma once

/// Message ids as RocketMQ 5 clients make them: 34 upper-case hex digits of 17 bytes, big endian.
///
///   at  size
///    0     1  version    1
///    1     6  machine    a MAC address; ours is random, since containers share addresses
///    7     2  process    low bytes of the process id; ours random as well
///    9     4  seconds    since 2021-01-01T00:00:00Z
///   13     4  sequence   counts up from 0 in each maker
///
/// To a broker the id is opaque; Apache's uses it as the transaction id too, so it must be unique.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace hf::wire::rocketmq {

class MessageIdMaker {
 public:
  /// `instance`: machine and process, eight random bytes drawn once per maker.
  explicit MessageIdMaker(std::array<std::uint8_t, 8> instance) : instance_(instance) {}
  /// Unique per maker for 2^32 ids, whatever the clock does.
  std::string next(WallTime now);

 private:
  std::array<std::uint8_t, 8> instance_;
  std::uint32_t sequence_ = 0;
};

}  // namespace hf::wire::rocketmq
