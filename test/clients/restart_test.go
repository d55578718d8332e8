package clients_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
)

// killed returns the number of kills of the node.
func killed(t testing.TB) int {
	t.Helper()
	const variable, standard = "STOA_TEST_ROUNDS", 5
	text, found := os.LookupEnv(variable)
	if !found {
		return standard
	}
	rounds, err := strconv.Atoi(text)
	if err != nil || rounds < 1 {
		t.Fatalf("%s is %q, want a number from 1", variable, text)
	}
	return rounds
}

// TestNodeRestarts kills a node and starts it again, over and over, while all
// guests emit. The delays of both kinds are always between zero and one second,
// so that they can be compared.
func TestNodeRestarts(t *testing.T) {
	h := habits{base: time.Second, cap: time.Second, pause: time.Second, burst: 4, kept: 3}
	f := startFleet(t, h)
	for range killed(t) {
		f.outage(t, 300*time.Millisecond)
	}
	f.finish(t)
	for k, count := range f.check(t) {
		if count.emitted == 0 || count.keptCertain == 0 || count.refused == 0 {
			t.Errorf("emissions of %v: %+v; this proves nothing", k, *count)
		}
	}
	all := make(map[kind][]time.Duration)
	for kill := range f.kills {
		var both []time.Duration
		for _, k := range kinds {
			delays := f.delays(k, kill)[0]
			if len(delays) != guestsOfAKind {
				t.Errorf("kill %d: %d guests of %v have lost their connection, want %d", kill, len(delays), k, guestsOfAKind)
			}
			spread(t, fmt.Sprintf("kill %d: first delays of %v", kill, k), delays, h.cap)
			both = append(both, delays...)
			all[k] = append(all[k], delays...)
		}
		spread(t, fmt.Sprintf("kill %d: first delays of all guests", kill), both, h.cap)
	}
	for _, k := range kinds {
		spread(t, fmt.Sprintf("all first delays of %v", k), all[k], h.cap)
	}
	f.expectAttempts(t, 0.25)
}

// TestOutage reconnects the guests with the default options.
func TestOutage(t *testing.T) {
	lasting := time.Second
	if *picture {
		lasting = 5 * time.Second
	}
	f := startFleet(t, habits{pause: time.Second, kept: client.DefaultBufferMessages})
	f.outage(t, lasting)
	f.finish(t)
	f.check(t)
	for _, k := range kinds {
		limit := client.DefaultReconnectBase
		for i, delays := range f.delays(k, 0) {
			spread(t, fmt.Sprintf("delays of %v before attempt %d", k, i+1), delays, limit)
			limit = min(limit*client.DefaultReconnectFactor, client.DefaultReconnectCap)
		}
	}
	f.expectAttempts(t, 1)
	f.logReturns(t)
	if *picture {
		f.draw(t, filepath.Join(top, "docs", "reconnecting.svg"))
	}
}
