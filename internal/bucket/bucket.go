package bucket

import (
	"math"
	"math/bits"
)

// micro is how many units a token has. Then the units of a millisecond are the
// tokens of a thousand seconds, which makes every rate with three decimals an
// integer.
const micro = 1_000_000

// The bounds of a rate and of a burst. Within them no computation overflows.
const (
	MinPerSecond = 0.001
	MaxPerSecond = 1e12
	MaxBurst     = 1<<31 - 1
)

// maxUsed is the greatest debt of a bucket, in units: far above that of any
// message, and far below the end of the integers.
const maxUsed = math.MaxInt64 / 2

// Rate is a number of tokens per second, and how many may be taken at once. The
// zero value is no limit. It is immutable.
type Rate struct {
	perMilli int64 // units that return in a millisecond; 0: no limit
	capacity int64 // units that may be taken at once
}

// NewRate returns a rate; perSecond 0 is no limit. It is rounded to three
// decimals, and both values to their bounds. A burst of 0 is the tokens of a
// second. It is at least one token.
func NewRate(perSecond float64, burst int) Rate {
	if perSecond == 0 {
		return Rate{}
	}
	perSecond = min(max(perSecond, MinPerSecond), MaxPerSecond)
	r := Rate{perMilli: int64(math.Round(perSecond * 1000))}
	if burst == 0 {
		r.capacity = max(r.perMilli*1000, micro)
	} else {
		r.capacity = int64(min(max(burst, 1), MaxBurst)) * micro
	}
	return r
}

// IsZero reports whether there is no limit.
func (r *Rate) IsZero() bool { return r.perMilli == 0 }

// Bucket holds the tokens of one source. The zero value is full. It has no
// lock.
type Bucket struct {
	used int64  // units that are missing
	at   uint32 // the clock when used was right
}

// skew is how far a clock may be behind that of the last call, in milliseconds:
// the loops of a server read the time once per turn.
const skew = 60_000

// refill returns the tokens of the time that has passed.
func (b *Bucket) refill(r *Rate, now uint32) {
	elapsed := now - b.at
	if elapsed == 0 || elapsed > math.MaxUint32-skew {
		return // now is the same or earlier
	}
	b.at = now
	if high, low := bits.Mul64(uint64(elapsed), uint64(r.perMilli)); high == 0 && low < uint64(b.used) {
		b.used -= int64(low)
	} else {
		b.used = 0
	}
}

// Take takes n tokens, as a debt if there are fewer, and returns how long the
// caller must wait in return, in milliseconds; 0 if there were enough. Callers
// are served in the order of their calls. More tokens than a burst has wait for
// a full bucket.
func (b *Bucket) Take(r *Rate, now uint32, n int) (wait uint32) {
	if r.perMilli == 0 {
		return 0
	}
	b.refill(r, now)
	cost := units(n)
	if b.used == 0 {
		b.at = now
	}
	b.used = min(b.used+cost, maxUsed)
	return r.wait(b.used - max(cost, r.capacity))
}

// TryTake is Take, but takes nothing if the caller would have to wait.
func (b *Bucket) TryTake(r *Rate, now uint32, n int) (wait uint32) {
	before := *b
	if wait = b.Take(r, now, n); wait > 0 {
		*b = before
	}
	return wait
}

// Wait returns how long a caller of Take would have to wait, in milliseconds.
func (b Bucket) Wait(r *Rate, now uint32, n int) uint32 { return b.Take(r, now, n) }

// Return gives n tokens back that were taken.
func (b *Bucket) Return(n int) { b.used = max(b.used-units(n), 0) }

// IsFull reports whether all tokens are there.
func (b *Bucket) IsFull(r *Rate, now uint32) bool {
	if r.perMilli == 0 {
		return true
	}
	b.refill(r, now)
	return b.used == 0
}

func units(n int) int64 { return int64(min(max(n, 0), MaxBurst)) * micro }

// wait is the time in which so many units return, rounded up. It is at most a
// quarter of the clock's range, so that the end of it is later than now.
func (r *Rate) wait(missing int64) uint32 {
	if missing <= 0 {
		return 0
	}
	return uint32(min((missing+r.perMilli-1)/r.perMilli, math.MaxUint32/4))
}
