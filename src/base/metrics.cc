#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <deque>
#include <map>
#include <mutex>

namespace hf::metrics {
namespace {

class CounterHandle final : public Counter {
 public:
  explicit CounterHandle(prometheus::Counter& counter) : counter_(counter) {}
  void add(double n) override { counter_.Increment(n); }
  double value() const override { return counter_.Value(); }

 private:
  prometheus::Counter& counter_;
};

class GaugeHandle final : public Gauge {
 public:
  explicit GaugeHandle(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void set(double value) override { gauge_.Set(value); }
  void add(double n) override { gauge_.Increment(n); }

 private:
  prometheus::Gauge& gauge_;
};

class HistogramHandle final : public Histogram {
 public:
  explicit HistogramHandle(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void observe_seconds(double seconds) override { histogram_.Observe(seconds); }

 private:
  prometheus::Histogram& histogram_;
};

prometheus::Histogram::BucketBoundaries latency_buckets() {
  prometheus::Histogram::BucketBoundaries bounds;
  for (double bound = 50e-6; bound < 60; bound *= 2) bounds.push_back(bound);
  bounds.push_back(60);
  return bounds;
}

std::map<std::string, std::string> to_map(Labels labels) { return {labels.begin(), labels.end()}; }

}  // namespace

struct Registry::Impl {
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  std::mutex mutex;  // guards the deques; handles never move
  std::deque<CounterHandle> counters;
  std::deque<GaugeHandle> gauges;
  std::deque<HistogramHandle> histograms;
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(const std::string& name, const std::string& help, Labels labels) {
  auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
  const std::lock_guard lock(impl_->mutex);
  return impl_->counters.emplace_back(family.Add(to_map(labels)));
}

Gauge& Registry::gauge(const std::string& name, const std::string& help, Labels labels) {
  auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
  const std::lock_guard lock(impl_->mutex);
  return impl_->gauges.emplace_back(family.Add(to_map(labels)));
}

Histogram& Registry::histogram(const std::string& name, const std::string& help, Labels labels) {
  auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
  const std::lock_guard lock(impl_->mutex);
  return impl_->histograms.emplace_back(family.Add(to_map(labels), latency_buckets()));
}

std::string Registry::expose() const { return prometheus::TextSerializer().Serialize(impl_->registry.Collect()); }

}  // namespace hf::metrics
