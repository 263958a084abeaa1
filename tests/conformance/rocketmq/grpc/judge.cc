// gRPC C++ against a broker.
//
//   hf_rocketmq_judge ADDRESS                     prints PASS/FAIL lines, the sum last; exit 1 if anything failed
//   hf_rocketmq_judge orphan ADDRESS TOPIC KEY    sends one half message, prints "HALF KEY", waits to be killed

#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>

#include "conformance/rocketmq/grpc/client.h"

namespace judge {
namespace {

std::string setting(const char* variable, const std::string& fallback) {
  const char* value = std::getenv(variable);
  return value == nullptr ? fallback : value;
}

/// Every test has topics of its own, so they can run side by side, unless the topics are given.
int run_all(const Setup& setup, bool topics_given) {
  const std::string only = setting("ONLY", "");
  std::vector<std::thread> threads;
  std::mutex mutex;
  int passed = 0, failed = 0;
  auto judge = [&](const Test& test) {
    std::string problem;
    try {
      test.run();
    } catch (const std::exception& exception) {
      problem = exception.what();
    }
    const std::lock_guard lock(mutex);
    ++(problem.empty() ? passed : failed);
    std::cout << (problem.empty() ? "PASS grpc: " + test.name : "FAIL grpc: " + test.name + ": " + problem)
              << std::endl;
  };
  for (auto suite : {message_tests, transaction_tests, error_tests}) {
    for (std::size_t i = 0; i < suite(setup).size(); ++i) {
      Setup own = setup;
      if (!topics_given) own.normal_topic = unique("conf-grpc-normal"), own.transaction_topic = unique("conf-grpc-tx");
      Test test = suite(own)[i];
      if (test.name.find(only) == std::string::npos) continue;
      if (topics_given) {
        judge(test);
      } else {
        threads.emplace_back(judge, std::move(test));
      }
    }
  }
  for (std::thread& thread : threads) thread.join();
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace
}  // namespace judge

int main(int argc, char** argv) {
  using namespace judge;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool orphan = arguments.size() == 4 && arguments[0] == "orphan";
  if (!orphan && arguments.size() != 1) {
    std::cerr << "usage: hf_rocketmq_judge ADDRESS\n";
    return 2;
  }
  const std::string address = arguments[orphan ? 1 : 0];
  const Setup setup{address, argv[0], open_channel(address, Security::plaintext),
                    setting("NORMAL_TOPIC", unique("conf-grpc-normal")),
                    setting("TRANSACTION_TOPIC", unique("conf-grpc-tx"))};
  if (orphan) return be_an_orphan(setup, arguments[2], arguments[3]);
  return run_all(setup, std::getenv("NORMAL_TOPIC") != nullptr);
}
