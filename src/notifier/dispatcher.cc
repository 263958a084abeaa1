#include "notifier/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "net/crypto.h"
#include "wire/twilio/address.h"
#include "wire/twilio/callback.h"
#include "wire/twilio/signature.h"

namespace hf::notifier {
namespace {

using wire::twilio::CallbackOutcome;
using wire::twilio::Kind;

constexpr Duration kStorePause = 1s;
constexpr std::size_t kPagesPerLook = 50, kPassingOnMax = 1000;

bool is_open(State state) { return state == State::waiting || state == State::sending || state == State::unknown; }

Duration spacing(double calls_per_second) {
  if (calls_per_second <= 0) return 0s;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / calls_per_second));
}

void log_step(const Applied& applied, const Event& event) {
  const Notification& n = applied.row;
  if (applied.step.duplicate) {
    log::error("notifier.duplicate", {{"notification_id", n.id}, {"order_id", n.order_id}, {"sid", n.entry.sid}});
  } else if (n.entry.state == State::parked) {
    log::error("notifier.parked", {{"notification_id", n.id}, {"order_id", n.order_id}, {"reason", n.entry.reason}});
  } else if (n.entry.state == State::refused) {
    const auto failure = wire::twilio::classify_refusal(n.entry.error_code);
    const log::Field fields[] = {{"notification_id", n.id},
                                 {"event_id", n.event_id},
                                 {"to", wire::twilio::mask_address(n.to)},
                                 {"code", n.entry.error_code},
                                 {"class", wire::twilio::to_string(failure)}};
    // `fix`: our request or our account is wrong and stays so until somebody acts. The others are the recipient's.
    const bool ours = failure == wire::twilio::FailureClass::fix;
    (ours ? log::error : log::warn)("notifier.refused", {fields[0], fields[1], fields[2], fields[3], fields[4]});
  } else if (n.entry.state == State::unknown || n.entry.state == State::waiting) {
    log::warn("notifier.unsettled",
              {{"notification_id", n.id}, {"state", to_string(n.entry.state)}, {"reason", n.entry.reason}});
  } else {
    log::debug("notifier.step", {{"notification_id", n.id},
                                 {"event_id", n.event_id},
                                 {"what", name_of(event)},
                                 {"sid", n.entry.sid},
                                 {"status", n.entry.status}});
  }
}

}  // namespace

Dispatcher::Dispatcher(sys::World world, const NotifierConfig& config, Store& store, Transport transport)
    : world_(world),
      config_(config),
      store_(store),
      transport_(std::move(transport)),
      tasks_(world.executor, world.clock),
      wake_(world.clock),
      free_(world.clock),
      duplicates_(world.metrics.counter("holdfast_notifier_duplicates_total", "second SIDs for one notification")),
      unsettled_(world.metrics.gauge("holdfast_notifier_unsettled", "notifications waiting, sending or unknown")),
      call_seconds_(world.metrics.histogram("holdfast_notifier_call_seconds", "provider create calls")) {
  for (const Event& event :
       {Event(CallBegun{}), Event(CallCreated{}), Event(CallRefused{}), Event(CallNotMade{}), Event(CallLost{}),
        Event(Restarted{}), Event(Reported{}), Event(Found{}), Event(NotFound{}), Event(LookFailed{}),
        Event(PollFailed{}), Event(OperatorResends{}), Event(OperatorFound{}), Event(OperatorGivesUp{})}) {
    const std::string name(name_of(event));
    events_[name] =
        &world.metrics.counter("holdfast_notifier_events_total", "ledger events by kind", {{"event", name}});
  }
}

Task<> Dispatcher::resume() {
  HF_CO_TRY(const std::vector<Notification> rows, co_await store_.open());
  std::size_t restarted = 0;
  for (const Notification& row : rows) {
    if (row.entry.state != State::sending) {
      if (is_open(row.entry.state)) track(row);
      plan(row);
      continue;
    }
    track(row);
    ++restarted;
    HF_CO_TRY(co_await record(row.id, Restarted{}));
  }
  if (!rows.empty()) log::info("notifier.resumed", {{"open", rows.size()}, {"outcome_unknown", restarted}});
  tasks_.spawn("agenda", run());
  co_return ok();
}

// ---- who may call now
// ------------------------------------------------------------------------------------------------

asio::awaitable<bool> Dispatcher::acquire(Monotonic deadline) {
  while (true) {
    const Monotonic now = world_.clock.now();
    if (stopping_) co_return false;
    if (in_flight_ < config_.calls_in_flight && now >= next_call_) break;
    if (now >= deadline) co_return false;
    const bool paced = in_flight_ < config_.calls_in_flight;
    co_await free_.wait_until(paced ? std::min(deadline, next_call_) : deadline);
  }
  ++in_flight_;
  next_call_ = world_.clock.now() + spacing(config_.calls_per_second);
  co_return true;
}

void Dispatcher::release() {
  HF_ASSERT(in_flight_ > 0);
  --in_flight_;
  free_.notify_one();
}

// ---- rows that something is owed to
// ----------------------------------------------------------------------------------

Dispatcher::OpenPtr Dispatcher::track(const Notification& row) {
  OpenPtr& open = open_[row.id];
  if (!open) open = std::make_shared<Open>(world_.clock);
  open->row = row;
  unsettled_.set(static_cast<double>(open_.size()));
  return open;
}

/// After every recorded event: counted, logged, acted upon.
void Dispatcher::settle(const Applied& applied, const Event& event) {
  if (applied.repeated) {
    // Recorded before, but perhaps nobody here was told: the answer of that commit may have been lost.
    if (open_.contains(applied.row.id)) refresh(applied.row);
    return;
  }
  if (applied.step.duplicate) duplicates_.add();
  if (applied.step.changed || applied.step.duplicate) {
    events_.find(name_of(event))->second->add();
    log_step(applied, event);
  }
  if (applied.step.changed) refresh(applied.row);
}

/// Who waits is woken, what is due is planned, what is done is let go.
void Dispatcher::refresh(const Notification& row) {
  if (is_open(row.entry.state)) {
    track(row)->changed.notify_all();
  } else if (const auto found = open_.find(row.id); found != open_.end()) {
    const OpenPtr open = found->second;
    open_.erase(found);
    unsettled_.set(static_cast<double>(open_.size()));
    open->row = row;
    open->changed.notify_all();
  }
  plan(row);
}

void Dispatcher::plan(const Notification& row) {
  due_.erase(row.id);
  if (!row.entry.due) return;
  // Never longer than it was planned, whatever the wall clock did meanwhile.
  const Duration longest = std::max<Duration>(*row.entry.due - row.entry.state_since, 0s);
  const Duration wait = std::clamp<Duration>(*row.entry.due - world_.clock.wall(), 0s, longest);
  const Monotonic at = world_.clock.now() + wait;
  due_[row.id] = at;
  agenda_.emplace(at, row.id);
  wake_.notify_all();
}

/// Records an outcome, however long it takes: an outcome that is known and not recorded would have to be resolved
/// later. The key makes the repetition of a commit whose answer was lost one event.
Task<Applied> Dispatcher::record(std::string id, Event event, std::string resource) {
  const std::string key = fmt::format("{}/{}", id, world_.random.hex(8));
  bool uncertain = false;
  while (true) {
    Result<Applied> applied = co_await store_.apply(id, event, world_.clock.wall(), key, resource);
    if (applied) {
      if (uncertain && applied->repeated) {
        applied->repeated = applied->step.ignored = false;  // it was this very call that took effect
        applied->step.changed = true;
      }
      settle(*applied, event);
      co_return std::move(*applied);
    }
    const Code code = applied.error().code;
    const bool passes = code == Code::unavailable || code == Code::timeout || code == Code::exhausted;
    log::error("notifier.not_recorded",
               {{"notification_id", id}, {"event", name_of(event)}, {"error", applied.error().to_string()}});
    if (!passes || stopping_) co_return std::move(applied).error();
    uncertain |= code == Code::timeout;
    co_await wake_.wait_until(world_.clock.now() + kStorePause);
  }
}

/// For where nothing hangs on it: a failure is logged, and the next process finds the row as it was.
asio::awaitable<void> Dispatcher::note(std::string id, Event event) {
  const Result<Applied> recorded = co_await record(std::move(id), std::move(event));
  static_cast<void>(recorded);
}

// ---- a client's request
// ----------------------------------------------------------------------------------------------

Task<Notification> Dispatcher::submit(Notification row, Monotonic deadline) {
  if (open_.size() >= config_.unsettled || free_.waiting() >= config_.waiting) {
    co_return Error{Code::exhausted, "too many notifications are on their way"};
  }
  if (!co_await acquire(deadline)) co_return Error{Code::exhausted, "no provider call was free in time"};
  row.entry.attempt_started = row.entry.state_since = row.entry.created = world_.clock.wall();
  const std::string new_id = row.id;
  Result<Store::Inserted> stored = co_await store_.insert(std::move(row));
  if (!stored || !stored->inserted) release();
  if (!stored && stored.error().code == Code::timeout) tasks_.spawn("adopt", adopt(new_id));
  if (!stored) co_return std::move(stored).error();
  Notification current = std::move(stored->row);

  OpenPtr open;
  if (stored->inserted) {
    open = track(current);
    tasks_.spawn("call", call(current));
  } else if (const auto found = open_.find(current.id); found != open_.end()) {
    open = found->second;
  } else {
    co_return current;
  }
  while (is_open(open->row.entry.state) && !stopping_ && world_.clock.now() < deadline) {
    co_await open->changed.wait_until(deadline);
  }
  co_return open->row;
}

/// A row whose commit was reported lost may be there, in state `sending`, and nobody calls for it: like after a
/// restart.
asio::awaitable<void> Dispatcher::adopt(std::string id) {
  while (!stopping_) {
    const Result<std::optional<Notification>> row = co_await store_.by_id(id);
    if (row && !*row) co_return;  // it was not committed
    if (row) {
      track(**row);
      co_return co_await note(id, Restarted{});
    }
    co_await wake_.wait_until(world_.clock.now() + kStorePause);
  }
}

/// One provider call. The row is durable in state `sending`, and one of the free calls is held.
asio::awaitable<void> Dispatcher::call(Notification row) {
  const std::string id = row.id;
  if (const Result<void> reached = co_await world_.faults.reach("notifier.after_row"); !reached) {
    release();
    co_await note(id, CallNotMade{reached.error().message, {}});
    co_return;
  }
  ProviderCall outgoing = create_call(row, config_);
  const Monotonic begun = world_.clock.now();
  const Result<net::HttpResponse> response =
      co_await transport_(std::move(outgoing.request), std::move(outgoing.url), begun + config_.call_timeout);
  release();
  call_seconds_.observe_seconds(std::chrono::duration<double>(world_.clock.now() - begun).count());
  Answer answer = read_answer(row.entry.kind, response);
  if (const Result<void> reached = co_await world_.faults.reach("notifier.after_call"); !reached) {
    answer = {CallLost{reached.error().message}, {}};
  }
  const Result<Applied> recorded = co_await record(id, answer.event, answer.resource);
  if (!recorded && recorded.error().code == Code::conflict) {
    // The SID we were given is linked to a twin (same text, same number): the twin's own SID is free, a look finds it.
    co_await note(id, CallLost{recorded.error().message});
  }
}

// ---- a provider's report, a person's word
// ----------------------------------------------------------------------------

Task<Applied> Dispatcher::report(std::string id, Reported reported, std::string key) {
  const Event event = std::move(reported);
  HF_CO_TRY(Applied applied, co_await store_.apply(std::move(id), event, world_.clock.wall(), std::move(key)));
  settle(applied, event);
  co_return applied;
}

Task<Notification> Dispatcher::operate(std::string id, Event event) {
  HF_CO_TRY(Applied applied, co_await record(std::move(id), std::move(event)));
  if (applied.step.ignored) {
    co_return Error{Code::conflict, fmt::format("the notification is {}", to_string(applied.row.entry.state))};
  }
  co_return std::move(applied.row);
}

void Dispatcher::pass_on(const Notification& row, wire::twilio::Fields form) {
  if (row.client_callback.empty() || stopping_) return;
  if (passing_on_ >= kPassingOnMax) {
    log::warn("notifier.not_passed_on", {{"notification_id", row.id}, {"reason", "too many under way"}});
    return;
  }
  ++passing_on_;
  tasks_.spawn("pass_on", pass(row.client_callback, std::move(form)));
}

asio::awaitable<void> Dispatcher::pass(std::string url, wire::twilio::Fields form) {
  const wire::twilio::CallbackTarget target = wire::twilio::parse_callback_target(url);
  const Monotonic end = world_.clock.now() + target.policy.total;
  for (int tries = 1;; ++tries) {
    net::HttpRequest request;
    request.method = "POST";
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8");
    request.headers.add(std::string(wire::twilio::kSignatureHeader),
                        wire::twilio::sign(net::hmac_sha1, config_.auth_token, target.url, form));
    request.body = net::encode_form(form);
    const Result<net::HttpResponse> answer = co_await transport_(std::move(request), target.url, end);
    const CallbackOutcome outcome = !answer && answer.error().code == Code::timeout ? CallbackOutcome::timed_out
                                    : !answer                                       ? CallbackOutcome::not_connected
                                    : answer->status >= 500                         ? CallbackOutcome::status_5xx
                                    : answer->status >= 400                         ? CallbackOutcome::status_4xx
                                                                                    : CallbackOutcome::accepted;
    const Monotonic next = world_.clock.now() + tries * 200ms;
    if (stopping_ || next >= end || !wire::twilio::retries(target.policy, outcome, tries)) break;
    co_await wake_.wait_until(next);
  }
  --passing_on_;
}

// ---- what is due
// -----------------------------------------------------------------------------------------------------

asio::awaitable<void> Dispatcher::run() {
  while (!stopping_) {
    if (agenda_.empty()) {
      co_await wake_.wait();
      continue;
    }
    const auto [at, id] = *agenda_.begin();
    if (at > world_.clock.now()) {
      co_await wake_.wait_until(at);
      continue;
    }
    agenda_.erase(agenda_.begin());
    const auto latest = due_.find(id);
    if (latest == due_.end() || latest->second != at) continue;  // superseded
    due_.erase(latest);
    const auto [attended, first] = attended_.try_emplace(id, false);
    if (first) {
      tasks_.spawn("attend", attend(id));
    } else {
      attended->second = true;
    }
  }
}

asio::awaitable<void> Dispatcher::attend(std::string id) {
  if (co_await acquire(Monotonic::max())) {
    Result<std::optional<Notification>> row = co_await store_.by_id(id);
    if (!row || !*row) {
      release();
      log::error("notifier.not_read", {{"notification_id", id}});
      due_[id] = world_.clock.now() + kStorePause;
      agenda_.emplace(due_[id], id);
    } else if ((*row)->entry.state == State::waiting) {
      const Result<Applied> begun = co_await record(id, CallBegun{});
      if (begun && begun->row.entry.state == State::sending && begun->step.changed) {
        co_await call(begun->row);
      } else {
        release();
      }
    } else {
      if ((*row)->entry.state == State::unknown) co_await look(**row);
      if ((*row)->entry.state == State::created) co_await poll(**row);
      release();
    }
  }
  const bool again = std::exchange(attended_.at(id), false);
  if (again && !stopping_) {
    tasks_.spawn("attend", attend(std::move(id)));
  } else {
    attended_.erase(id);
  }
}

asio::awaitable<void> Dispatcher::look(Notification row) {
  Result<std::vector<Listed>> candidates = co_await read_list(row);
  if (!candidates) {
    co_await note(row.id, LookFailed{candidates.error().message});
    co_return;
  }
  const Result<Store::Rivals> rivals = co_await store_.rivals(row.entry.kind, row.to, row.text);
  if (!rivals) {
    co_await note(row.id, LookFailed{rivals.error().message});
    co_return;
  }
  const Event event = read_look(row.entry.kind, *candidates, *rivals);
  const std::string resource = std::holds_alternative<Found>(event) ? candidates->front().resource : "";
  const Result<Applied> recorded = co_await record(row.id, event, resource);
  if (!recorded && recorded.error().code == Code::conflict) {
    co_await note(row.id, LookFailed{"another notification took the SID meanwhile"});
  }
}

/// What the provider's list has for this row and belongs to nobody yet, oldest first.
Task<std::vector<Listed>> Dispatcher::read_list(Notification row) {
  std::vector<Listed> candidates;
  ProviderCall outgoing = list_call(row, config_);
  for (std::size_t page_number = 0;; ++page_number) {
    if (page_number == kPagesPerLook) co_return Error{Code::exhausted, "the provider's list has too many pages"};
    HF_CO_TRY(const net::HttpResponse response,
              co_await transport_(std::move(outgoing.request), std::move(outgoing.url),
                                  world_.clock.now() + config_.call_timeout));
    if (response.status != 200)
      co_return Error{Code::unavailable, fmt::format("the list was answered {}", response.status)};
    HF_CO_TRY(const wire::twilio::Page page, wire::twilio::parse_page(row.entry.kind, response.body));
    bool beyond = false;
    for (const std::string& item : page.items) {
      std::optional<Listed> listed = read_listed(row.entry.kind, item);
      if (!listed) co_return Error{Code::invalid, "the list has an item without SID"};
      beyond |= is_too_old(*listed, row, config_);
      if (may_be(*listed, row, config_)) candidates.push_back(std::move(*listed));
    }
    if (page.next_page_uri.empty() || beyond) break;
    outgoing = next_page_call(page.next_page_uri, config_);
  }
  std::vector<std::string> sids;
  for (const Listed& listed : candidates) sids.push_back(listed.sid);
  HF_CO_TRY(const std::vector<std::string> taken, co_await store_.taken(std::move(sids)));
  std::erase_if(candidates, [&](const Listed& listed) { return std::ranges::find(taken, listed.sid) != taken.end(); });
  std::ranges::reverse(candidates);  // lists are newest first
  co_return candidates;
}

asio::awaitable<void> Dispatcher::poll(Notification row) {
  ProviderCall outgoing = fetch_call(row, config_);
  const Result<net::HttpResponse> response = co_await transport_(std::move(outgoing.request), std::move(outgoing.url),
                                                                 world_.clock.now() + config_.call_timeout);
  std::optional<Listed> seen;
  if (response && response->status == 200) seen = read_listed(row.entry.kind, response->body);
  if (seen && seen->sid == row.entry.sid && wire::twilio::advances(row.entry.kind, row.entry.status, seen->status)) {
    co_await note(row.id, Reported{seen->sid, seen->status, seen->error_code, {}});
  } else {
    co_await note(row.id, PollFailed{});
  }
}

asio::awaitable<void> Dispatcher::stop() {
  stopping_ = true;
  wake_.notify_all();
  free_.notify_all();
  for (const auto& [id, open] : open_) open->changed.notify_all();
  co_await tasks_.join();
}

}  // namespace hf::notifier
