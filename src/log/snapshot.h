#pragma once

/// Snapshots: a caller's state as of a log position, so that replay is short. Opaque bytes in a file of their own.
///
/// Rule of use: 1. take the state as of `position`, 2. wait until the log is durable up to `position`, 3. write. Only
/// then may remove_before() be called, with the position of the *oldest* snapshot kept (the newest may turn out
/// damaged). All calls block: run them on a Worker.

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "log/log.h"
#include "sys/files.h"

namespace hf::log {

struct Snapshot {
  Position position;  ///< replay from here: the state holds everything below
  std::string state;
};

/// Newest snapshots kept of each name, so that a damaged one costs a longer replay and nothing else.
inline constexpr std::size_t kSnapshotsKept = 2;

/// Writes `<dir>/<name>-<position>.snapshot`: beside, synced, renamed; then removes all but the newest kSnapshotsKept.
/// `name`: letters, digits, '-' and '_'. After power loss either all of it is there or nothing. Errors as
/// sys::FileSystem. Returns the position of the oldest snapshot kept.
Result<Position> write_snapshot(sys::FileSystem& files, const std::string& dir, const std::string& name,
                                Position position, Bytes state);

/// The newest one that is intact; damaged ones are logged and passed over. nullopt: there is none. Error: `corrupt` if
/// there are snapshots and all are damaged; I/O errors.
Result<std::optional<Snapshot>> load_newest_snapshot(sys::FileSystem& files, const std::string& dir,
                                                     const std::string& name);

}  // namespace hf::log
