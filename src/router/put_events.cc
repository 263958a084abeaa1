#include "router/put_events.h"

#include <fmt/format.h>

namespace hf::router {
namespace {

namespace eb = ::hf::wire::eventbridge;
using eb::JsonKind;
using eb::JsonText;

constexpr std::size_t kEntriesMax = 10;
constexpr std::size_t kBytesMax = 1 << 20;  ///< the sum below must stay under it
constexpr std::size_t kTimeBytes = 14;

class EntryReader {
 public:
  EntryReader(const PutEventsContext& context, sys::Random& random, std::size_t& bytes)
      : context_(context), random_(random), bytes_(bytes) {}

  PutEventsEntry read(const eb::ShapeReader& in) {
    PutEventsEntry out;
    eb::Event& event = out.event;
    const auto time = in.time("Time");
    event.source = in.text("Source", eb::kAnyText).value_or("");
    event.detail_type = in.text("DetailType", eb::kAnyText).value_or("");
    event.detail = in.text("Detail", eb::kAnyText).value_or("");
    event.resources = in.texts("Resources", {0, 2'048});
    (void)in.text("TraceHeader", {1, 500});
    const std::string bus = in.text("EventBusName", eb::kBusName).value_or("default");
    bytes_ += (time ? kTimeBytes : 0) + event.source.size() + event.detail_type.size() + event.detail.size();
    for (const std::string& resource : event.resources) bytes_ += resource.size();
    out.on_default_bus = bus == "default" || bus == context_.bus_arn;
    if (!judge(out)) return out;
    event.id = out.event_id = random_.uuid();
    event.account = context_.account;
    event.region = context_.region;
    event.time = time.value_or(context_.now);
    return out;
  }

 private:
  static bool fail(PutEventsEntry& out, std::string code, std::string message) {
    out.error_code = std::move(code);
    out.error_message = std::move(message);
    return false;
  }
  static bool judge(PutEventsEntry& out) {
    const eb::Event& event = out.event;
    const std::pair<std::string_view, const std::string&> required[] = {
        {"Source", event.source}, {"DetailType", event.detail_type}, {"Detail", event.detail}};
    for (const auto& [name, value] : required) {
      if (value.empty()) {
        return fail(out, "InvalidArgument",
                    fmt::format("Parameter {} is not valid. Reason: {} is a required argument.", name, name));
      }
    }
    if (event.detail_type.size() > 128) {
      return fail(out, "InvalidArgument",
                  "Parameter DetailType is not valid. Reason: DetailType must have at most 128 characters.");
    }
    if (event.source.starts_with("aws.")) {
      return fail(out, "NotAuthorizedForSourceException",
                  fmt::format("Not authorized for the source {}.", event.source));
    }
    const Result<JsonText> detail = JsonText::parse(event.detail);
    if (!detail || detail->kind(JsonText::root()) != JsonKind::object)
      return fail(out, "MalformedDetail", "Detail is malformed.");
    return true;
  }

  const PutEventsContext& context_;
  sys::Random& random_;
  std::size_t& bytes_;
};

}  // namespace

PutEvents read_put_events(const eb::ShapeReader& in, const PutEventsContext& context, sys::Random& random) {
  PutEvents out;
  if (in.has("EndpointId"))
    in.problems().semantic("Global endpoints are not supported yet: EndpointId must be absent.");
  const JsonText::Node list = in.list("Entries", eb::ShapeReader::Need::required);
  if (!list) return out;
  std::size_t count = 0, bytes = 0;
  in.json().for_each_child(list, [&](JsonText::Node) { ++count; });
  if (count > kEntriesMax) {
    in.problems().constraint(in.json().raw(list).substr(0, 256), "entries",
                             fmt::format("Member must have length less than or equal to {}", kEntriesMax));
  }
  if (count == 0) in.problems().constraint("[]", "entries", "Member must have length greater than or equal to 1");
  if (!in.problems().empty()) return out;
  EntryReader reader(context, random, bytes);
  in.json().for_each_child(list, [&](JsonText::Node child) {
    if (in.json().kind(child) != JsonKind::object) return in.problems().wrong_type("entries", "a list of objects");
    out.entries.push_back(reader.read(in.element(child, "Entries", out.entries.size() + 1)));
  });
  if (bytes >= kBytesMax) in.problems().semantic("Total size of the entries in the request is over the limit.");
  return out;
}

std::string put_events_answer(const PutEvents& request) {
  std::size_t failed = 0;
  std::string entries;
  for (const PutEventsEntry& entry : request.entries) {
    if (!entries.empty()) entries += ',';
    if (entry.error_code.empty()) {
      entries += fmt::format(R"({{"EventId":{}}})", eb::json_string(entry.event_id));
    } else {
      ++failed;
      entries += fmt::format(R"({{"ErrorCode":{},"ErrorMessage":{}}})", eb::json_string(entry.error_code),
                             eb::json_string(entry.error_message));
    }
  }
  return fmt::format(R"({{"FailedEntryCount":{},"Entries":[{}]}})", failed, entries);
}

}  // namespace hf::router
