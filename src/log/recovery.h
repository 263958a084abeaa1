#pragma once

/// What a directory of segments holds: where the log ends, and whether what is missing was ever promised.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/segments.h"
#include "sys/files.h"

namespace hf::log {

/// A zero-filled file with a number, not started yet.
struct Spare {
  std::uint64_t sequence = 0;
  std::string path;
  std::shared_ptr<sys::File> file;
  std::uint64_t capacity = 0;
};

struct Recovered {
  std::uint64_t log_id = 0;                              ///< 0: the log is new
  std::vector<std::shared_ptr<const Segment>> segments;  ///< oldest first; none if the log is new
  std::vector<Spare> spares;
  std::uint64_t next_sequence = 1;
  Position end;                  ///< of the last intact record
  std::uint32_t generation = 0;  ///< of the last intact record
  std::uint64_t truncated_bytes = 0;
};

/// Reads the directory, calls `visit` with each record from `from` on, finds the end of the log, and makes it durable:
/// the last batch that was found may never have been synced, or its sync may have failed, so it is written once more.
/// Removes spare files that are unfinished, were used before, or have not `segment_bytes`. Errors as Log::open.
///
/// Rule: at the first position P where no intact record of the right position and generation stands, the log ends if
/// that can be a torn write: nobody was told that the batch at P is durable. It cannot be one if anything intact shows
/// a batch that began after P, for a batch is written only after the one before was synced: then it is `corrupt`.
Result<Recovered> recover(sys::FileSystem& files, const std::string& dir, std::uint64_t segment_bytes,
                          std::optional<Position> from, const Visitor& visit);

/// "prepare.tmp": the file that is being filled with zeros.
inline constexpr std::string_view kUnfinishedName = "prepare.tmp";

}  // namespace hf::log
