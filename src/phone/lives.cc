#include "phone/lives.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "net/crypto.h"
#include "wire/twilio/address.h"
#include "wire/twilio/signature.h"
#include "wire/twilio/status.h"

namespace hf::phone {
namespace {

using wire::twilio::CallbackOutcome;
using wire::twilio::Kind;

constexpr Duration kRetryPause = 200ms, kStorePause = 1s;
constexpr std::size_t kApplyAtOnce = 512;

bool open(const Step& step) { return !step.applied || step.reported; }

CallbackOutcome outcome_of(const Result<net::HttpResponse>& response) {
  if (!response)
    return response.error().code == Code::timeout ? CallbackOutcome::timed_out : CallbackOutcome::not_connected;
  if (response->status >= 500) return CallbackOutcome::status_5xx;
  return response->status >= 400 ? CallbackOutcome::status_4xx : CallbackOutcome::accepted;
}

wire::twilio::Fields form_of(const Life& life, std::size_t at, WallTime now) {
  const Step& step = life.steps[at];
  Resource reported = life.resource;
  reported.status = step.status;
  reported.error_code = step.error_code;
  if (reported.kind == Kind::message) return wire::twilio::message_callback(to_message(reported));
  int sequence = 0;
  for (std::size_t i = 0; i < at; ++i) sequence += life.steps[i].callback != "none" ? 1 : 0;
  return wire::twilio::call_callback(to_call(reported), step.status, sequence, now);
}

}  // namespace

void apply_step(Resource& resource, const Step& step, const PhoneConfig& config, WallTime now) {
  resource.updated = now;
  if (step.status == "initiated") return;
  if (wire::twilio::advances(resource.kind, resource.status, step.status)) resource.status = step.status;
  if (step.error_code != 0) resource.error_code = step.error_code;
  if (resource.from.empty()) resource.from = config.default_sender;
  if (step.status == "sent" || step.status == "in-progress") resource.sent = now;
  if (resource.kind == Kind::call && wire::twilio::is_final(resource.kind, step.status)) resource.ended = now;
  if (step.status == "completed") {
    resource.duration_s = std::chrono::duration_cast<std::chrono::seconds>(config.talk).count();
  }
}

Lives::Lives(sys::World world, const PhoneConfig& config, Store& store, FaultSwitches& faults, Transport transport)
    : world_(world),
      config_(config),
      store_(store),
      faults_(faults),
      transport_(std::move(transport)),
      wake_(world.clock),
      tasks_(world.executor, world.clock),
      callbacks_sent_(world.metrics.counter("holdfast_phone_callbacks_total", "status callbacks by outcome",
                                            {{"outcome", "sent"}})),
      callbacks_lost_(world.metrics.counter("holdfast_phone_callbacks_total", "status callbacks by outcome",
                                            {{"outcome", "lost"}})),
      callbacks_failed_(world.metrics.counter("holdfast_phone_callbacks_total", "status callbacks by outcome",
                                              {{"outcome", "failed"}})) {}

Task<> Lives::resume() {
  HF_CO_TRY(std::vector<Life> open_lives, co_await store_.unfinished());
  if (!open_lives.empty()) log::info("phone.resumed", {{"unfinished", open_lives.size()}});
  for (Life& life : open_lives) {
    const auto kept = std::make_shared<Life>(std::move(life));
    schedule(*kept, config_.restart_pause);
    lives_[kept->resource.sid] = kept;
  }
  tasks_.spawn("lives", run());
  co_return ok();
}

void Lives::add(Life life) {
  if (std::ranges::none_of(life.steps, open)) return;
  const auto kept = std::make_shared<Life>(std::move(life));
  schedule(*kept, 0s);
  lives_[kept->resource.sid] = kept;
  wake_.notify_all();
}

void Lives::schedule(const Life& life, Duration not_before) {
  const Monotonic now = world_.clock.now();
  const WallTime wall = world_.clock.wall();
  const auto at = [&](WallTime due) {
    // A wall clock that was set back must not stretch a wait beyond what was planned.
    const Duration planned = due - life.resource.created;
    return now + std::clamp<Duration>(due - wall, not_before, std::max(not_before, planned));
  };
  for (std::size_t i = 0; i < life.steps.size(); ++i) {
    const Step& step = life.steps[i];
    if (!step.applied) agenda_.emplace(at(step.due), Due{life.resource.sid, i, false});
    if (step.reported) agenda_.emplace(std::max(at(step.due), at(step.callback_due)), Due{life.resource.sid, i, true});
  }
}

asio::awaitable<void> Lives::run() {
  while (!stopping_) {
    if (agenda_.empty()) {
      co_await wake_.wait();
    } else if (agenda_.begin()->first > world_.clock.now()) {
      co_await wake_.wait_until(agenda_.begin()->first);
    } else {
      co_await apply_due();
      pump();
    }
  }
}

asio::awaitable<void> Lives::apply_due() {
  std::vector<Due> due;
  std::vector<Store::Applied> batch;
  std::vector<Due> reports;
  while (!agenda_.empty() && agenda_.begin()->first <= world_.clock.now() && batch.size() < kApplyAtOnce) {
    Due next = std::move(agenda_.begin()->second);
    agenda_.erase(agenda_.begin());
    if (next.report) {
      reports.push_back(std::move(next));
      continue;
    }
    Life& life = *lives_.at(next.sid);
    Step& step = life.steps[next.step];
    apply_step(life.resource, step, config_, world_.clock.wall());
    batch.push_back({life.resource, step.sequence});
    due.push_back(std::move(next));
  }
  if (!batch.empty()) {
    const Result<void> stored = co_await store_.apply(std::move(batch));
    if (!stored) {
      log::error("phone.store_failed", {{"error", stored.error().to_string()}});
      const Monotonic again = world_.clock.now() + kStorePause;
      for (Due& item : due) agenda_.emplace(again, std::move(item));
      for (Due& item : reports) agenda_.emplace(again, std::move(item));
      co_return;
    }
  }
  for (const Due& item : due) {
    Life& life = *lives_.at(item.sid);
    life.steps[item.step].applied = true;
    if (life.steps[item.step].status == "in-progress" && !life.resource.url.empty() && life.resource.text.empty()) {
      tasks_.spawn("fetch_twiml", fetch_twiml(item.sid));
    }
    close_step(item);
  }
  for (Due& item : reports) to_report_.push_back(std::move(item));
}

void Lives::pump() {
  while (!stopping_ && !to_report_.empty() && reporting_ < config_.callbacks_in_flight) {
    Due next = std::move(to_report_.front());
    to_report_.pop_front();
    ++reporting_;
    tasks_.spawn("report", report(std::move(next)));
  }
}

asio::awaitable<void> Lives::report(Due due) {
  const std::shared_ptr<Life> life = lives_.at(due.sid);
  Step& step = life->steps[due.step];
  const auto fault = faults_.take(FaultPlace::callback, life->resource.to);
  std::string outcome = "lost";
  if (!fault || fault->mode != FaultMode::callback_lost) {
    const int times = fault && fault->mode == FaultMode::callback_duplicated ? 2 : 1;
    CallbackOutcome last = CallbackOutcome::accepted;
    for (int i = 0; i < times; ++i) {
      wire::twilio::Fields form = form_of(*life, due.step, world_.clock.wall());
      last = co_await post(life->resource.callback_url, std::move(form));
    }
    outcome = last == CallbackOutcome::accepted ? "sent" : "failed";
  }
  --reporting_;
  if (outcome == "failed" && stopping_) co_return;  // open: the next process sends it
  (outcome == "sent" ? callbacks_sent_ : outcome == "lost" ? callbacks_lost_ : callbacks_failed_).add();
  if (outcome == "failed") log::warn("phone.callback_failed", {{"sid", due.sid}, {"status", step.status}});
  const Result<void> stored = co_await store_.callback_done(due.sid, step.sequence, outcome);
  if (!stored) log::error("phone.store_failed", {{"sid", due.sid}, {"error", stored.error().to_string()}});
  step.reported = false;
  close_step(due);
  pump();
}

asio::awaitable<CallbackOutcome> Lives::post(std::string url, wire::twilio::Fields form) {
  const wire::twilio::CallbackTarget target = wire::twilio::parse_callback_target(url);
  const Monotonic end = world_.clock.now() + target.policy.total;
  const std::string token = world_.random.hex(16);
  for (int tries = 1;; ++tries) {
    net::HttpRequest request;
    request.method = "POST";
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8");
    request.headers.add("User-Agent", "TwilioProxy/1.1");
    request.headers.add("I-Twilio-Idempotency-Token", token);
    request.headers.add(std::string(wire::twilio::kSignatureHeader),
                        wire::twilio::sign(net::hmac_sha1, config_.auth_token, target.url, form));
    request.body = net::encode_form(form);
    const Monotonic deadline = std::min(end, world_.clock.now() + target.policy.read_timeout);
    const CallbackOutcome outcome = outcome_of(co_await transport_(std::move(request), target.url, deadline));
    const Monotonic next = world_.clock.now() + tries * kRetryPause;
    if (!wire::twilio::retries(target.policy, outcome, tries) || next >= end || stopping_) co_return outcome;
    co_await wake_.wait_until(next);
  }
}

asio::awaitable<void> Lives::fetch_twiml(std::string sid) {
  const std::shared_ptr<Life> life = lives_.contains(sid) ? lives_.at(sid) : nullptr;
  if (!life) co_return;
  wire::twilio::Fields form =
      wire::twilio::call_callback(to_call(life->resource), "in-progress", 0, world_.clock.wall());
  net::HttpRequest request;
  request.method = "POST";
  request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8");
  request.headers.add(std::string(wire::twilio::kSignatureHeader),
                      wire::twilio::sign(net::hmac_sha1, config_.auth_token, life->resource.url, form));
  request.body = net::encode_form(form);
  const Result<net::HttpResponse> answer =
      co_await transport_(std::move(request), life->resource.url, world_.clock.now() + 15s);
  if (!answer || answer->status < 200 || answer->status > 299) {
    log::warn("phone.twiml_not_fetched", {{"sid", sid}});
    co_return;
  }
  life->resource.text = wire::twilio::spoken_text(answer->body);
  const Result<void> stored = co_await store_.set_text(sid, life->resource.text);
  if (!stored) log::error("phone.store_failed", {{"sid", sid}, {"error", stored.error().to_string()}});
}

void Lives::close_step(const Due& due) {
  const auto found = lives_.find(due.sid);
  if (found != lives_.end() && std::ranges::none_of(found->second->steps, open)) lives_.erase(found);
}

asio::awaitable<void> Lives::stop() {
  stopping_ = true;
  wake_.notify_all();
  co_await tasks_.join();
}

}  // namespace hf::phone
