#include "sql/sqlite/world_vfs.h"

#include <sqlite3.h>

namespace hf::sql::sqlite {
namespace {

/// What the connections of one database file share: locks, and the memory that holds the WAL's index. Never on disk:
/// SQLite rebuilds the index from the WAL when the first connection comes.
struct Shared {
  int readers = 0;  ///< connections at SHARED or above
  bool reserved = false, pending = false, exclusive = false;
  std::vector<std::unique_ptr<char[]>> regions;
  struct Slot {
    int shared = 0;
    bool exclusive = false;
  };
  std::array<Slot, SQLITE_SHM_NLOCK> slots{};
};

/// By disk and path, so that a second Database of the same simulated process (one that only reads) finds it.
using Key = std::pair<const sys::FileSystem*, std::string>;
struct Registry {
  std::mutex mutex;
  std::map<Key, std::weak_ptr<Shared>> all;
};
Registry& registry() {
  static Registry instance;
  return instance;
}

std::shared_ptr<Shared> shared_of(const Key& key, bool fresh) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.all, [](const auto& entry) { return entry.second.expired(); });
  std::shared_ptr<Shared> shared = fresh ? nullptr : all.all[key].lock();
  if (!shared) all.all[key] = shared = std::make_shared<Shared>();
  return shared;
}

struct OpenFile {
  sys::FileSystem& files;
  std::string path;
  std::unique_ptr<sys::File> file;
  std::shared_ptr<Shared> shared{};  ///< of the database file, not of its WAL
  int level = SQLITE_LOCK_NONE;
  std::array<bool, SQLITE_SHM_NLOCK> slot_shared{}, slot_exclusive{};
  bool entry_unsynced = false;  ///< perhaps created, and its folder not synced since
};

/// What SQLite allocates for a file: its own header, then ours.
struct Handle {
  sqlite3_file base;
  OpenFile* open;
};
OpenFile& file_of(sqlite3_file* base) { return *reinterpret_cast<Handle*>(base)->open; }

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

int code_of(const Error& error, int otherwise) { return error.code == Code::exhausted ? SQLITE_FULL : otherwise; }

// ---- one file ------------------------------------------------------------------------------------------------------

int do_read(sqlite3_file* base, void* out, int size, sqlite3_int64 offset) {
  const MutableBytes bytes(static_cast<std::uint8_t*>(out), static_cast<std::size_t>(size));
  const Result<std::size_t> got = file_of(base).file->read_at(static_cast<std::uint64_t>(offset), bytes);
  if (!got) return SQLITE_IOERR_READ;
  if (*got == bytes.size()) return SQLITE_OK;
  std::memset(bytes.data() + *got, 0, bytes.size() - *got);
  return SQLITE_IOERR_SHORT_READ;
}

int do_write(sqlite3_file* base, const void* in, int size, sqlite3_int64 offset) {
  const Bytes bytes(static_cast<const std::uint8_t*>(in), static_cast<std::size_t>(size));
  const Result<void> done = file_of(base).file->write_at(static_cast<std::uint64_t>(offset), bytes);
  return done ? SQLITE_OK : code_of(done.error(), SQLITE_IOERR_WRITE);
}

int do_truncate(sqlite3_file* base, sqlite3_int64 size) {
  return file_of(base).file->truncate(static_cast<std::uint64_t>(size)) ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int do_sync(sqlite3_file* base, int) {
  OpenFile& open = file_of(base);
  if (!open.file->sync()) return SQLITE_IOERR_FSYNC;
  if (open.entry_unsynced && !open.files.sync_dir(parent_of(open.path))) return SQLITE_IOERR_DIR_FSYNC;
  open.entry_unsynced = false;
  return SQLITE_OK;
}

int do_size(sqlite3_file* base, sqlite3_int64* size) {
  const Result<std::uint64_t> got = file_of(base).file->size();
  if (!got) return SQLITE_IOERR_FSTAT;
  *size = static_cast<sqlite3_int64>(*got);
  return SQLITE_OK;
}

/// https://sqlite.org/lockingv3.html. One strand, so a lock that is taken is never given back while we wait: BUSY at
/// once.
int do_lock(sqlite3_file* base, int level) {
  OpenFile& open = file_of(base);
  Shared& shared = *open.shared;
  if (open.level >= level) return SQLITE_OK;
  const bool alone = shared.readers == (open.level >= SQLITE_LOCK_SHARED ? 1 : 0);
  switch (level) {
    case SQLITE_LOCK_SHARED:
      if (shared.pending || shared.exclusive) return SQLITE_BUSY;
      ++shared.readers;
      break;
    case SQLITE_LOCK_RESERVED:
      if (shared.reserved) return SQLITE_BUSY;
      shared.reserved = true;
      break;
    default:
      if (open.level < SQLITE_LOCK_RESERVED && shared.reserved) return SQLITE_BUSY;
      if (!alone) return SQLITE_BUSY;
      shared.reserved = shared.exclusive = true;
      break;
  }
  open.level = level;
  return SQLITE_OK;
}

int do_unlock(sqlite3_file* base, int level) {
  OpenFile& open = file_of(base);
  Shared& shared = *open.shared;
  if (open.level <= level) return SQLITE_OK;
  if (open.level >= SQLITE_LOCK_RESERVED) shared.reserved = shared.pending = shared.exclusive = false;
  if (level == SQLITE_LOCK_NONE) --shared.readers;
  open.level = level;
  return SQLITE_OK;
}

int do_check_reserved(sqlite3_file* base, int* reserved) {
  *reserved = file_of(base).shared->reserved ? 1 : 0;
  return SQLITE_OK;
}

int do_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int do_sector_size(sqlite3_file*) { return 4096; }
int do_characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int do_shm_map(sqlite3_file* base, int region, int size, int extend, void volatile** out) {
  auto& regions = file_of(base).shared->regions;
  const auto index = static_cast<std::size_t>(region);
  *out = nullptr;
  if (index >= regions.size() && extend == 0) return SQLITE_OK;
  while (regions.size() <= index) regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  *out = regions[index].get();
  return SQLITE_OK;
}

void shm_release(OpenFile& open, std::size_t slot) {
  Shared::Slot& state = open.shared->slots[slot];
  if (std::exchange(open.slot_shared[slot], false)) --state.shared;
  if (std::exchange(open.slot_exclusive[slot], false)) state.exclusive = false;
}

int do_shm_lock(sqlite3_file* base, int offset, int count, int flags) {
  OpenFile& open = file_of(base);
  const auto first = static_cast<std::size_t>(offset), end = first + static_cast<std::size_t>(count);
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    for (std::size_t slot = first; slot < end; ++slot) shm_release(open, slot);
    return SQLITE_OK;
  }
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  for (std::size_t slot = first; slot < end; ++slot) {
    const Shared::Slot& state = open.shared->slots[slot];
    const int others = state.shared - (open.slot_shared[slot] ? 1 : 0);
    if (state.exclusive || (exclusive && others > 0)) return SQLITE_BUSY;
  }
  for (std::size_t slot = first; slot < end; ++slot) {
    Shared::Slot& state = open.shared->slots[slot];
    if (exclusive) open.slot_exclusive[slot] = state.exclusive = true;
    if (!exclusive && !std::exchange(open.slot_shared[slot], true)) ++state.shared;
  }
  return SQLITE_OK;
}

void do_shm_barrier(sqlite3_file*) {}

int do_shm_unmap(sqlite3_file* base, int delete_flag) {
  OpenFile& open = file_of(base);
  for (std::size_t slot = 0; slot < SQLITE_SHM_NLOCK; ++slot) shm_release(open, slot);
  if (delete_flag != 0) open.shared->regions.clear();
  return SQLITE_OK;
}

int do_close(sqlite3_file* base) {
  Handle* handle = reinterpret_cast<Handle*>(base);
  if (handle->open->shared) {
    do_shm_unmap(base, 0);
    do_unlock(base, SQLITE_LOCK_NONE);
  }
  delete std::exchange(handle->open, nullptr);
  return SQLITE_OK;
}

constexpr sqlite3_io_methods kMethods = {2,
                                         do_close,
                                         do_read,
                                         do_write,
                                         do_truncate,
                                         do_sync,
                                         do_size,
                                         do_lock,
                                         do_unlock,
                                         do_check_reserved,
                                         do_control,
                                         do_sector_size,
                                         do_characteristics,
                                         do_shm_map,
                                         do_shm_lock,
                                         do_shm_barrier,
                                         do_shm_unmap,
                                         nullptr,
                                         nullptr};

}  // namespace

// ---- the file system -----------------------------------------------------------------------------------------------

struct WorldVfs::Impl {
  sys::World& world;
  std::string name;
  sqlite3_vfs vfs{};
  std::shared_ptr<Shared> session{};  ///< keeps what begin() made until the first connection holds it

  static Impl& of(sqlite3_vfs* vfs) { return *static_cast<Impl*>(vfs->pAppData); }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* base, int flags, int* out_flags) {
    Impl& self = of(vfs);
    Handle* handle = reinterpret_cast<Handle*>(base);
    handle->base.pMethods = nullptr;
    if (path == nullptr) return SQLITE_CANTOPEN;  // temporary files: never, temp_store is in memory
    sys::FileSystem& files = self.world.files;
    const bool create = (flags & SQLITE_OPEN_CREATE) != 0;
    auto file = files.open(path, create ? sys::OpenMode::create_or_open : sys::OpenMode::read_write);
    if (!file) return code_of(file.error(), SQLITE_CANTOPEN);
    auto opened = std::make_unique<OpenFile>(OpenFile{files, path, std::move(*file)});
    opened->entry_unsynced = create;
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0) opened->shared = shared_of({&files, path}, false);
    handle->open = opened.release();
    handle->base.pMethods = &kMethods;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* vfs, const char* path, int sync_dir) {
    sys::FileSystem& files = of(vfs).world.files;
    const Result<void> removed = files.remove(path);
    if (!removed) return removed.error().code == Code::not_found ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    if (sync_dir != 0 && !files.sync_dir(parent_of(path))) return SQLITE_IOERR_DIR_FSYNC;
    return SQLITE_OK;
  }

  static int access(sqlite3_vfs* vfs, const char* path, int, int* result) {
    const Result<bool> there = of(vfs).world.files.exists(path);
    if (!there) return SQLITE_IOERR_ACCESS;
    *result = *there ? 1 : 0;
    return SQLITE_OK;
  }

  static int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  }

  static int randomness(sqlite3_vfs* vfs, int size, char* out) {
    of(vfs).world.random.fill(MutableBytes(reinterpret_cast<std::uint8_t*>(out), static_cast<std::size_t>(size)));
    return size;
  }

  static int sleep(sqlite3_vfs*, int) { return 0; }  // virtual time stands still inside a step: do not wait at all

  static int current_time(sqlite3_vfs* vfs, double* days) {
    sqlite3_int64 milliseconds = 0;
    current_time_ms(vfs, &milliseconds);
    *days = static_cast<double>(milliseconds) / 86'400'000.0;
    return SQLITE_OK;
  }
  static int current_time_ms(sqlite3_vfs* vfs, sqlite3_int64* out) {
    constexpr sqlite3_int64 kUnixEpochInJulianMs = 210'866'760'000'000;
    *out = kUnixEpochInJulianMs + to_us(of(vfs).world.clock.wall()) / 1000;
    return SQLITE_OK;
  }
  static int last_error(sqlite3_vfs*, int, char*) { return 0; }
};

WorldVfs::WorldVfs(sys::World& world) : impl_(std::make_unique<Impl>(Impl{world, {}})) {
  impl_->name = fmt::format("hf-{}", fmt::ptr(impl_.get()));
  sqlite3_vfs& vfs = impl_->vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = sizeof(Handle);
  vfs.mxPathname = 1024;
  vfs.zName = impl_->name.c_str();
  vfs.pAppData = impl_.get();
  vfs.xOpen = &Impl::open;
  vfs.xDelete = &Impl::remove;
  vfs.xAccess = &Impl::access;
  vfs.xFullPathname = &Impl::full_path;
  vfs.xRandomness = &Impl::randomness;
  vfs.xSleep = &Impl::sleep;
  vfs.xCurrentTime = &Impl::current_time;
  vfs.xGetLastError = &Impl::last_error;
  vfs.xCurrentTimeInt64 = &Impl::current_time_ms;
  HF_ASSERT(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
}

WorldVfs::~WorldVfs() { sqlite3_vfs_unregister(&impl_->vfs); }

const char* WorldVfs::name() const { return impl_->name.c_str(); }

void WorldVfs::begin(const std::string& path) { impl_->session = shared_of({&impl_->world.files, path}, true); }

}  // namespace hf::sql::sqlite
