package engine

import "testing"

func TestCongestionCauses(t *testing.T) {
	var g Congestion
	first, second := CongestionSource(0), CongestionSource(1)
	for i, step := range []struct {
		set      CongestionSet
		by       int
		relieved bool
		want     CongestionSet
	}{
		{first, 1, false, first},
		{EverySource, 1, false, EverySource}, // the inbox of a shard is full
		{first, -1, false, EverySource},
		{second, 1, false, EverySource},
		{EverySource, -1, true, second},
		{second, -1, true, 0},
		// Sources without a bit of their own share one.
		{CongestionSource(congestionBits), 1, false, CongestionSource(congestionBits - 1)},
		{CongestionSource(100), 1, false, CongestionSource(congestionBits - 1)},
		{CongestionSource(congestionBits), -1, false, CongestionSource(congestionBits - 1)},
		{CongestionSource(100), -1, true, 0},
		// A shard may have drained its inbox before the full inbox is counted.
		{EverySource, -1, false, 0},
		{EverySource, 1, false, 0},
	} {
		var relieved bool
		if step.by > 0 {
			relieved = g.change(step.set, step.by)
		} else {
			relieved = g.Remove(step.set)
		}
		if got := g.Set(); relieved != step.relieved || got != step.want {
			t.Errorf("step %d: relieved %v, congested %016b; want %v, %016b", i, relieved, got, step.relieved, step.want)
		}
	}
}
