// Preloaded into a server by tests/faults/environment.py: CLOCK_REALTIME is off by as many seconds as the file
// HF_CLOCK_OFFSET says (eight bytes, mapped, so that a test can set the clock while the server runs).
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* offset_s;

__attribute__((constructor)) static void map_offset(void) {
  const char* path = getenv("HF_CLOCK_OFFSET");
  const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void* mapped = file < 0 ? MAP_FAILED : mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) offset_s = mapped;
}

int clock_gettime(clockid_t clock, struct timespec* out) {
  const int result = (int)syscall(SYS_clock_gettime, clock, out);
  if (result == 0 && clock == CLOCK_REALTIME && offset_s) out->tv_sec += *offset_s;
  return result;
}
