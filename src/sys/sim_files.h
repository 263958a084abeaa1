#pragma once

/// A disk in memory, as bad as a real one may be: unsynced bytes are lost at a crash, wholly or in part (torn), and the
/// N-th operation can be made to fail.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sys/files.h"
#include "sys/random.h"

namespace hf::sys {

class SimDisk final : public FileSystem {
 public:
  explicit SimDisk(Random& random) : random_(random) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> make_dirs(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  Result<bool> exists(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> sync_dir(const std::string& dir) override;
  Result<std::unique_ptr<DirLock>> lock(const std::string& path) override;

  enum class Unsynced {
    lost,       ///< nothing that was not synced is there
    torn,       ///< each unsynced write survives up to a random byte, independently
    scattered,  ///< of each unsynced write any 512-byte sectors survive, independently: disks reorder
    kept,       ///< the process died, the machine did not
  };
  /// The machine (or the process) dies: open files become useless (`unavailable`), locks are released.
  void crash(Unsynced unsynced);
  /// The `n`-th operation from now (1 = the next) fails with `error`, and every one after it for `repeat`.
  void fail_operation(std::uint64_t n, Error error, std::uint64_t repeat = 1);
  /// Bytes that may be written in all; beyond that `exhausted`.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  std::uint64_t operations() const { return operations_; }
  std::uint64_t syncs() const { return syncs_; }
  /// Direct access, for tests that damage files.
  std::string& content(const std::string& path);

 private:
  friend class SimFile;
  struct Write {
    std::uint64_t offset;
    std::string bytes;
  };
  struct Node {
    std::string now;              ///< what a reader sees
    std::string durable;          ///< what survives
    std::vector<Write> unsynced;  ///< in order, since the last sync
  };
  Result<void> step(const char* what);
  std::uint64_t used() const;

  Random& random_;
  std::map<std::string, std::shared_ptr<Node>> nodes_;
  /// The folder entries that survive: those of the last sync_dir().
  std::map<std::string, std::shared_ptr<Node>> durable_names_;
  std::set<std::string> dirs_{"", "/", "."};
  std::set<std::string> locks_;
  std::uint64_t generation_ = 0;
  std::uint64_t operations_ = 0, syncs_ = 0;
  std::uint64_t fail_from_ = 0, fail_until_ = 0;
  std::optional<Error> failure_;
  std::uint64_t capacity_ = UINT64_MAX;
};

}  // namespace hf::sys
