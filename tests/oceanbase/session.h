#pragma once

/// One client's connection to the stub and the stub's to the server, on one thread.

#include <set>
#include <string>
#include <unordered_map>

#include "oceanbase/packets.h"
#include "oceanbase/stub.h"

namespace hf::oceanbase {

class Session {
 public:
  Session(Stub& stub, int client, int upstream)
      : stub_(stub), client_fd_(client), upstream_fd_(upstream), client_(client), upstream_(upstream) {}
  /// From the greeting to the end of either side.
  void run();

 private:
  enum class Next : std::uint8_t { go_on, end };
  bool log_in();
  bool finish_login();
  bool wait_for_client();
  Next handle(const Packet& command);
  Next handle_statement(const Packet& command, Command what, const std::string& text);
  Next spoil(const Packet& command, Command what, const Stub::Met& met);
  Next answer_error(unsigned number, std::string_view sqlstate, std::string_view text);
  Next forward(const Packet& command, Command what);
  std::optional<std::uint32_t> run_upstream(const Packet& command, Command what, bool relay);
  std::string text_of(const Packet& command, Command what) const;

  Stub& stub_;
  int client_fd_, upstream_fd_;
  Stream client_, upstream_;
  std::set<std::string> told_;  ///< session variables
  std::unordered_map<std::uint32_t, std::string> prepared_;
  std::uint32_t last_prepared_ = 0;
};

}  // namespace hf::oceanbase
