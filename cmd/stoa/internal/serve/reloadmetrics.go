package serve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-io/stoa/cmd/stoa/internal/control"
)

// reloadMetrics are the metrics of reloads. The names of the gauges are those
// that Prometheus has for its own configuration.
type reloadMetrics struct {
	reloads    *prometheus.CounterVec
	successful prometheus.Gauge
	last       prometheus.Gauge
	pending    prometheus.Gauge
}

// The results of reloads.
const (
	reloadApplied = "applied"
	reloadPartial = "partial" // keys need a restart
	reloadFailed  = "failed"
)

// newReloadMetrics counts the start as a success.
func newReloadMetrics(start time.Time) *reloadMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &reloadMetrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stoa_config_reloads_total",
			Help: "Reloads of the configuration by result: applied, partial (keys need a restart), failed (nothing has changed).",
		}, []string{"result"}),
		successful: gauge("stoa_config_last_reload_successful", "1 if the last reload of the configuration did not fail."),
		last:       gauge("stoa_config_last_reload_success_timestamp_seconds", "Unix time of the last reload that did not fail, or of the start."),
		pending:    gauge("stoa_config_keys_awaiting_restart", "Keys whose new values need a restart, after the last reload that did not fail."),
	}
	for _, result := range []string{reloadApplied, reloadPartial, reloadFailed} {
		m.reloads.WithLabelValues(result)
	}
	m.successful.Set(1)
	m.last.Set(seconds(start))
	return m
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// count counts a reload.
func (m *reloadMetrics) count(r *control.Result, now time.Time) {
	result := reloadApplied
	switch {
	case r.Failed():
		m.reloads.WithLabelValues(reloadFailed).Inc()
		m.successful.Set(0)
		return
	case len(r.Restart) > 0:
		result = reloadPartial
	}
	m.reloads.WithLabelValues(result).Inc()
	m.successful.Set(1)
	m.last.Set(seconds(now))
	m.pending.Set(float64(len(r.Restart)))
}

// collectors returns the metrics.
func (m *reloadMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.reloads, m.successful, m.last, m.pending}
}
