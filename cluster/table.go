package cluster

const (
	// minTablePeak is the size below which a table is not rebuilt: its memory is
	// not worth the work.
	minTablePeak = 64
	// A table is rebuilt when only a quarter of its largest size is left.
	shrinkFraction = 4
)

// table is a map by channel that gives memory back, which Go's maps do not. The
// zero value is empty.
type table[V any] struct {
	entries map[string]V
	peak    int // largest size since the map was built
}

func (t *table[V]) get(channel string) (value V, found bool) {
	value, found = t.entries[channel]
	return value, found
}

func (t *table[V]) put(channel string, value V) {
	if t.entries == nil {
		t.entries = make(map[string]V)
	}
	t.entries[channel] = value
	t.peak = max(t.peak, len(t.entries))
}

func (t *table[V]) remove(channel string) {
	delete(t.entries, channel)
	count := len(t.entries)
	if t.peak < minTablePeak || count*shrinkFraction > t.peak {
		return
	}
	kept := make(map[string]V, count)
	for channel, value := range t.entries {
		kept[channel] = value
	}
	t.entries, t.peak = kept, count
}
