#include "wire/eventbridge/event.h"

namespace hf::wire::eventbridge {
namespace {

void member(std::string& out, std::string_view name, std::string_view value) {
  append_json_string(out, name);
  out += ':';
  append_json_string(out, value);
  out += ',';
}

}  // namespace

std::string to_json(const Event& event) {
  std::string out = "{";
  out.reserve(event.detail.size() + 320);
  member(out, "version", "0");
  member(out, "id", event.id);
  member(out, "detail-type", event.detail_type);
  member(out, "source", event.source);
  member(out, "account", event.account);
  member(out, "time", to_rfc3339_seconds(event.time));
  member(out, "region", event.region);
  out += "\"resources\":[";
  for (const std::string& resource : event.resources) {
    if (out.back() != '[') out += ',';
    append_json_string(out, resource);
  }
  out += "],\"detail\":";
  out += JsonText::parse(event.detail).value().text();
  out += '}';
  return out;
}

}  // namespace hf::wire::eventbridge
