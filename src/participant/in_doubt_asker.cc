#include "participant/in_doubt_asker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace hf::participant {
namespace {

namespace two_phase = wire::two_phase;

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

InDoubtAsker::InDoubtAsker(sys::World world, const TwoPhaseConfig& config, Branches& branches,
                           const TwoPhaseCalls& calls, End end)
    : world_(std::move(world)),
      config_(config),
      branches_(branches),
      calls_(calls),
      end_(std::move(end)),
      backoff_{.first = std::min(config.ask_after, config.ask_max) / 4, .max = config.ask_max},
      pace_(std::clamp<Duration>(config.ask_after / 4, 50ms, 1s)),
      in_doubt_(world_.metrics.gauge("holdfast_participant_in_doubt_branches", "Branches that voted and wait",
                                     {{"participant", config.name}})),
      old_(world_.metrics.gauge("holdfast_participant_in_doubt_branches_old", "Of these, beyond the alarm's time",
                                {{"participant", config.name}})),
      oldest_(world_.metrics.gauge("holdfast_participant_in_doubt_oldest_seconds",
                                   "For how long the oldest of these has been seen waiting by this process",
                                   {{"participant", config.name}})),
      asked_(world_.metrics.counter("holdfast_participant_outcome_questions_total", "Outcomes asked for",
                                    {{"participant", config.name}, {"outcome", "answered"}})),
      unanswered_(world_.metrics.counter("holdfast_participant_outcome_questions_total", "Outcomes asked for",
                                         {{"participant", config.name}, {"outcome", "silent"}})),
      wake_(world_.clock),
      tasks_(world_.executor, world_.clock) {}

void InDoubtAsker::start() { tasks_.spawn("in_doubt_asker", run()); }

asio::awaitable<void> InDoubtAsker::stop() {
  stopping_ = true;
  wake_.notify_all();
  co_await tasks_.join();
}

asio::awaitable<void> InDoubtAsker::run() {
  while (!stopping_) {
    co_await round();
    if (!stopping_) co_await wake_.wait_until(world_.clock.now() + pace_);
  }
}

asio::awaitable<void> InDoubtAsker::round() {
  const Result<std::vector<InDoubt>> all = co_await branches_.in_doubt();
  if (!all) {
    log::warn("participant.in_doubt.unreadable", {{"participant", config_.name}, {"error", all.error().to_string()}});
    co_return;
  }
  look_at(*all);
  raise_alarms();
  std::vector<std::string> due;
  for (const auto& [gtrid, waiting] : waiting_) {
    if (waiting.ask_at <= world_.clock.now() && two_phase::parse_gtrid(gtrid)) due.push_back(gtrid);
  }
  bool silent = false;
  for (const std::string& gtrid : due) {
    if (stopping_) co_return;
    // Who does not answer one question does not answer the next thousand: they wait for their next time.
    const Answer answer = silent ? Answer::silent : co_await ask(gtrid);
    silent = answer == Answer::silent;
    const auto found = waiting_.find(gtrid);
    if (found == waiting_.end()) continue;
    if (answer == Answer::ended) {
      waiting_.erase(found);
    } else {
      found->second.ask_at = world_.clock.now() + backoff_.delay(found->second.asked++, world_.random);
    }
  }
}

void InDoubtAsker::look_at(const std::vector<InDoubt>& all) {
  const Monotonic now = world_.clock.now();
  std::map<std::string, Waiting> still;
  for (const InDoubt& one : all) {
    const auto known = waiting_.find(one.gtrid);
    still.emplace(one.gtrid, known != waiting_.end() ? known->second : Waiting{now, now + config_.ask_after});
  }
  waiting_ = std::move(still);
  Duration oldest{};
  std::size_t old = 0;
  for (const auto& [gtrid, waiting] : waiting_) {
    oldest = std::max(oldest, now - waiting.since);
    if (now - waiting.since >= config_.alarm_after) ++old;
  }
  in_doubt_.set(static_cast<double>(waiting_.size()));
  old_.set(static_cast<double>(old));
  oldest_.set(seconds(oldest));
}

void InDoubtAsker::raise_alarms() {
  for (auto& [gtrid, waiting] : waiting_) {
    const Duration age = world_.clock.now() - waiting.since;
    if (waiting.alarmed || age < config_.alarm_after) continue;
    waiting.alarmed = true;
    log::error("participant.in_doubt", {{"participant", config_.name},
                                        {"gtrid", gtrid},
                                        {"seconds", seconds(age)},
                                        {"coordinator", config_.coordinator_url},
                                        {"ours", two_phase::parse_gtrid(gtrid).has_value()}});
  }
}

asio::awaitable<InDoubtAsker::Answer> InDoubtAsker::ask(std::string gtrid) {
  std::string url = fmt::format("{}/2pc/v1/tx/{}/outcome", calls_.coordinator(), gtrid);
  const Result<net::HttpResponse> answer = co_await calls_.call(std::move(url), {}, config_.call_timeout);
  if (!answer || answer->status >= 500) {
    unanswered_.add();
    co_return Answer::silent;
  }
  asked_.add();
  const Result<two_phase::OutcomeReport> report = answer->status == 200
                                                      ? two_phase::parse_outcome_report(answer->body)
                                                      : Error{Code::invalid, fmt::format("status {}", answer->status)};
  if (!report || report->gtrid != gtrid || report->coordinator != two_phase::parse_gtrid(gtrid)->coordinator) {
    log::warn("participant.in_doubt.not_theirs", {{"participant", config_.name},
                                                  {"gtrid", gtrid},
                                                  {"answer", report ? report->coordinator : report.error().message}});
    co_return Answer::pending;
  }
  if (report->outcome == two_phase::Outcome::pending) co_return Answer::pending;
  const bool commit = report->outcome == two_phase::Outcome::committed;
  const auto decision = commit ? two_phase::Decision::commit : two_phase::Decision::abort;
  const Result<Ended> ended = co_await end_(gtrid, decision);
  if (!ended) {
    log::warn("participant.in_doubt.not_ended",
              {{"participant", config_.name}, {"gtrid", gtrid}, {"error", ended.error().to_string()}});
    co_return Answer::pending;
  }
  log::info("participant.in_doubt.ended",
            {{"participant", config_.name}, {"gtrid", gtrid}, {"outcome", to_string(report->outcome)}});
  co_return Answer::ended;
}

}  // namespace hf::participant
