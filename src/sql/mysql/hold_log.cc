// Preloaded into a MariaDB server by undurable_test.cc: while the file HF_HOLD_LOG exists, nothing reaches the server's
// redo log. So a test stands as long as it likes where a commit is visible to others and not on the disk.

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

void wait_while_held(int fd) {
  static const char* const flag = std::getenv("HF_HOLD_LOG");
  if (flag == nullptr || access(flag, F_OK) != 0) return;
  char link[64], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return;
  path[size] = '\0';
  if (std::strstr(path, "ib_logfile") == nullptr) return;
  while (access(flag, F_OK) == 0) usleep(1000);
}

}  // namespace

extern "C" {

int fsync(int fd) {
  wait_while_held(fd);
  return static_cast<int>(syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  wait_while_held(fd);
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t at) {
  wait_while_held(fd);
  return syscall(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }
}
