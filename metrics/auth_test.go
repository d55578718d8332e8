package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/metrics"
)

// fixedTokens is a source whose figures do not change.
type fixedTokens auth.JWTStats

func (f fixedTokens) Metrics() []cluster.Metric {
	stats := auth.JWTStats(f)
	return stats.Metrics()
}

// newAuthRegistry has tokens and keys next to each other.
func newAuthRegistry(t *testing.T) *prometheus.Registry {
	t.Helper()
	stats := auth.JWTStats{JWKSKeys: 3, JWKSFetched: 4, JWKSFailed: 5, JWKSUp: true}
	for i := range stats.Results {
		stats.Results[i] = uint64(100 + i)
	}
	keys, err := auth.NewKeys(nil)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.NewAuthCollector(fixedTokens(stats)), metrics.NewAuthCollector(keys))
	return registry
}

func TestAuthGolden(t *testing.T) {
	registry := newAuthRegistry(t)
	compareGolden(t, "auth.golden", exposition(t, registry))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}
