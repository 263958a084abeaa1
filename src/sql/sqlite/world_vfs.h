#pragma once

/// SQLite on sys::FileSystem: so that the simulated disk, which loses unsynced bytes, tears writes and fails its N-th
/// operation, is under the database too. Real files stay with SQLite's own layer, whose locks other programs
/// understand.

#include <memory>
#include <string>

#include "sys/world.h"

namespace hf::sql::sqlite {

/// A registered SQLite VFS as long as it lives; outlives its connections. One strand: nothing here waits or locks.
class WorldVfs {
 public:
  explicit WorldVfs(sys::World& world);
  ~WorldVfs();
  WorldVfs(const WorldVfs&) = delete;
  WorldVfs& operator=(const WorldVfs&) = delete;

  const char* name() const;
  /// The one writer of `path` begins: what an earlier (crashed) owner shared with its connections is not ours.
  void begin(const std::string& path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::sql::sqlite
