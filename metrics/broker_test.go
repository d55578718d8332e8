package metrics_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/metrics"
)

// fixedBroker is a source whose figures do not change.
type fixedBroker redisbroker.Stats

func (f fixedBroker) Metrics() []cluster.Metric {
	stats := redisbroker.Stats(f)
	return stats.Metrics()
}

func newBrokerRegistry(t testing.TB, stats redisbroker.Stats) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(metrics.NewBrokerCollector(fixedBroker(stats))); err != nil {
		t.Fatal(err)
	}
	return registry
}

// populatedBroker is the counterpart of populated for a broker, with two
// servers.
func populatedBroker(t testing.TB) redisbroker.Stats {
	t.Helper()
	stats := redisbroker.Stats{}
	next := uint64(10_000)
	fill(t, reflect.ValueOf(&stats).Elem(), &next)
	stats.Servers = stats.Servers[:2]
	for i := range stats.Servers {
		server := &stats.Servers[i]
		for _, h := range []*redisbroker.Histogram{&server.PublishTime, &server.AnswerTime, &server.Lag, &server.BatchSize} {
			h.Count = 0
			for _, n := range h.Counts {
				h.Count += n
			}
		}
	}
	stats.Servers[1].Up, stats.Servers[1].Congested = false, false
	return stats
}

func TestBrokerLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(newBrokerRegistry(t, populatedBroker(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func TestBrokerGolden(t *testing.T) {
	compareGolden(t, "broker.golden", exposition(t, newBrokerRegistry(t, populatedBroker(t))))
}

// TestEveryBrokerFieldIsShown fails for a field of redisbroker.Stats without a
// metric, and for an address that is shown.
func TestEveryBrokerFieldIsShown(t *testing.T) {
	stats := populatedBroker(t)
	// Summed over the servers, so only one of them counts here.
	summed := &stats.Servers[1]
	summed.TooOld, summed.TooLarge, summed.BadVersion, summed.Malformed, summed.BadNumber = 0, 0, 0, 0, 0
	got := string(exposition(t, newBrokerRegistry(t, stats)))
	if strings.Contains(got, "must-not-be-shown") {
		t.Error("the address of a server is shown")
	}
	var check func(path string, v reflect.Value)
	check = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				name := v.Type().Field(i).Name
				if path == "Stats" && name == "QueueBytes" {
					continue // the sum of the servers' own
				}
				check(path+"."+name, v.Field(i))
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() != reflect.Struct {
				return // buckets are shown as running sums
			}
			for i := range v.Len() {
				check(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Int, reflect.Uint64, reflect.Float64:
			if !strings.Contains(got, fmt.Sprintf(" %v\n", v)) {
				t.Errorf("%s = %v is in no metric", path, v)
			}
		}
	}
	check("Stats", reflect.ValueOf(stats))
}

// A broker without events shows all series, one of each for every server.
func TestZeroBrokerStatsHasEverySeries(t *testing.T) {
	got := string(exposition(t, newBrokerRegistry(t, redisbroker.Stats{Servers: make([]redisbroker.ServerStats, 2)})))
	for _, want := range []string{
		`stoa_known_nodes 0`,
		`stoa_broker_up{server="0"} 0`,
		`stoa_broker_up{server="1"} 0`,
		`stoa_broker_dropped_messages_total{cause="queue_full"} 0`,
		`stoa_broker_dropped_messages_total{cause="too_old"} 0`,
		`stoa_broker_dropped_messages_total{cause="bad_version"} 0`,
		`stoa_broker_dropped_messages_total{cause="malformed"} 0`,
		`stoa_broker_reconnects_total{connection="publisher",server="1"} 0`,
		`stoa_broker_reconnects_total{connection="subscriber",server="1"} 0`,
		`stoa_broker_lag_seconds_count{server="1"} 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
}
