#pragma once

/// CRC-32C (Castagnoli), as iSCSI and ext4 use it; by the SSE4.2 instruction where the processor has it.

#include <cstdint>

#include "base/bytes.h"

namespace hf {

/// `seed` continues an earlier call: crc32c(b, crc32c(a)) == crc32c(a followed by b).
std::uint32_t crc32c(Bytes bytes, std::uint32_t seed = 0);

/// The table version, for processors without the instruction and as the judge in tests.
std::uint32_t crc32c_by_table(Bytes bytes, std::uint32_t seed = 0);

}  // namespace hf
