#pragma once

/// Everything that can be set about the phone sandbox. `app` maps it to the section [phone].

#include <cstddef>
#include <string>
#include <vector>

#include "base/time.h"

namespace hf::phone {

/// The account of the sandbox. Everybody who reads this file knows it, so it opens loopback listeners only (P10).
inline constexpr const char* kSandboxAccount = "AC00000000000000000000000000000000";
inline constexpr const char* kSandboxToken = "holdfast-sandbox";

struct PhoneConfig {
  std::string database = "sqlite:phone.db";  ///< where messages and calls are kept
  std::string account_sid = kSandboxAccount;
  /// The auth token; also the key of X-Twilio-Signature. Secret: `auth_token_file` or `auth_token_env` in the file.
  std::string auth_token = kSandboxToken;
  /// Credentials of test mode, where magic numbers decide and nothing is stored. Empty: no test mode.
  std::string test_account_sid = "AC11111111111111111111111111111111";
  std::string test_auth_token = "holdfast-sandbox-test";
  /// Numbers the account owns; another From is answered 21606 (messages) or 21210 (calls). Empty: any is ours.
  std::vector<std::string> senders;
  std::string default_sender = "+15005550006";  ///< what a messaging service picks

  Duration step = 100ms;                 ///< from one status to the next; 1ms … 1h
  Duration ring = 100ms;                 ///< how long a call rings before it is answered; 1ms … 10m
  Duration talk = 2s;                    ///< how long an answered call lasts (virtual: written into duration); 1s … 1h
  Duration hang = 60s;                   ///< how long a hanging request hangs; 1s … 1h
  Duration restart_pause = 200ms;        ///< callbacks that a restart found unsent go out after this; 0s … 1m
  std::size_t callbacks_in_flight = 32;  ///< 1 … 1 000
  std::size_t unfinished = 100'000;      ///< messages and calls on their way; beyond: 429 with 20429, nothing stored
  std::size_t customers_per_page = 1'000;  ///< of GET /control/customers; 1 … 10 000
};

}  // namespace hf::phone
