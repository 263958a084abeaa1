#pragma once

/// What both programs need around their service: options, a port, JSON in and out. They keep nothing in memory that
/// matters, so they have no way to stop but to be killed.

#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <vector>

#include "net/http.h"
#include "participant/two_phase.h"
#include "sys/loop.h"

namespace transfer {

using hf::Code;
using hf::Error;
using hf::ok;
using hf::Result;
using hf::Task;
namespace asio = boost::asio;

/// --name=value, in order; a name may come several times.
class Options {
 public:
  /// Errors: invalid: not --name=value, or none of `known`.
  static Result<Options> parse(int argc, char** argv, const std::vector<std::string>& known);
  std::string get(const std::string& name, std::string otherwise = {}) const;
  std::vector<std::string> all(const std::string& name) const;

 private:
  std::multimap<std::string, std::string> values_;
};

/// Opens a listener (--port, 0: any), says where in --ready-file once `start` is done, and serves for ever.
/// `start` gets the address that others reach it by, and returns the handler. Returns the exit code: something failed.
using Start = std::function<Task<hf::net::HttpHandler>(std::string base_url)>;
int serve(hf::sys::Loop& loop, const Options& options, Start start);

/// The link to the coordinator: --name, --coordinator, --secret-file, --ask-after-ms.
Result<hf::participant::TwoPhaseConfig> link_config(const Options& options, std::string base_url);
hf::participant::SendHttp sender(hf::net::HttpClient& client);

Result<boost::json::object> parse_body(const std::string& body);
Result<std::string> text_field(const boost::json::object& body, const std::string& name);  ///< 1 … 64 bytes
Result<std::int64_t> amount_field(const boost::json::object& body);                        ///< "amount_minor" > 0
hf::net::HttpResponse answer(int status, const boost::json::object& body);
hf::net::HttpResponse refuse(const Error& error);

}  // namespace transfer
