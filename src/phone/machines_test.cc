#include "net/crypto.h"
#include "phone/lifecycle.h"
#include "phone/magic_numbers.h"
#include "wire/twilio/signature.h"

namespace hf::phone {
namespace {

using wire::twilio::Kind;

std::string statuses(const std::vector<PlannedStep>& steps) {
  std::string out;
  for (const PlannedStep& step : steps) out += step.status + (step.reported ? "* " : " ");
  return out;
}

Fault fault(FaultMode mode) {
  Fault f;
  f.mode = mode;
  return f;
}

TEST(Lifecycle, EveryPathThroughIt) {
  struct Case {
    const char* what;
    LifecycleInput input;
    const char* want;  ///< * marks a callback
  };
  const std::vector<std::string> all = {"initiated", "ringing", "answered", "completed"};
  const std::vector<Case> cases = {
      {"SMS", {.first_status = "queued", .callbacks = true}, "sending* sent* delivered* "},
      {"nobody asked", {.first_status = "queued"}, "sending sent delivered "},
      {"WhatsApp is read", {.whatsapp = true, .first_status = "queued"}, "sending sent delivered read "},
      {"through a service", {.first_status = "accepted", .callbacks = true}, "queued* sending* sent* delivered* "},
      {"undelivered", {.first_status = "queued", .fault = fault(FaultMode::undelivered)}, "sending sent undelivered "},
      {"failed", {.first_status = "queued", .fault = fault(FaultMode::failed)}, "sending failed "},
      {"call, by default",
       {.kind = Kind::call, .first_status = "queued", .callbacks = true, .events = {"completed"}},
       "initiated ringing in-progress completed* "},
      {"call, four events",
       {.kind = Kind::call, .first_status = "queued", .callbacks = true, .events = all},
       "initiated* ringing* in-progress* completed* "},
      {"call nobody answers",
       {.kind = Kind::call,
        .first_status = "queued",
        .callbacks = true,
        .events = {"completed"},
        .fault = fault(FaultMode::undelivered)},
       "initiated ringing no-answer* "},
      {"call that fails",
       {.kind = Kind::call, .first_status = "queued", .fault = fault(FaultMode::failed)},
       "initiated failed "},
  };
  for (const Case& c : cases) EXPECT_EQ(statuses(plan_life(c.input, {})), c.want) << c.what;
}

TEST(Lifecycle, ReportsNeverComeBeforeTheChangeEvenReversed) {
  const LifecycleInput input{
      .first_status = "queued", .callbacks = true, .fault = fault(FaultMode::callback_reordered)};
  const std::vector<PlannedStep> steps = plan_life(input, {});
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_GE(steps[i].callback_due, steps[i].due);
    if (i > 0) EXPECT_LT(steps[i].callback_due, steps[i - 1].callback_due);
  }
}

TEST(Faults, MatchCountAndPlace) {
  FaultSwitches faults;
  Fault twice = fault(FaultMode::create_then_500);
  twice.count = 2;
  twice.to = "+15551234567";
  ASSERT_TRUE(faults.add(twice).has_value());
  Fault always = fault(FaultMode::callback_lost);
  always.count = 0;
  const std::string id = *faults.add(always);
  EXPECT_FALSE(faults.take(FaultPlace::create, "+15550000000")) << "another number";
  EXPECT_TRUE(faults.take(FaultPlace::create, "+15551234567"));
  EXPECT_TRUE(faults.take(FaultPlace::create, "+15551234567"));
  EXPECT_FALSE(faults.take(FaultPlace::create, "+15551234567")) << "used up";
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(faults.take(FaultPlace::callback, "+15550000000"));
  EXPECT_EQ(faults.all().front().fired, 5);
  EXPECT_TRUE(faults.remove(id));
  EXPECT_FALSE(faults.take(FaultPlace::callback, "+15550000000"));
}

TEST(MagicNumbers, EveryRow) {
  struct Case {
    Kind kind;
    const char* from;
    const char* to;
    int code;
    int status;
  };
  const char* ok = "+15005550006";
  const char* anybody = "+15558675310";
  const std::vector<Case> cases = {
      {Kind::message, ok, anybody, 0, 0},
      {Kind::message, "+15005550001", anybody, 21212, 400},
      {Kind::message, "+15005550007", anybody, 21606, 400},
      {Kind::message, "+15005550008", anybody, 21611, 429},
      {Kind::message, "+15557122661", anybody, 21606, 400},
      {Kind::message, ok, "+15005550001", 21211, 400},
      {Kind::message, ok, "+15005550002", 21612, 400},
      {Kind::message, ok, "+15005550003", 21408, 400},
      {Kind::message, ok, "+15005550004", 21610, 400},
      {Kind::message, ok, "+15005550009", 21614, 400},
      {Kind::call, ok, anybody, 0, 0},
      {Kind::call, "+15005550001", anybody, 21212, 400},
      {Kind::call, "+15557122661", anybody, 21210, 400},
      {Kind::call, ok, "+15005550001", 21217, 400},
      {Kind::call, ok, "+15005550002", 21214, 400},
      {Kind::call, ok, "+15005550003", 21215, 400},
      {Kind::call, ok, "+15005550004", 21216, 400},
  };
  for (const Case& c : cases) {
    const auto refused = magic_refusal(c.kind, c.from, c.to);
    EXPECT_EQ(refused ? refused->code : 0, c.code) << c.from << " → " << c.to;
    EXPECT_EQ(refused ? refused->status : 0, c.status) << c.from << " → " << c.to;
  }
}

// The vector Twilio publishes with its helper libraries.
TEST(Signature, PublishedVector) {
  const wire::twilio::Fields form = {{"CallSid", "CA1234567890ABCDE"},
                                     {"Caller", "+14158675310"},
                                     {"Digits", "1234"},
                                     {"From", "+14158675310"},
                                     {"To", "+18005551212"}};
  EXPECT_EQ(wire::twilio::sign(net::hmac_sha1, "12345", "https://example.com/myapp.php?foo=1&bar=2", form),
            "L/OH5YylLD5NRKLltdqwSvS0BnU=");
}

}  // namespace
}  // namespace hf::phone
