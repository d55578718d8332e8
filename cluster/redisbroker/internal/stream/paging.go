package stream

const (
	// firstCount is the number of entries that are read at first, when their
	// size is not known.
	firstCount = 16
	maxCount   = 256
	// pageBytes is the size that a read should have.
	pageBytes = 256 << 10
)

// Paging decides how many entries are read at a time, so that the memory for
// them is bounded. The zero value is ready for use.
type Paging struct {
	largest int // entry so far
	read    bool
}

// Next returns the number of entries to read. If the caller needs no more than
// wanted, it is not more; wanted 0 means that it does not know.
func (p *Paging) Next(wanted int) int {
	count := firstCount
	if p.read {
		count = max(1, min(maxCount, pageBytes/max(1, p.largest)))
	}
	if wanted > 0 {
		count = min(count, wanted)
	}
	return count
}

// Read notes the size of an entry.
func (p *Paging) Read(size int) {
	p.read = true
	p.largest = max(p.largest, size)
}
