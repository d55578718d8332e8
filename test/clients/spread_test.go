package clients_test

import (
	"math"
	"slices"
	"testing"
	"time"
)

// window is the time in which attempts count as simultaneous.
const window = 50 * time.Millisecond

// unlikely is the natural logarithm of the greatest probability that one
// comparison below fails although the delays are correct: 1 in 30 billion.
const unlikely = -25

// spread checks that delays are random, each moment up to the limit as likely
// as every other: that no window holds too many of them, and that they are
// distributed evenly.
func spread(t testing.TB, of string, delays []time.Duration, limit time.Duration) {
	t.Helper()
	if len(delays) == 0 {
		t.Errorf("%s: there are none", of)
		return
	}
	slices.Sort(delays)
	if first, last := delays[0], delays[len(delays)-1]; first < 0 || last > limit {
		t.Errorf("%s: from %v to %v, want them between 0 and %v", of, first, last, limit)
	}
	most := crowd(len(delays), float64(window)/float64(limit))
	if got := fullest(delays); got > most {
		t.Errorf("%s: %d of %d within %v, want at most %d", of, got, len(delays), window, most)
	}
	// The inequality of Dvoretzky, Kiefer and Wolfowitz bounds the difference
	// between the share of the delays up to any moment and the expected share:
	// exp(-2·n·d²).
	far := math.Sqrt(-unlikely / 2 / float64(len(delays)))
	for i, delay := range delays {
		expected := float64(delay) / float64(limit)
		share := float64(i) / float64(len(delays))
		if math.Abs(share-expected) > far+1/float64(len(delays)) {
			t.Errorf("%s: %.0f %% are less than %v, want %.0f %% and at most %.0f more or less",
				of, share*100, delay, expected*100, far*100)
			return
		}
	}
}

// fullest returns how many of the sorted delays are in the window that holds
// most.
func fullest(delays []time.Duration) int {
	most, from := 0, 0
	for to, delay := range delays {
		for delay-delays[from] > window {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// crowd returns how many of so many there are at most in a window where each is
// with the probability p. It is Chernoff's bound: k of n are exp(-n·D) likely,
// where D is the divergence of k/n from p.
func crowd(n int, p float64) int {
	if p >= 1 {
		return n
	}
	for k := int(float64(n)*p) + 1; k < n; k++ {
		x := float64(k) / float64(n)
		divergence := x*math.Log(x/p) + (1-x)*math.Log((1-x)/(1-p))
		if -float64(n)*divergence < unlikely {
			return k
		}
	}
	return n
}

// delays returns the chosen delays of the guests of a kind after a kill of the
// node: the first delay of all guests, the second of those with a second
// attempt, and so on.
func (f *fleet) delays(k kind, kill int) (delays [][]time.Duration) {
	for _, g := range f.guests {
		if g.kind != k {
			continue
		}
		g.mu.Lock()
		next := 0
		for _, w := range g.waits {
			if f.killBefore(w.at) != kill {
				continue
			}
			if w.first != (next == 0) {
				g.complain("delay %d after kill %d: first since the loss: %t", next, kill, w.first)
			}
			if next == len(delays) {
				delays = append(delays, nil)
			}
			delays[next] = append(delays[next], w.delay)
			next++
		}
		g.mu.Unlock()
	}
	return delays
}

// attempt is an attempt to connect.
type attempt struct {
	kind  kind
	kill  int           // the newest one before
	since time.Duration // then
	first bool          // of the guest after that
}

// attempts returns all attempts after a kill of the node.
func (f *fleet) attempts() []attempt {
	var all []attempt
	for _, g := range f.guests {
		g.mu.Lock()
		before := -1
		for _, at := range g.attempts {
			if kill := f.killBefore(at); kill >= 0 {
				all = append(all, attempt{g.kind, kill, at.Sub(f.kills[kill]), kill != before})
				before = kill
			}
		}
		g.mu.Unlock()
	}
	return all
}

// killBefore returns the number of the newest kill before a moment; negative if
// there is none.
func (f *fleet) killBefore(at time.Time) int {
	newest := -1
	for i, kill := range f.kills {
		// Reports of guests.js are cut to milliseconds.
		if !at.Before(kill.Truncate(time.Millisecond)) {
			newest = i
		}
	}
	return newest
}

// expectAttempts checks the first attempts themselves: no guest makes one
// before its time, and of all rounds together no window holds more than a
// share. The machine may have delayed all guests for a moment, so this bound is
// far weaker than that of the delays.
func (f *fleet) expectAttempts(t testing.TB, share float64) {
	t.Helper()
	first := make(map[kind][]time.Duration)
	for _, a := range f.attempts() {
		if a.first {
			first[a.kind] = append(first[a.kind], a.since)
		}
	}
	for _, k := range kinds {
		slices.Sort(first[k])
		count := len(first[k])
		if want := guestsOfAKind * len(f.kills); count != want {
			t.Errorf("%d first attempts of %v, want %d", count, k, want)
			continue
		}
		if most := fullest(first[k]); float64(most) > share*float64(count) {
			t.Errorf("%d of %d first attempts of %v within %v, want at most %.0f %%", most, count, k, window, share*100)
		}
		t.Logf("first attempts of %v: %d, from %v to %v after a kill, at most %d within %v",
			k, count, first[k][0], first[k][count-1], fullest(first[k]), window)
	}
	for _, g := range f.guests {
		g.mu.Lock()
		for kill, killed := range f.kills {
			if at, delay := g.firstAttempt(f, kill); at.Before(killed.Add(delay - clockError)) {
				t.Errorf("%v tried to connect %v after kill %d, want not before %v", g, at.Sub(killed), kill, delay)
			}
		}
		g.mu.Unlock()
	}
}

// firstAttempt returns the first attempt after a kill, and the delay before it.
// It is called with mu held.
func (g *guest) firstAttempt(f *fleet, kill int) (at time.Time, delay time.Duration) {
	i := slices.IndexFunc(g.attempts, func(at time.Time) bool { return f.killBefore(at) == kill })
	j := slices.IndexFunc(g.waits, func(w wait) bool { return f.killBefore(w.at) == kill })
	if i < 0 || j < 0 {
		return at, delay
	}
	return g.attempts[i], g.waits[j].delay
}

// logReturns logs the times from the first outage to the return of the guests.
func (f *fleet) logReturns(t testing.TB) {
	t.Helper()
	for _, k := range kinds {
		var returns []time.Duration
		for _, g := range f.guests {
			g.mu.Lock()
			if g.kind == k {
				returns = append(returns, g.backs[0].at.Sub(f.starts[0]).Round(10*time.Millisecond))
			}
			g.mu.Unlock()
		}
		slices.Sort(returns)
		count := len(returns)
		t.Logf("after the node was there again, half of %v were back within %v, 9 of 10 within %v, all within %v",
			k, returns[count/2], returns[count*9/10], returns[count-1])
	}
}
