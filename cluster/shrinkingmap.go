package cluster

const (
	// minShrinkPeak is the size below which a map is not rebuilt: its memory is
	// not worth the work.
	minShrinkPeak = 64
	// A map is rebuilt when only a quarter of its largest size is left.
	shrinkFraction = 4
)

// shrinkingMap is a map by channel that releases memory, which Go's maps do not
// do. The zero value is empty.
type shrinkingMap[V any] struct {
	entries map[string]V
	peak    int // largest size since the map was built
}

func (m *shrinkingMap[V]) get(channel string) (value V, found bool) {
	value, found = m.entries[channel]
	return value, found
}

func (m *shrinkingMap[V]) put(channel string, value V) {
	if m.entries == nil {
		m.entries = make(map[string]V)
	}
	m.entries[channel] = value
	m.peak = max(m.peak, len(m.entries))
}

func (m *shrinkingMap[V]) remove(channel string) {
	delete(m.entries, channel)
	count := len(m.entries)
	if m.peak < minShrinkPeak || count*shrinkFraction > m.peak {
		return
	}
	kept := make(map[string]V, count)
	for channel, value := range m.entries {
		kept[channel] = value
	}
	m.entries, m.peak = kept, count
}
