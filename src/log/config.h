#pragma once

/// How a message log is laid out and bounded.

#include <cstdint>
#include <string>

namespace hf::log {

struct Options {
  /// Label of its metrics, and in log lines.
  std::string name = "messages";
  /// Size of a segment file, bytes; 4 KiB … 4 GiB, a multiple of 8. Retention frees disk in these steps.
  std::uint64_t segment_bytes = 64ULL << 20;
  /// The first segment of a new log is smaller, so that the first start does not wait for the zeros of a large one.
  std::uint64_t first_segment_bytes = 16ULL << 20;
  /// Zero-filled segments kept ready beside the active one; 1 … 16. Below one ready segment `append` refuses at the
  /// end of the active one.
  std::uint32_t spare_segments = 1;
  /// Most bytes in memory that wait for the disk; 64 KiB …. Above it `append` refuses (`exhausted`).
  std::uint64_t waiting_bytes_max = 64ULL << 20;
  /// A batch (one write, one sync) is closed at this size; 4 KiB … 64 MiB. A larger record is a batch of its own.
  std::uint64_t batch_bytes_max = 4ULL << 20;
};

}  // namespace hf::log
