package node

import "testing"

func TestCongestionCauses(t *testing.T) {
	var g congestion
	first, second := partitionSet(0), partitionSet(1)
	for i, step := range []struct {
		set      partitions
		by       int
		relieved bool
		want     partitions
	}{
		{first, 1, false, first},
		{everyPartition, 1, false, everyPartition}, // an inbox is full
		{first, -1, false, everyPartition},
		{second, 1, false, everyPartition},
		{everyPartition, -1, true, second},
		{second, -1, true, 0},
		// Those without a bit of their own share one.
		{partitionSet(partitionBits), 1, false, partitionSet(partitionBits - 1)},
		{partitionSet(100), 1, false, partitionSet(partitionBits - 1)},
		{partitionSet(partitionBits), -1, false, partitionSet(partitionBits - 1)},
		{partitionSet(100), -1, true, 0},
		// A loop may have drained its inbox before its fullness is counted.
		{everyPartition, -1, false, 0},
		{everyPartition, 1, false, 0},
	} {
		relieved := g.change(step.set, step.by)
		if got := g.partitions(); relieved != step.relieved || got != step.want {
			t.Errorf("step %d: relieved %v, congested %016b; want %v, %016b", i, relieved, got, step.relieved, step.want)
		}
	}
}
