#include "notifier/page.h"

#include <fmt/format.h>

#include "wire/twilio/address.h"

namespace hf::notifier {
namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Notifications · Holdfast</title><style>
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1b1b;background:#fff}
h1{font-size:1.3rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .7rem;border-bottom:1px solid #ddd;vertical-align:top}
th{font-weight:600;color:#555}code{font:12px ui-monospace,monospace}ol{margin:0;padding-left:1.2rem}
.parked,.refused,.failed,.undelivered{color:#a40000}.unknown,.waiting{color:#8a5a00}.delivered,.read,.completed{color:#05631f}
time{color:#777}
</style></head><body><h1>Notifications</h1>
)";

std::string history_html(const std::vector<LedgerEvent>& history) {
  std::string out = "<ol>";
  for (const LedgerEvent& event : history) {
    const std::string& what = event.status.empty() ? event.what : event.status;
    out += fmt::format("<li class=\"{0}\">{0}", escape_html(what));
    if (event.error_code != 0) out += fmt::format(" ({})", event.error_code);
    if (event.status.empty() && !event.detail.empty()) out += fmt::format(": {}", escape_html(event.detail));
    out += fmt::format(" <time>{}</time></li>", to_rfc3339(event.at));
  }
  return out + "</ol>";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string notifications_page(const std::vector<PageRow>& rows, const std::map<std::string, std::int64_t>& counts) {
  std::string out(kHead);
  out += "<p>";
  for (const auto& [state, count] : counts) {
    out += fmt::format("<a class=\"{0}\" href=\"/notifications?state={0}\">{0}: {1}</a> ", escape_html(state), count);
  }
  out += "</p><table><tr><th>SID</th><th>Order</th><th>To</th><th>State</th><th>Status</th><th>History</th></tr>\n";
  for (const auto& [n, history] : rows) {
    const Entry& e = n.entry;
    out += fmt::format("<tr id=\"{}\"><td><code>{}</code></td><td>{}</td><td>{}</td>", escape_html(n.id),
                       escape_html(e.sid.empty() ? "—" : e.sid), escape_html(n.order_id),
                       escape_html(wire::twilio::mask_address(n.to)));
    out += fmt::format("<td class=\"{0}\">{0}</td>", escape_html(to_string(e.state)));
    out += fmt::format("<td class=\"{0}\">{0}</td><td>{1}</td></tr>\n", escape_html(e.status), history_html(history));
  }
  return out + "</table></body></html>\n";
}

}  // namespace hf::notifier
