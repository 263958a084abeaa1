#pragma once

/// The demo's buyers: concurrent HTTP clients that repeat with the same key until they have an answer.

#include <map>
#include <string>
#include <vector>

#include "app/demo_plan.h"
#include "net/backoff.h"
#include "net/http.h"
#include "sys/world.h"

namespace hf::app {

struct LoadReport {
  std::int64_t answered = 0, confirmed = 0;
  std::map<std::string, std::int64_t> refused;  ///< by the code of the answer: "sold_out", "invalid_phone" …
  std::int64_t repeated_same = 0;               ///< sent again with the same key, the same answer came
  std::int64_t broken_off = 0;                  ///< tries without an answer: connection broken, 5xx
  std::int64_t gave_up = 0;                     ///< buyers that had no answer when time was up
  std::vector<std::string> violations;          ///< "bad input accepted: …"; empty when all is well
  std::vector<std::int64_t> answer_us;          ///< first byte sent → final answer, tries included
  std::string example_order_id;                 ///< a confirmed one
};

/// One strand. Lives until run() has completed.
class DemoLoad {
 public:
  DemoLoad(sys::World world, std::string shop_url, const std::vector<PlannedOrder>& plan, std::int64_t buyers,
           Monotonic deadline);
  /// Completes when every order is answered or the deadline has passed.
  asio::awaitable<void> run();
  const LoadReport& report() const { return report_; }
  std::int64_t answered() const { return report_.answered; }

 private:
  struct Answer {
    int status = 0;
    std::string order_id, code;
  };
  asio::awaitable<void> buy_until_empty();
  asio::awaitable<void> buy(const PlannedOrder& order);
  /// Tries until an answer that is final; nullopt when time is up.
  asio::awaitable<std::optional<Answer>> place(const PlannedOrder& order);
  asio::awaitable<std::optional<Answer>> try_once(const PlannedOrder& order);
  void judge(const PlannedOrder& order, const Answer& answer);

  sys::World world_;
  const std::string url_;
  const std::vector<PlannedOrder>& plan_;
  const std::int64_t buyers_;
  const Monotonic deadline_;
  net::HttpClient http_;
  std::size_t next_ = 0;
  LoadReport report_;
};

}  // namespace hf::app
