package cluster

// Sizes are the sizes of an Interest's maps and queues, for tests that memory
// is released.
type Sizes struct {
	Entries, Pending, Idle int
}

// Sizes returns the sizes of all parts that grow with the number of channels.
func (i *Interest) Sizes() Sizes {
	var s Sizes
	for n := range i.stripes {
		stripe := &i.stripes[n]
		stripe.mu.Lock()
		s.Entries += len(stripe.entries.entries)
		stripe.mu.Unlock()
	}
	for _, w := range i.workers {
		w.mu.Lock()
		s.Pending += len(w.pending)
		s.Idle += len(w.idle)
		w.mu.Unlock()
	}
	return s
}

// MapPeaks is the sum of the sizes that the stripes' maps were made for.
func (m *Memory) MapPeaks() int {
	sum := 0
	for i := range m.stripes {
		stripe := &m.stripes[i]
		stripe.mu.Lock()
		sum += stripe.channels.peak
		stripe.mu.Unlock()
	}
	return sum
}

// Subscriptions is the number of channels that are subscribed.
func (m *Memory) Subscriptions() int {
	sum := 0
	for i := range m.stripes {
		stripe := &m.stripes[i]
		stripe.mu.Lock()
		sum += len(stripe.channels.entries)
		stripe.mu.Unlock()
	}
	return sum
}

// Histories is the number of channels with kept messages, and that of the
// messages.
func (m *Memory) Histories() (histories, messages int) {
	m.eachHistory(func(h *memoryHistory) {
		histories++
		messages += h.count
	})
	return histories, messages
}

// HistorySlots is the number of messages that the histories have memory for.
func (m *Memory) HistorySlots() (slots int) {
	m.eachHistory(func(h *memoryHistory) { slots += len(h.ring) })
	return slots
}

func (m *Memory) eachHistory(visit func(h *memoryHistory)) {
	for i := range m.stripes {
		stripe := &m.stripes[i]
		stripe.mu.Lock()
		if stripe.histories != nil {
			for _, h := range stripe.histories.all {
				visit(h)
			}
		}
		stripe.mu.Unlock()
	}
}

// OnceIDs is the number of IDs that the stripe of the channel remembers.
func (m *Memory) OnceIDs(channel string) int {
	stripe := m.stripe(channel)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	return len(stripe.histories.once.ids)
}
