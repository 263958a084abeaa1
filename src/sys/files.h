#pragma once

/// Files, passed in: the real ones, and a disk in memory that loses unsynced bytes, tears writes and fails its N-th
/// operation (sys/sim_files.h). All calls block; errors are `exhausted` (disk full), `denied` (read-only, permission),
/// `not_found`, `conflict` (exists, or locked by another process), `unavailable` (I/O error).
/// After a failed sync() nothing is known about the bytes: stop, never retry.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace hf::sys {

/// An open file. One owner. read_at() may run on other threads beside the rest.
class File {
 public:
  virtual ~File() = default;
  /// Fills as much of `out` as the file has from `offset`; the count may be short only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) const = 0;
  /// All of `bytes` or an error (then some may be written).
  virtual Result<void> write_at(std::uint64_t offset, Bytes bytes) = 0;
  /// fdatasync: when it returns, every byte written before survives power loss.
  virtual Result<void> sync() = 0;
  virtual Result<std::uint64_t> size() const = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
};

enum class OpenMode {
  read,        ///< must exist
  read_write,  ///< must exist
  create_new,  ///< must not exist
  create_or_open,
};

/// Held while it lives; released by the kernel when the process dies.
class DirLock {
 public:
  virtual ~DirLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<void> make_dirs(const std::string& path) = 0;
  /// Names of the entries, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& dir) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
  /// Makes creations, renames and removals in `dir` survive power loss.
  virtual Result<void> sync_dir(const std::string& dir) = 0;
  /// `conflict` if another process holds it. Creates `path` if absent.
  virtual Result<std::unique_ptr<DirLock>> lock(const std::string& path) = 0;
};

class RealFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> make_dirs(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  Result<bool> exists(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> sync_dir(const std::string& dir) override;
  Result<std::unique_ptr<DirLock>> lock(const std::string& path) override;
};

/// Whole small files (configuration, keys). Error as above; `invalid` over `limit` bytes.
Result<std::string> read_file(FileSystem& files, const std::string& path, std::size_t limit = 16 << 20);
/// Written beside, synced, renamed over: after power loss either the old or the new content is there.
Result<void> replace_file(FileSystem& files, const std::string& path, std::string_view content);

}  // namespace hf::sys
