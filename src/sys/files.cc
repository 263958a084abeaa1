#include "sys/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace hf::sys {
namespace {

Error file_error(std::string_view doing, const std::string& path, int error,
                 std::source_location where = std::source_location::current()) {
  const Code code = error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE ? Code::exhausted
                    : error == EROFS || error == EACCES || error == EPERM                    ? Code::denied
                    : error == ENOENT || error == ENOTDIR                                    ? Code::not_found
                    : error == EEXIST                                                        ? Code::conflict
                                                                                             : Code::unavailable;
  return Error(code, fmt::format("{} {}: {}", doing, path, std::strerror(error)), where);
}

class RealFile final : public File {
 public:
  RealFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~RealFile() override { ::close(descriptor_); }
  RealFile(const RealFile&) = delete;
  RealFile& operator=(const RealFile&) = delete;

  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return file_error("reading", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Result<void> write_at(std::uint64_t offset, Bytes bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return file_error("writing", path_, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return ok();
  }

  Result<void> sync() override {
    if (::fdatasync(descriptor_) != 0) return file_error("syncing", path_, errno);
    return ok();
  }

  Result<std::uint64_t> size() const override {
    struct stat info{};
    if (::fstat(descriptor_, &info) != 0) return file_error("looking at", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return file_error("truncating", path_, errno);
    return ok();
  }

 private:
  const int descriptor_;
  const std::string path_;
};

class RealDirLock final : public DirLock {
 public:
  explicit RealDirLock(int descriptor) : descriptor_(descriptor) {}
  ~RealDirLock() override { ::close(descriptor_); }
  RealDirLock(const RealDirLock&) = delete;
  RealDirLock& operator=(const RealDirLock&) = delete;

 private:
  const int descriptor_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::read_write:
      return O_RDWR;
    case OpenMode::create_new:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::create_or_open:
      return O_RDWR | O_CREAT;
  }
  HF_ASSERT(false);
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::unique_ptr<File>> RealFileSystem::open(const std::string& path, OpenMode mode) {
  const int descriptor = ::open(path.c_str(), flags_of(mode) | O_CLOEXEC, 0600);
  if (descriptor < 0) return file_error("opening", path, errno);
  return std::unique_ptr<File>(std::make_unique<RealFile>(descriptor, path));
}

Result<void> RealFileSystem::make_dirs(const std::string& path) {
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (!part.empty() && ::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
      return file_error("creating", part, errno);
    if (at == std::string::npos) break;
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return file_error("looking at", path, errno);
  if (!S_ISDIR(info.st_mode)) return file_error("creating", path, EEXIST);
  return ok();
}

Result<std::vector<std::string>> RealFileSystem::list(const std::string& dir) {
  DIR* const handle = ::opendir(dir.c_str());
  if (handle == nullptr) return file_error("listing", dir, errno);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(handle)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(handle);
  std::sort(names.begin(), names.end());
  return names;
}

Result<bool> RealFileSystem::exists(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return file_error("looking at", path, errno);
}

Result<void> RealFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return file_error("renaming", from, errno);
  return ok();
}

Result<void> RealFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return file_error("removing", path, errno);
  return ok();
}

Result<void> RealFileSystem::sync_dir(const std::string& dir) {
  const int descriptor = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return file_error("opening", dir, errno);
  const int failed = ::fsync(descriptor) != 0 ? errno : 0;
  ::close(descriptor);
  if (failed != 0) return file_error("syncing", dir, failed);
  return ok();
}

Result<std::unique_ptr<DirLock>> RealFileSystem::lock(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return file_error("opening", path, errno);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    return std::unique_ptr<DirLock>(std::make_unique<RealDirLock>(descriptor));
  const int failed = errno;
  ::close(descriptor);
  if (failed == EWOULDBLOCK)
    return Error{Code::conflict, fmt::format("{} is in use by another process", parent_of(path))};
  return file_error("locking", path, failed);
}

Result<std::string> read_file(FileSystem& files, const std::string& path, std::size_t limit) {
  HF_TRY(const std::unique_ptr<File> file, files.open(path, OpenMode::read));
  HF_TRY(const std::uint64_t size, file->size());
  if (size > limit) return Error{Code::invalid, fmt::format("{} has {} bytes, more than {}", path, size, limit)};
  std::string content(size, '\0');
  HF_TRY(const std::size_t got, file->read_at(0, {reinterpret_cast<std::uint8_t*>(content.data()), content.size()}));
  content.resize(got);
  return content;
}

Result<void> replace_file(FileSystem& files, const std::string& path, std::string_view content) {
  const std::string beside = path + ".new";
  {
    HF_TRY(const std::unique_ptr<File> file, files.open(beside, OpenMode::create_or_open));
    HF_TRY(file->truncate(0));
    HF_TRY(file->write_at(0, as_bytes(content)));
    HF_TRY(file->sync());
  }
  HF_TRY(files.rename(beside, path));
  return files.sync_dir(parent_of(path));
}

}  // namespace hf::sys
