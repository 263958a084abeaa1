#pragma once

/// HTTP of two-phase commit as this service speaks it: outgoing calls with the shared secret, and who may call us.

#include "participant/two_phase.h"

namespace hf::participant {

/// Whether the caller of `request` knows the shared secret (or none is configured).
bool knows_secret(const std::string& secret, const net::HttpRequest& request);
/// {"message":M,"reason":R}: the shape of every answer of prepare and notify, good or bad.
net::HttpResponse message_answer(int status, std::string_view message, std::string reason = {});
/// The refusal of a caller without the secret.
net::HttpResponse unauthorized();

/// One strand; no state.
class TwoPhaseCalls {
 public:
  TwoPhaseCalls(sys::World world, const TwoPhaseConfig& config, SendHttp send);

  /// Any whole answer. `body` empty: GET. The secret goes only to the coordinator of our configuration, whatever URL a
  /// caller names. Errors: unavailable, timeout, invalid (URL).
  Task<net::HttpResponse> call(std::string url, std::string body, Duration limit) const;
  /// Registers at `register_at`. Errors: conflict (it refuses) · unavailable, timeout.
  Task<> enroll(std::string register_at, wire::two_phase::RegisterRequest request) const;
  /// Our coordinator's: "http://127.0.0.1:36789".
  const std::string& coordinator() const { return coordinator_; }
  /// Whether that URL leads to the coordinator of our configuration.
  bool is_coordinator(const std::string& url) const;

 private:
  Task<net::HttpResponse> send(net::HttpRequest request, std::string url, Duration limit) const;

  sys::World world_;
  const std::string coordinator_, secret_;
  const Duration limit_;
  const SendHttp send_;
};

}  // namespace hf::participant
