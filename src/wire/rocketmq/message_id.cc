#include "wire/rocketmq/message_id.h"

#include <algorithm>

#include "base/bytes.h"

namespace hf::wire::rocketmq {
namespace {

constexpr std::int64_t kEpochSeconds = 1'609'459'200;  // 2021-01-01T00:00:00Z

void put_big_endian(std::uint8_t* at, std::uint32_t v) {
  for (int i = 3; i >= 0; --i, v >>= 8) at[i] = static_cast<std::uint8_t>(v);
}

}  // namespace

std::string MessageIdMaker::next(WallTime now) {
  std::array<std::uint8_t, 17> id{};
  id[0] = 1;
  std::ranges::copy(instance_, id.begin() + 1);
  put_big_endian(&id[9], static_cast<std::uint32_t>(to_us(now) / 1'000'000 - kEpochSeconds));
  put_big_endian(&id[13], sequence_++);
  return hex(id, HexCase::upper);
}

}  // namespace hf::wire::rocketmq
