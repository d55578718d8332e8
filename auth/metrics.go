package auth

import (
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
)

// Counts are the checks of requests and tokens, by Result.
type Counts [numResults]uint64

// counters count results.
type counters [numResults]atomic.Uint64

func (c *counters) add(result Result) { c[result].Add(1) }

func (c *counters) snapshot() Counts {
	var all Counts
	for i := range c {
		all[i] = c[i].Load()
	}
	return all
}

// resultMetrics returns one counter for each of the results.
func resultMetrics(name, help string, counts Counts, results []Result) []cluster.Metric {
	all := make([]cluster.Metric, 0, len(results))
	for _, result := range results {
		all = append(all, cluster.Metric{
			Name: name, Help: help, Kind: cluster.MetricCounter, Value: float64(counts[result]),
			Labels: []cluster.MetricLabel{{Name: "result", Value: result.String()}},
		})
	}
	return all
}

// JWTStats are the counters of a JWT since NewJWT.
type JWTStats struct {
	// Results counts requests that Accept has seen, and calls of Verify.
	Results Counts
	// JWKSKeys is how many keys the last good fetch of the JWKS has found.
	JWKSKeys int
	// JWKSFetched and JWKSFailed count fetches.
	JWKSFetched, JWKSFailed uint64
	// JWKSUp reports whether the last fetch was good; true without a JWKS.
	JWKSUp bool
}

// Stats returns the counters.
func (j *JWT) Stats() JWTStats {
	s := JWTStats{Results: j.results.snapshot(), JWKSFetched: j.jwks.fetched.Load(), JWKSFailed: j.jwks.failed.Load(), JWKSUp: true}
	if r := j.state.Load().remote; r != nil {
		s.JWKSKeys = len(r.keys.Load().all)
		s.JWKSUp = r.isUp()
	}
	return s
}

// Metrics returns the figures of Stats for metrics.NewAuthCollector.
func (j *JWT) Metrics() []cluster.Metric {
	s := j.Stats()
	return s.Metrics()
}

// Metrics returns the figures under the names that they have for monitoring.
func (s *JWTStats) Metrics() []cluster.Metric {
	up := 0.0
	if s.JWKSUp {
		up = 1
	}
	fetches := func(result string, count uint64) cluster.Metric {
		return cluster.Metric{
			Name: "jwks_fetches_total", Help: "Fetches of the JWK Set.", Kind: cluster.MetricCounter, Value: float64(count),
			Labels: []cluster.MetricLabel{{Name: "result", Value: result}},
		}
	}
	return append(resultMetrics("tokens_total", "Requests and tokens checked for a JSON Web Token, by result.", s.Results, Results()),
		fetches("ok", s.JWKSFetched), fetches("error", s.JWKSFailed),
		cluster.Metric{Name: "jwks_keys", Help: "Keys that the last good fetch of the JWK Set has found.", Kind: cluster.MetricGauge, Value: float64(s.JWKSKeys)},
		cluster.Metric{Name: "jwks_up", Help: "1 while the last fetch of the JWK Set was good, else 0; 1 without a JWK Set.", Kind: cluster.MetricGauge, Value: up},
	)
}

// Stats counts the requests that Accept and Check have seen.
func (k *Keys) Stats() Counts { return k.results.snapshot() }

// Metrics returns the figures of Stats for metrics.NewAuthCollector.
func (k *Keys) Metrics() []cluster.Metric {
	return resultMetrics("api_keys_total", "Requests checked for an API key, by result.", k.Stats(),
		[]Result{ResultValid, ResultAnonymous, ResultTokenRequired, ResultAmbiguous, ResultUnknownKey})
}
