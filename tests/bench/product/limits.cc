#include "limits.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "sys/files.h"

namespace hf::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t kFile = 32 << 20;

double us_since(Steady::time_point begin) {
  return std::chrono::duration<double, std::micro>(Steady::now() - begin).count();
}

Result<double> sync_median(sys::File& file, std::size_t bytes, double seconds, std::vector<double>& all) {
  const std::vector<std::uint8_t> data(bytes, 7);
  all.clear();
  const auto begin = Steady::now();
  for (std::size_t at = 0; us_since(begin) < seconds * 1e6; at = at + 2 * bytes > kFile ? 0 : at + bytes) {
    const auto start = Steady::now();
    HF_TRY(file.write_at(at, data));
    HF_TRY(file.sync());
    all.push_back(us_since(start));
  }
  return median(all);
}

/// A connected pair of TCP sockets on 127.0.0.1.
struct Pair {
  int a = -1, b = -1;
  ~Pair() {
    if (a >= 0) ::close(a);
    if (b >= 0) ::close(b);
  }
};

Result<void> connect_pair(Pair& pair) {
  const int door = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  bool good =
      door >= 0 && ::bind(door, any, length) == 0 && ::listen(door, 1) == 0 && ::getsockname(door, any, &length) == 0;
  pair.a = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  good = good && ::connect(pair.a, any, length) == 0;
  if (good) pair.b = ::accept(door, nullptr, nullptr);
  if (door >= 0) ::close(door);
  if (!good || pair.b < 0) return Error{Code::unavailable, "no loopback connection"};
  const int on = 1;
  for (const int socket : {pair.a, pair.b}) ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return ok();
}

Result<double> round_trip_median(double seconds) {
  Pair pair;
  HF_TRY(connect_pair(pair));
  std::thread echo([socket = pair.b] {
    char bytes[64];
    for (ssize_t n; (n = ::recv(socket, bytes, sizeof bytes, MSG_WAITALL)) == sizeof bytes;) {
      if (::send(socket, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes) return;
    }
  });
  std::vector<double> all;
  char bytes[64] = {};
  const auto begin = Steady::now();
  while (us_since(begin) < seconds * 1e6) {
    const auto start = Steady::now();
    if (::send(pair.a, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes) break;
    if (::recv(pair.a, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes) break;
    all.push_back(us_since(start));
  }
  ::shutdown(pair.a, SHUT_WR);
  echo.join();
  if (all.empty()) return Error{Code::unavailable, "the loopback connection broke"};
  return median(std::move(all));
}

}  // namespace

double Limits::sync(int records) const {
  return records <= 4 ? sync_4k : records <= 16 ? sync_16k : records <= 100 ? sync_100k : sync_128k;
}

double Limits::rate(int in_flight, int syncs, int round_trips) const {
  return in_flight * 1e6 / (syncs * sync(in_flight) + round_trips * round_trip);
}

Result<Limits> measure_limits(const std::string& folder, double seconds, Report& report) {
  Limits limits;
  sys::RealFileSystem files;
  const std::string path = folder + "/probe";
  {
    HF_TRY(const auto file, files.open(path, sys::OpenMode::create_or_open));
    const std::vector<std::uint8_t> zeros(kFile);
    HF_TRY(file->write_at(0, zeros));
    HF_TRY(file->sync());
    std::vector<double> all;
    HF_TRY(limits.sync_4k, sync_median(*file, 4 << 10, seconds, all));
    report.add({"disk: 4 KiB pwrite + fdatasync, p50", "us", Better::lower, limits.sync_4k});
    report.add({"disk: 4 KiB pwrite + fdatasync, p99", "us", Better::lower, quantile(all, 0.99)});
    report.add({"disk: 4 KiB pwrite + fdatasync", "/s", Better::higher, 1e6 / limits.sync_4k});
    HF_TRY(limits.sync_16k, sync_median(*file, 16 << 10, seconds / 2, all));
    HF_TRY(limits.sync_100k, sync_median(*file, 100 << 10, seconds, all));
    report.add({"disk: 100 records of 1 KiB a sync, p50", "us", Better::lower, limits.sync_100k});
    report.add({"disk: 100 records of 1 KiB a sync", "records/s", Better::higher, 100e6 / limits.sync_100k});
    HF_TRY(limits.sync_128k, sync_median(*file, 128 << 10, seconds / 2, all));
  }
  std::filesystem::remove(path);
  HF_TRY(limits.round_trip, round_trip_median(seconds));
  report.add({"loopback round trip, p50", "us", Better::lower, limits.round_trip});
  return limits;
}

}  // namespace hf::bench
