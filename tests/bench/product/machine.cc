#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include "report.h"

namespace hf::bench {
namespace {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

/// The type of the longest mount point that `folder` lies below.
std::string file_system_of(const std::string& folder) {
  std::ifstream mounts("/proc/mounts");
  std::string best = "unknown", device, point, type, rest;
  std::size_t longest = 0;
  while (mounts >> device >> point >> type && std::getline(mounts, rest)) {
    const bool below = point == "/" || folder == point || folder.starts_with(point + "/");
    if (below && point.size() >= longest) {
      longest = point.size();
      best = type;
    }
  }
  return best;
}

}  // namespace

double load_average() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

Context describe_machine(const std::string& folder) {
  Context context;
  context.folder = folder;
  context.cpu = cpu_model();
  context.cores = std::thread::hardware_concurrency();
  struct sysinfo memory{};
  if (::sysinfo(&memory) == 0) {
    context.memory_gib = static_cast<double>(memory.totalram) * memory.mem_unit / (1024.0 * 1024 * 1024);
  }
  utsname kernel{};
  if (::uname(&kernel) == 0) context.kernel = kernel.release;
  context.file_system = file_system_of(folder);
  context.load_before = load_average();
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  context.date.assign(date, std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&now, &utc)));
  return context;
}

}  // namespace hf::bench
